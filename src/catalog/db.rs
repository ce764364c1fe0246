//! The database behind a few types: connections and transactions, statements with their values, rows.
//!
//! The rest of the catalog writes SQL that any of the databases takes; where they differ, the words come from here. Drivers
//! and what only they know stand in the modules below.

mod sqlite;
mod statement;

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) use sqlite::{IN_THIS_ORDER, by_index};
pub(super) use statement::{Builder, Row, Value, query};

use super::{Error, Result};

/// A database that is open, its tables as this release has them.
pub(super) struct Db {
    pools: sqlite::Pools,
    /// Whether the last write found the database full or broken.
    writes_fail: AtomicBool,
}

impl Db {
    /// Opens the file at `path`, or makes it.
    pub(super) async fn open(path: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            pools: sqlite::Pools::open(path).await?,
            writes_fail: AtomicBool::new(false),
        })
    }

    /// A connection for reading. Each of its statements reads the last commit before it.
    pub(super) async fn read(&self) -> Result<Connection> {
        Ok(Connection(self.pools.read().await?))
    }

    /// The same, with all of its statements reading one commit.
    pub(super) async fn snapshot(&self) -> Result<Connection> {
        Ok(Connection(self.pools.snapshot().await?))
    }

    /// Begins a transaction that writes. What it has read stays true to its end.
    pub(super) async fn write(&self) -> Result<WriteTx> {
        Ok(WriteTx(Connection(self.pools.write().await?)))
    }

    /// Remembers whether writes succeed.
    pub(super) fn note_write<T>(&self, result: &Result<T>) {
        match result {
            Ok(_) => self.writes_fail.store(false, Ordering::Relaxed),
            Err(Error::Unavailable(_)) => self.writes_fail.store(true, Ordering::Relaxed),
            Err(_) => {}
        }
    }

    /// Asks for a sign of life. A database that is full still answers questions, so after a write that failed the sign is
    /// a write, as large as those of requests.
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
        query(sqlite::WRITE_SIGN).execute(&mut tx).await?;
        tx.commit().await
    }

    pub(super) async fn close(&self) {
        self.pools.close().await;
    }
}

/// A connection in use.
pub(super) struct Connection(sqlite::Connection);

/// A transaction that writes; rolled back unless it is committed.
pub(super) struct WriteTx(Connection);

impl WriteTx {
    /// Makes what was written true, for all and for good.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; whether it was committed is then not known.
    pub(super) async fn commit(self) -> Result<()> {
        self.0.0.commit().await
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
            sqlx::Error::Database(ref fault) if sqlite::is_passing(&**fault) => {
                Error::Unavailable(e.into())
            }
            sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Error::Unavailable(e.into()),
            other => Error::Other(other.into()),
        }
    }
}
