//! Statements with their values, and the rows they answer.

use std::fmt::Display;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Decode, Postgres, SqlSafeStr, SqlStr, Sqlite, Type};

use super::{Connection, postgres, sqlite};
use crate::catalog::Result;

/// A value in a statement. What is null has a type as well: some databases ask for it.
#[derive(Debug, Clone)]
pub(in crate::catalog) enum Value {
    /// A text.
    Text(Option<String>),
    /// A whole number.
    Number(Option<i64>),
    /// A truth.
    Truth(bool),
}

macro_rules! values {
    ($($from:ty => |$value:ident| $to:expr;)+) => {
        $(impl From<$from> for Value {
            fn from($value: $from) -> Self {
                $to
            }
        })+
    };
}

values! {
    &str => |text| Value::Text(Some(text.to_owned()));
    &String => |text| Value::Text(Some(text.clone()));
    String => |text| Value::Text(Some(text));
    Option<&str> => |text| Value::Text(text.map(str::to_owned));
    Option<String> => |text| Value::Text(text);
    &Option<String> => |text| Value::Text(text.clone());
    i64 => |number| Value::Number(Some(number));
    u32 => |number| Value::Number(Some(number.into()));
    Option<i64> => |number| Value::Number(number);
    bool => |truth| Value::Truth(truth);
}

/// A statement; its values are `$1`, `$2`, … in its text.
#[derive(Debug)]
pub(in crate::catalog) struct Query {
    pub(super) text: SqlStr,
    pub(super) values: Vec<Value>,
}

/// Begins a statement.
pub(in crate::catalog) fn query(text: &'static str) -> Query {
    Query {
        text: text.into_sql_str(),
        values: Vec::new(),
    }
}

impl Query {
    /// Adds the next value.
    pub(in crate::catalog) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Holds the rows of its answer until the transaction ends, where others could write them meanwhile.
    pub(in crate::catalog) fn locking(self, db: &Connection) -> Self {
        self.ending(db.words().locking)
    }

    /// The same, but for rows that another transaction holds: these are not in the answer.
    pub(in crate::catalog) fn skipping_locked(self, db: &Connection) -> Self {
        self.ending(db.words().skipping_locked)
    }

    fn ending(mut self, end: &str) -> Self {
        if !end.is_empty() {
            self.text = AssertSqlSafe(format!("{}{end}", self.text.as_str())).into_sql_str();
        }
        self
    }

    /// Runs it; gives how many rows it has changed.
    pub(in crate::catalog) async fn execute(self, db: &mut Connection) -> Result<u64> {
        match db {
            Connection::Sqlite(db) => sqlite::execute(db, self).await,
            Connection::Postgres(db) => postgres::execute(db, self).await,
        }
    }

    /// Every row of its answer.
    pub(in crate::catalog) async fn fetch_all(self, db: &mut Connection) -> Result<Vec<Row>> {
        Ok(match db {
            Connection::Sqlite(db) => {
                let rows = sqlite::fetch_all(db, self).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            Connection::Postgres(db) => {
                let rows = postgres::fetch_all(db, self).await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    /// The first row of its answer.
    pub(in crate::catalog) async fn fetch_optional(
        self,
        db: &mut Connection,
    ) -> Result<Option<Row>> {
        Ok(match db {
            Connection::Sqlite(db) => sqlite::fetch_optional(db, self).await?.map(Row::Sqlite),
            Connection::Postgres(db) => {
                postgres::fetch_optional(db, self).await?.map(Row::Postgres)
            }
        })
    }

    /// The one row of an answer that has a row in any case.
    pub(in crate::catalog) async fn fetch_one(self, db: &mut Connection) -> Result<Row> {
        let row = self.fetch_optional(db).await?;
        row.ok_or_else(|| sqlx::Error::RowNotFound.into())
    }
}

/// A row of an answer.
pub(in crate::catalog) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// What a column can be read as.
pub(in crate::catalog) trait Column<'r>:
    Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres>
{
}

impl<'r, T> Column<'r> for T where
    T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres>
{
}

impl Row {
    /// A column by its name.
    ///
    /// # Errors
    /// When there is none of this name, or it is of another type.
    pub(in crate::catalog) fn get<'r, T: Column<'r>>(&'r self, name: &str) -> Result<T> {
        Ok(match self {
            Row::Sqlite(row) => sqlx::Row::try_get(row, name)?,
            Row::Postgres(row) => sqlx::Row::try_get(row, name)?,
        })
    }
}

/// Why the tables were not brought up to date, in words for who runs the service.
pub(super) fn migration_fault(e: MigrateError) -> anyhow::Error {
    match e {
        MigrateError::VersionMissing(version) | MigrateError::VersionMismatch(version) => {
            anyhow::anyhow!(
                "a newer release of Oriel, or another program, has made its tables (migration {version}): run that \
                 release, or name another database"
            )
        }
        e => anyhow::Error::from(e).context("cannot bring the catalog's tables up to date"),
    }
}

/// Migrations by version, name and text.
pub(super) fn migrator(migrations: &[(i64, &'static str, &'static str)]) -> Migrator {
    let migrations = migrations.iter().map(|(version, name, text)| {
        let (text, name) = (text.into_sql_str(), (*name).into());
        Migration::new(*version, name, MigrationType::Simple, text, false)
    });
    Migrator::with_migrations(migrations.collect())
}

/// A statement that is put together of pieces.
#[derive(Debug)]
pub(in crate::catalog) struct Builder {
    text: String,
    values: Vec<Value>,
}

impl Builder {
    /// Begins with this text.
    pub(in crate::catalog) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            values: Vec::new(),
        }
    }

    /// Adds text of ours. What callers have said is a value and never text.
    pub(in crate::catalog) fn push(&mut self, text: impl AsRef<str>) -> &mut Self {
        self.text.push_str(text.as_ref());
        self
    }

    /// Adds a value.
    pub(in crate::catalog) fn push_bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        self.push_display(format_args!("${}", self.values.len()))
    }

    /// Adds values with commas between.
    pub(in crate::catalog) fn push_list<V: Into<Value>>(
        &mut self,
        values: impl IntoIterator<Item = V>,
    ) -> &mut Self {
        for (place, value) in values.into_iter().enumerate() {
            self.push(if place == 0 { "" } else { ", " })
                .push_bind(value);
        }
        self
    }

    fn push_display(&mut self, text: impl Display) -> &mut Self {
        use std::fmt::Write;
        // Writing to a string cannot fail.
        let _ = write!(self.text, "{text}");
        self
    }

    /// The text so far.
    #[cfg(test)]
    pub(in crate::catalog) fn text(&self) -> &str {
        &self.text
    }

    /// The statement.
    pub(in crate::catalog) fn build(self) -> Query {
        Query {
            text: AssertSqlSafe(self.text).into_sql_str(),
            values: self.values,
        }
    }
}
