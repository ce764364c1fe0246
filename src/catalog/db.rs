//! The database behind a few types: connections and transactions, statements with their values, rows.
//!
//! The rest of the catalog writes SQL that any of the databases takes; where they differ, the [`Words`] come from here.
//! Drivers and what only they know stand in the modules below, one for each database.

mod postgres;
mod sqlite;
mod statement;
mod words;

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) use postgres::DatabaseProbe;
#[cfg(test)]
pub(super) use postgres::new_schema;
pub(super) use postgres::{Answer, Feed, News};
pub(super) use statement::{Builder, Row, Value, query};
pub(super) use words::Words;

use super::{Error, Result};
use crate::config::Database;

/// A database that is open, its tables as this release has them.
pub(super) struct Db {
    pools: Pools,
    /// Whether the last write found the database full or broken.
    writes_fail: AtomicBool,
}

enum Pools {
    Sqlite(sqlite::Pools),
    Postgres(postgres::Pool),
}

impl Db {
    /// Opens the database, or makes it where it is a file.
    pub(super) async fn open(at: &Database) -> anyhow::Result<Self> {
        let pools = match at {
            Database::Sqlite(path) => Pools::Sqlite(sqlite::Pools::open(path).await?),
            Database::Postgres(url) => Pools::Postgres(postgres::Pool::open(url).await?),
        };
        Ok(Self {
            pools,
            writes_fail: AtomicBool::new(false),
        })
    }

    /// Whether no other process can have the database open.
    pub(super) fn is_exclusive(&self) -> bool {
        matches!(self.pools, Pools::Sqlite(_))
    }

    /// Whether another process has it open now. A file cannot have been opened then.
    pub(super) async fn is_in_use(&self) -> Result<bool> {
        match &self.pools {
            Pools::Sqlite(_) => Ok(false),
            Pools::Postgres(pool) => pool.is_in_use().await,
        }
    }

    /// What was found of a database that is not of this process alone.
    pub(super) fn probe(&self) -> Option<&DatabaseProbe> {
        match &self.pools {
            Pools::Sqlite(_) => None,
            Pools::Postgres(pool) => Some(&pool.probe),
        }
    }

    /// What other processes change; `None` where there are none.
    pub(super) fn feed(&self) -> Option<Feed> {
        match &self.pools {
            Pools::Sqlite(_) => None,
            Pools::Postgres(pool) => Some(pool.feed()),
        }
    }

    /// A connection for reading. Each of its statements reads the last commit before it.
    pub(super) async fn read(&self) -> Result<Connection> {
        Ok(match &self.pools {
            Pools::Sqlite(pools) => Connection::Sqlite(pools.read().await?),
            Pools::Postgres(pool) => Connection::Postgres(pool.read().await?),
        })
    }

    /// The same, with all of its statements reading one commit.
    pub(super) async fn snapshot(&self) -> Result<Connection> {
        Ok(match &self.pools {
            Pools::Sqlite(pools) => Connection::Sqlite(pools.snapshot().await?),
            Pools::Postgres(pool) => Connection::Postgres(pool.snapshot().await?),
        })
    }

    /// The same as [`Db::read`], for statements that know a better way to their rows than a planner would guess.
    pub(super) async fn browse(&self) -> Result<Connection> {
        Ok(match &self.pools {
            Pools::Sqlite(pools) => Connection::Sqlite(pools.read().await?),
            Pools::Postgres(pool) => Connection::Postgres(pool.browse().await?),
        })
    }

    /// Begins a transaction that writes. What it has read stays true to its end where there is one writer; elsewhere it
    /// locks the rows that decide ([`statement::Query::locking`]), always in the order image, upload, usage.
    pub(super) async fn write(&self) -> Result<WriteTx> {
        self.begin(Durability::OnDisk).await
    }

    /// The same, of what costs nothing when a power cut takes it back: no caller was told of it, or it is found out and done
    /// again. The commit does not wait for the disk; it is there before any later one is.
    pub(super) async fn write_soon(&self) -> Result<WriteTx> {
        self.begin(Durability::Soon).await
    }

