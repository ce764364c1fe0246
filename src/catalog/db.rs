//! The only place that knows the database's dialect: how it is opened, migrated, and what its errors mean.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection, SqlSafeStr, SqliteConnection};

use super::{Error, Result};

/// A transaction that writes.
pub(super) type WriteTx = sqlx::Transaction<'static, sqlx::Sqlite>;

/// Readers see the last commit while a writer works (WAL); four keep two cores busy.
const READERS: u32 = 4;

/// SQLite has one writer at a time. One connection makes the queue ours, fair and without busy errors.
const WRITERS: u32 = 1;

/// Joins two tables so that the first is gone through and the second looked up, and not the other way round.
pub(super) const IN_THIS_ORDER: &str = " CROSS JOIN ";

/// Pages of the database that each connection may keep, KiB. Lists look rows up all over a large catalog; the upper levels
/// of its indexes stay in memory with this, and fall out of SQLite's own 2 MiB.
const PAGES_KIB: u32 = 16 * 1024;

/// Read and write for the user that runs the service.
const OWNER_ONLY: u32 = 0o600;

const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct Db {
    readers: SqlitePool,
    writer: SqlitePool,
    /// Whether the last write found the file full or broken.
    writes_fail: AtomicBool,
    /// Held for the life of the process: two processes on one file would each trust their own cache.
    _lock: File,
}

impl Db {
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
            // An answered upload must survive a power cut: every commit reaches the disk.
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
            .context("cannot bring the catalog's tables up to date")?;
        let readers = pool(READERS).connect_with(options.read_only(true)).await?;
        Ok(Self {
            readers,
            writer,
            writes_fail: AtomicBool::new(false),
            _lock: lock,
        })
    }

    pub(super) fn reader(&self) -> &SqlitePool {
        &self.readers
    }

    /// Begins a transaction that holds the write lock from its first statement, so that what it read stays true.
    pub(super) async fn write(&self) -> Result<WriteTx> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
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
            sqlx::query("SELECT 1").execute(&self.readers).await?;
            return Ok(());
        }
        let written = self.write_sign().await;
        self.note_write(&written);
        written
    }

    async fn write_sign(&self) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query("INSERT OR REPLACE INTO signs (id, bytes) VALUES (1, zeroblob(65536))")
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Whether a connection may be used again. SQLite itself rolls a transaction back when the disk is full or broken; our
/// rollback then fails, and the connection would be taken for one within a transaction for ever.
async fn is_sound(connection: &mut SqliteConnection) -> sqlx::Result<bool> {
    // The rollback of a dropped transaction is only queued; the answer to this comes after it.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
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

/// Says which index a table is gone through by, after the table's name. Lists count before they choose, and know better
/// than a planner whose statistics are old or missing.
pub(super) fn by_index(name: &str) -> String {
    format!(" INDEXED BY {name}")
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
    let migration = |version, name: &'static str, sql: &'static str| {
        let sql = sql.into_sql_str();
        Migration::new(version, name.into(), MigrationType::Simple, sql, false)
    };
    Migrator::with_migrations(vec![
        migration(1, "images", include_str!("migrations/0001_images.sql")),
        migration(2, "members", include_str!("migrations/0002_members.sql")),
        migration(3, "lists", include_str!("migrations/0003_lists.sql")),
        migration(4, "metadefs", include_str!("migrations/0004_metadefs.sql")),
        migration(5, "tasks", include_str!("migrations/0005_tasks.sql")),
        migration(6, "ids", include_str!("migrations/0006_ids.sql")),
        migration(7, "signs", include_str!("migrations/0007_signs.sql")),
        migration(
            8,
            "garbage by store",
            include_str!("migrations/0008_garbage_by_store.sql"),
        ),
    ])
}

/// The same for a statement that gives a record another name: a broken unique key says that the name is taken.
pub(super) fn taken(e: sqlx::Error) -> Error {
    match &e {
        sqlx::Error::Database(fault) if fault.is_unique_violation() => Error::Taken,
        _ => e.into(),
    }
}

impl From<sqlx::Error> for Error {
    fn from(e: sqlx::Error) -> Self {
        match e {
            // SQLite's busy, locked, I/O error, full and cannot-open: the file's trouble, not the statement's.
            sqlx::Error::Database(ref fault)
                if fault.code().is_some_and(|code| {
                    code.parse::<u32>()
                        .is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 10 | 13 | 14))
                }) =>
            {
                Error::Unavailable(e)
            }
            sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Error::Unavailable(e),
            other => Error::Other(Box::new(other)),
        }
    }
}
