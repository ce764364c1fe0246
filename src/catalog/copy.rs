//! Moving to another database: every row of every table, in one transaction, and compared before it is committed. A copy that
//! breaks off leaves nothing, and is begun anew.

use ring::digest::{Context, SHA256};

use super::db::{Builder, Connection, Db, Row, Value};
use super::{Error, Result};
use crate::config::Database;

/// Rows read and written at once. Properties of older releases may have a mebibyte each.
const PAGE: u32 = 100;

/// What a column holds.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    Number,
    Truth,
}

use Kind::{Number, Text, Truth};

/// A table, with the columns of its primary key first.
struct Table {
    name: &'static str,
    keys: usize,
    columns: &'static [(&'static str, Kind)],
}

/// In an order in which no row comes before one that it refers to. What only this process or this database needs is not there.
const TABLES: [Table; 13] = [
    Table {
        name: "images",
        keys: 1,
        columns: &[
            ("id", Text),
            ("name", Text),
            ("status", Text),
            ("visibility", Text),
            ("owner", Text),
            ("protected", Truth),
            ("os_hidden", Truth),
            ("disk_format", Text),
            ("container_format", Text),
            ("min_disk", Number),
            ("min_ram", Number),
            ("size", Number),
            ("virtual_size", Number),
            ("checksum", Text),
            ("os_hash_algo", Text),
            ("os_hash_value", Text),
            ("created_at", Number),
            ("updated_at", Number),
            ("deleted_at", Number),
        ],
    },
    Table {
        name: "image_tags",
        keys: 2,
        columns: &[("image_id", Text), ("value", Text), ("created_at", Number)],
    },
    Table {
        name: "image_properties",
        keys: 2,
        columns: &[
            ("image_id", Text),
            ("name", Text),
            ("value", Text),
            ("created_at", Number),
        ],
    },
    Table {
        name: "image_locations",
        keys: 2,
        columns: &[
            ("image_id", Text),
            ("position", Number),
            ("store", Text),
            ("object_key", Text),
            ("etag", Text),
        ],
    },
    Table {
        name: "image_members",
        keys: 2,
        columns: &[
            ("image_id", Text),
            ("member_id", Text),
            ("status", Text),
            ("created_at", Number),
            ("updated_at", Number),
            ("image_created_at", Number),
        ],
    },
    Table {
        name: "uploads",
        keys: 1,
        columns: &[
            ("attempt_id", Text),
            ("image_id", Text),
            ("owner", Text),
            ("task_id", Text),
            ("purpose", Text),
            ("node", Text),
            ("store", Text),
            ("object_key", Text),
            ("upload_id", Text),
            ("lease_until", Number),
            ("reserved_bytes", Number),
            ("intent", Text),
        ],
    },
    Table {
        name: "staged_objects",
        keys: 2,
        columns: &[
            ("image_id", Text),
            ("position", Number),
            ("store", Text),
            ("object_key", Text),
            ("etag", Text),
            ("size", Number),
            ("reviewed", Text),
        ],
    },
    Table {
        name: "garbage",
        keys: 2,
        columns: &[
            ("store", Text),
            ("object_key", Text),
            ("upload_id", Text),
            ("due_at", Number),
        ],
    },
    Table {
        name: "project_usage",
        keys: 1,
        columns: &[
            ("project", Text),
            ("bytes", Number),
            ("reserved_bytes", Number),
            ("images", Number),
            ("uploads", Number),
            ("staged_bytes", Number),
        ],
    },
    Table {
        name: "metadef_namespaces",
        keys: 1,
        columns: &[
            ("id", Text),
            ("name", Text),
            ("display_name", Text),
            ("description", Text),
            ("visibility", Text),
            ("protected", Truth),
            ("owner", Text),
            ("created_at", Number),
            ("updated_at", Number),
        ],
    },
    Table {
        name: "metadef_parts",
        keys: 3,
        columns: &[
            ("namespace_id", Text),
            ("kind", Text),
            ("name", Text),
            ("body", Text),
            ("created_at", Number),
            ("updated_at", Number),
        ],
    },
    Table {
        name: "metadef_resource_types",
        keys: 1,
        columns: &[
            ("name", Text),
            ("created_at", Number),
            ("updated_at", Number),
        ],
    },
    Table {
        name: "tasks",
        keys: 1,
        columns: &[
            ("id", Text),
            ("type", Text),
            ("status", Text),
            ("owner", Text),
            ("input", Text),
            ("result", Text),
            ("message", Text),
            ("image_id", Text),
            ("request_id", Text),
            ("user_id", Text),
            ("created_at", Number),
            ("updated_at", Number),
            ("expires_at", Number),
            ("node", Text),
            ("lease_until", Number),
            ("claims", Number),
            ("done_bytes", Number),
            ("total_bytes", Number),
        ],
    },
];

/// A table as both databases have it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Copied {
    /// Its name.
    pub table: &'static str,
    /// How many rows it has.
    pub rows: u64,
    /// SHA-256 over the values of all rows in the order of their keys, in hex.
    pub digest: String,
}