    async fn begin(&self, durability: Durability) -> Result<WriteTx> {
        Ok(WriteTx(match &self.pools {
            Pools::Sqlite(pools) => Connection::Sqlite(pools.write(durability).await?),
            Pools::Postgres(pool) => Connection::Postgres(pool.write(durability).await?),
        }))
    }

    /// Remembers whether writes succeed.
    pub(super) fn note_write<T>(&self, result: &Result<T>) {
        match result {
            Ok(_) => self.writes_fail.store(false, Ordering::Relaxed),
            Err(Error::Unavailable(_)) => self.writes_fail.store(true, Ordering::Relaxed),
            Err(_) => {}
        }
    }

    /// Asks for a sign of life. A database that is full, or a standby, still answers questions, so after a write that failed
    /// the sign is a write, where that matters as large as those of requests.
    pub(super) async fn ping(&self) -> Result<()> {
        if !self.writes_fail.load(Ordering::Relaxed) {
            query("SELECT 1").execute(&mut self.read().await?).await?;
            return Ok(());
        }
        let written = self.write_sign().await;
        self.note_write(&written);
        written
    }

    async fn write_sign(&self) -> Result<()> {
        let mut tx = self.write().await?;
        query(tx.words().write_sign).execute(&mut tx).await?;
        tx.commit().await
    }

    pub(super) async fn close(&self) {
        match &self.pools {
            Pools::Sqlite(pools) => pools.close().await,
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}

/// When a commit is safe from a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Durability {
    /// When it is answered.
    OnDisk,
    /// With the next one that is, or within a second or so.
    Soon,
}

/// A connection in use.
pub(super) enum Connection {
    Sqlite(sqlite::Connection),
    Postgres(postgres::Connection),
}

impl Connection {
    /// What this database says in its own way.
    pub(super) fn words(&self) -> &'static Words {
        match self {
            Connection::Sqlite(_) => &sqlite::WORDS,
            Connection::Postgres(_) => &postgres::WORDS,
        }
    }
}

/// A transaction that writes; rolled back unless it is committed.
pub(super) struct WriteTx(Connection);

impl WriteTx {
    /// Tells the other processes, with the commit, that an image is no longer what they may remember. Again of the same image
    /// it does nothing.
    pub(super) async fn announce(&mut self, image: &str) -> Result<()> {
        match &mut self.0 {
            Connection::Sqlite(_) => Ok(()),
            Connection::Postgres(tx) => tx.announce(image).await,
        }
    }

    /// Makes what was written true, for all and for good.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; whether it was committed is then not known.
    pub(super) async fn commit(self) -> Result<()> {
        match self.0 {
            Connection::Sqlite(tx) => tx.commit().await,
            Connection::Postgres(tx) => tx.commit().await,
        }
    }
}

impl Deref for WriteTx {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl DerefMut for WriteTx {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0
    }
}

/// The same error, unless it says that a name which has to be unique is taken.
pub(super) fn taken(e: Error) -> Error {
    let is_taken = matches!(&e, Error::Other(source) if source
        .downcast_ref::<sqlx::Error>()
        .and_then(sqlx::Error::as_database_error)
        .is_some_and(|fault| fault.is_unique_violation()));
    if is_taken { Error::Taken } else { e }
}

impl From<sqlx::Error> for Error {
    fn from(e: sqlx::Error) -> Self {
        match e {
            sqlx::Error::Database(ref fault)
                if sqlite::is_passing(&**fault) || postgres::is_passing(&**fault) =>
            {
                Error::Unavailable(e.into())
            }
            sqlx::Error::Database(ref fault) if postgres::is_nul_in_text(&**fault) => {
                Error::NulInText
            }
            // A protocol error is a connection that ended where the driver did not expect it.
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::BeginFailed
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Error::Unavailable(e.into()),
            other => Error::Other(other.into()),
        }
    }
}
