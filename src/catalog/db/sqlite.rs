//! SQLite: one file, one process, one writer. How it is opened and migrated, its words, what its errors mean.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use sqlx::error::DatabaseError;
use sqlx::migrate::Migrator;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteError, SqliteJournalMode, SqlitePool,
    SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Sqlite, SqliteConnection, Transaction};

use super::statement::{Query, migration_fault};
use super::{Durability, Value, Words};
use crate::catalog::Result;

/// Readers see the last commit while a writer works (WAL); four keep two cores busy.
const READERS: u32 = 4;

/// SQLite has one writer at a time. One connection makes the queue ours, fair and without busy errors.
const WRITERS: u32 = 1;

pub(super) const WORDS: Words = Words {
    in_this_order: " CROSS JOIN ",
    by_index: |name| format!(" INDEXED BY {name}"),
    json_array: "json_array",
    json_of_rows: |item| format!("json_group_array({item})"),
    now: "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
    locking: "",
    skipping_locked: "",
    // As large as the writes of requests: a database that is full still takes small ones.
    write_sign: "INSERT OR REPLACE INTO signs (id, bytes) VALUES (1, zeroblob(65536))",
};

/// Pages of the database that each connection may keep, KiB. Lists look rows up all over a large catalog; the upper levels
/// of its indexes stay in memory with this, and fall out of SQLite's own 2 MiB.
const PAGES_KIB: u32 = 16 * 1024;

/// Read and write for the user that runs the service.
const OWNER_ONLY: u32 = 0o600;

const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The connections to a file.
pub(super) struct Pools {
    readers: SqlitePool,
    writer: SqlitePool,
    /// Held for the life of the process: two processes on one file would each trust their own cache.
    _lock: File,
}

impl Pools {
    pub(super) async fn open(path: &Path) -> anyhow::Result<Self> {
        if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        }
        let lock = lock(path)?;
        make_private(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An answered upload must survive a power cut.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .pragma("cache_size", format!("-{PAGES_KIB}"))
            .busy_timeout(BUSY_TIMEOUT);
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                // There is no server that could have gone away, and asking costs two changes of threads.
                .test_before_acquire(false)
                .after_release(|connection, _| Box::pin(is_sound(connection)))
                .acquire_timeout(BUSY_TIMEOUT)
        };
        let writer = pool(WRITERS)
            .connect_with(options.clone())
            .await
            .with_context(|| format!("cannot open the catalog {}", path.display()))?;
        migrations()
            .run(&writer)
            .await
            .map_err(migration_fault)
            .with_context(|| format!("the catalog {}", path.display()))?;
        let readers = pool(READERS).connect_with(options.read_only(true)).await?;
        Ok(Self {
            readers,
            writer,
            _lock: lock,
        })
    }

    pub(super) async fn read(&self) -> Result<Connection> {
        Ok(Connection::Pooled(self.readers.acquire().await?))
    }

    pub(super) async fn snapshot(&self) -> Result<Connection> {
        Ok(Connection::Transaction(self.readers.begin().await?))
    }

    /// Holds the write lock from its first statement. In WAL a commit that syncs takes those before it to the disk as well.
    pub(super) async fn write(&self, durability: Durability) -> Result<Connection> {
        let begin = match durability {
            Durability::OnDisk => "PRAGMA synchronous = FULL; BEGIN IMMEDIATE",
            Durability::Soon => "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE",
        };
        let tx = self.writer.begin_with(begin).await?;
        Ok(Connection::Transaction(tx))
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// A connection in use.
pub(in crate::catalog) enum Connection {
    Pooled(PoolConnection<Sqlite>),
    Transaction(Transaction<'static, Sqlite>),
}

impl Connection {
    fn driver(&mut self) -> &mut SqliteConnection {
        match self {
            Connection::Pooled(connection) => connection,
            Connection::Transaction(tx) => tx,
        }
    }

    pub(super) async fn commit(self) -> Result<()> {
        match self {
            Connection::Pooled(_) => Ok(()),
            Connection::Transaction(tx) => Ok(tx.commit().await?),
        }
    }
}

fn with_values(query: Query) -> sqlx::query::Query<'static, Sqlite, SqliteArguments> {
    let mut with = sqlx::query(query.text);
    for value in query.values {
        with = match value {
            Value::Text(text) => with.bind(text),
            Value::Number(number) => with.bind(number),
            Value::Truth(truth) => with.bind(truth),
        };
    }
    with
}

pub(super) async fn execute(db: &mut Connection, query: Query) -> Result<u64> {
    let done = with_values(query).execute(db.driver()).await?;
    Ok(done.rows_affected())
}

pub(super) async fn fetch_all(db: &mut Connection, query: Query) -> Result<Vec<SqliteRow>> {
    Ok(with_values(query).fetch_all(db.driver()).await?)
}

pub(super) async fn fetch_optional(db: &mut Connection, query: Query) -> Result<Option<SqliteRow>> {
    Ok(with_values(query).fetch_optional(db.driver()).await?)
}

/// Busy, locked, I/O error, full and cannot-open: the file's trouble, and not the statement's.
pub(super) fn is_passing(fault: &dyn DatabaseError) -> bool {
    let fault = fault.try_downcast_ref::<SqliteError>();
    let code = fault.and_then(DatabaseError::code);
    code.is_some_and(|code| {
        code.parse::<u32>()
            .is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 10 | 13 | 14))
    })
}