/// Copies a catalog that nobody uses into one that is empty.
///
/// # Errors
/// When either cannot be opened, the one is in use, the other is not empty, or they are not the same in the end; nothing is
/// changed then but that the tables are there.
pub(crate) async fn copy_catalog(from: &Database, to: &Database) -> anyhow::Result<Vec<Copied>> {
    let source = Db::open(from).await?;
    let target = Db::open(to).await?;
    for (db, which) in [(&source, "from"), (&target, "to")] {
        if db.is_in_use().await? {
            anyhow::bail!("the catalog to copy {which} is in use: stop every server that has it");
        }
    }
    let mut reader = source.snapshot().await?;
    let mut writer = target.write().await?;
    for table in &TABLES {
        if !table.page(&mut writer, None).await?.is_empty() {
            anyhow::bail!("the catalog to copy to is not empty: it has {}", table.name);
        }
    }
    let mut copied = Vec::with_capacity(TABLES.len());
    for table in &TABLES {
        let source = table.read(&mut reader, Some(&mut writer)).await?;
        let target = table.read(&mut writer, None).await?;
        if source != target {
            anyhow::bail!("the copy of {} is another than what was read", table.name);
        }
        copied.push(source);
    }
    writer.commit().await?;
    drop(reader);
    source.close().await;
    target.close().await;
    Ok(copied)
}

impl Table {
    /// Reads all rows, and writes them to the other database when there is one.
    async fn read(
        &self,
        db: &mut Connection,
        mut copy: Option<&mut Connection>,
    ) -> anyhow::Result<Copied> {
        let (mut digest, mut rows, mut last) = (Context::new(&SHA256), 0, None);
        loop {
            let page = self.page(db, last.as_deref()).await?;
            let Some(end) = page.last() else { break };
            last = Some(end[..self.keys].to_vec());
            rows += page.len() as u64;
            for value in page.iter().flatten() {
                update(&mut digest, value);
            }
            if let Some(copy) = copy.as_deref_mut() {
                self.write(copy, page).await?;
            }
        }
        let digest = digest.finish();
        Ok(Copied {
            table: self.name,
            rows,
            digest: digest
                .as_ref()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        })
    }

    fn names(&self, count: usize) -> String {
        let names: Vec<&str> = self.columns[..count]
            .iter()
            .map(|(name, _)| *name)
            .collect();
        names.join(", ")
    }

    /// The rows behind these keys, or the first ones.
    async fn page(&self, db: &mut Connection, after: Option<&[Value]>) -> Result<Vec<Vec<Value>>> {
        let keys = self.names(self.keys);
        let all = self.names(self.columns.len());
        let mut query = Builder::new(format!("SELECT {all} FROM {}", self.name));
        if let Some(after) = after {
            query.push(format!(" WHERE ({keys}) > ("));
            query.push_list(after.iter().cloned()).push(")");
        }
        query
            .push(format!(" ORDER BY {keys} LIMIT "))
            .push_bind(PAGE);
        let rows = query.build().fetch_all(db).await?;
        rows.iter().map(|row| self.values(row)).collect()
    }

    fn values(&self, row: &Row) -> Result<Vec<Value>> {
        let value = |(name, kind): &(&str, Kind)| {
            Ok(match kind {
                Text => Value::Text(row.get(name)?),
                Number => Value::Number(row.get(name)?),
                Truth => Value::Truth(row.get(name)?),
            })
        };
        self.columns.iter().map(value).collect()
    }

    async fn write(&self, db: &mut Connection, page: Vec<Vec<Value>>) -> anyhow::Result<()> {
        let all = self.names(self.columns.len());
        let first = page.first().and_then(|row| row.first()).cloned();
        let mut query = Builder::new(format!("INSERT INTO {} ({all}) VALUES ", self.name));
        for (place, row) in page.into_iter().enumerate() {
            query.push(if place == 0 { "(" } else { ", (" });
            query.push_list(row).push(")");
        }
        match query.build().execute(db).await {
            Ok(_) => Ok(()),
            Err(e @ Error::NulInText) => Err(anyhow::Error::from(e).context(format!(
                "a row of {} among the {PAGE} that begin with {first:?}",
                self.name
            ))),
            Err(e) => Err(e.into()),
        }
    }
}

/// Values one after the other, each with its kind and its length.
fn update(digest: &mut Context, value: &Value) {
    let (kind, bytes) = match value {
        Value::Text(None) | Value::Number(None) => (b'-', Vec::new()),
        Value::Text(Some(text)) => (b't', text.as_bytes().to_vec()),
        Value::Number(Some(number)) => (b'n', number.to_be_bytes().to_vec()),
        Value::Truth(truth) => (b'b', vec![u8::from(*truth)]),
    };
    digest.update(&[kind]);
    digest.update(&(bytes.len() as u64).to_be_bytes());
    digest.update(&bytes);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::catalog::db::query;

    /// A table or a column that a later migration brings is copied as well, or this fails.
    #[tokio::test]
    async fn every_table_and_column_is_copied() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("catalog.sqlite");
        let db = Db::open(&Database::Sqlite(path)).await.unwrap();
        let rows = query(
            "SELECT t.name AS table_name, c.name AS column_name FROM sqlite_master t, pragma_table_info(t.name) c \
             WHERE t.type = 'table' AND t.name NOT IN ('signs', '_sqlx_migrations') AND t.name NOT LIKE 'sqlite_%'",
        );
        let rows = rows.fetch_all(&mut db.read().await.unwrap()).await.unwrap();
        let there: BTreeSet<(String, String)> = rows
            .iter()
            .map(|row| {
                (
                    row.get("table_name").unwrap(),
                    row.get("column_name").unwrap(),
                )
            })
            .collect();
        let copied: BTreeSet<(String, String)> = TABLES
            .iter()
            .flat_map(|table| {
                let columns = table.columns.iter();
                columns.map(|(column, _)| (table.name.to_owned(), (*column).to_owned()))
            })
            .collect();
        assert_eq!(there, copied);
    }
}