/// Whether a connection may be used again. SQLite itself rolls a transaction back when the disk is full or broken; our
/// rollback then fails, and the connection would be taken for one within a transaction for ever.
async fn is_sound(connection: &mut SqliteConnection) -> sqlx::Result<bool> {
    // The rollback of a dropped transaction is only queued; the answer to this comes after it.
    sqlx::Connection::ping(&mut *connection).await?;
    Ok(!sqlx::Connection::is_in_transaction(connection))
}

/// Records are nobody else's to read: the file and those that SQLite puts beside it, which take its mode.
fn make_private(path: &Path) -> anyhow::Result<()> {
    let make = || -> std::io::Result<()> {
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(OWNER_ONLY)
            .open(path)?;
        for end in ["", "-wal", "-shm", ".lock"] {
            let mut name = path.as_os_str().to_owned();
            name.push(end);
            match std::fs::set_permissions(&name, Permissions::from_mode(OWNER_ONLY)) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        Ok(())
    };
    make().with_context(|| format!("cannot make the catalog {} private", path.display()))
}

fn lock(path: &Path) -> anyhow::Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = File::create(&name)
        .with_context(|| format!("cannot make {}", Path::new(&name).display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => anyhow::bail!(
            "the catalog {} is in use by another process",
            path.display()
        ),
        Err(TryLockError::Error(e)) => Err(e).context("cannot lock the catalog"),
    }
}

/// Migrations only add; a removal comes one release after its last use.
fn migrations() -> Migrator {
    macro_rules! migrations {
        ($($version:literal $name:literal $file:literal)+) => {
            [$((
                $version,
                $name,
                include_str!(concat!("../migrations/sqlite/", $file, ".sql")),
            )),+]
        };
    }
    super::statement::migrator(&migrations! {
        1 "images" "0001_images"
        2 "members" "0002_members"
        3 "lists" "0003_lists"
        4 "metadefs" "0004_metadefs"
        5 "tasks" "0005_tasks"
        6 "ids" "0006_ids"
        7 "signs" "0007_signs"
        8 "garbage by store" "0008_garbage_by_store"
        9 "project usage" "0009_project_usage"
        10 "truths" "0010_truths"
        11 "locations by key" "0011_locations_by_key"
        12 "staging" "0012_staging"
        13 "task leases" "0013_task_leases"
        14 "uploads of tasks" "0014_uploads_of_tasks"
    })
}
