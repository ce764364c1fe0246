//! PostgreSQL: one database, any number of processes. How it is opened and migrated, its words, what its errors mean.
//!
//! Everything is run within a time limit: a connection over which nothing comes any more is found out by that.

use std::future::Future;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use sqlx::error::DatabaseError;
use sqlx::migrate::Migrator;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{
    PgArguments, PgConnectOptions, PgConnection, PgDatabaseError, PgPool, PgPoolOptions, PgRow,
};
use sqlx::{Postgres, Transaction};
use tokio::time::Instant;

use super::statement::{Query, migration_fault, query};
use super::{Durability, Value, Words};
use crate::catalog::{Error, Result};
use crate::config::Secret;

mod feed;
mod memory_lease;
mod probe;

pub(in crate::catalog) use feed::{Answer, Feed, News};
use memory_lease::{HOLDER, MemoryLease};
pub(crate) use probe::DatabaseProbe;

/// Connections of one process. More only queue within the database: a statement takes a fraction of a millisecond.
const CONNECTIONS: u32 = 16;

/// How long a connection may take, from the pool or anew.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a statement may take, locks included. No statement of ours comes near it.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(20);

/// A connection that was not used for so long is asked for a sign of life before it is.
const IDLE: Duration = Duration::from_secs(2);

/// How long that may take, and the end of what a connection was used for.
const SIGN_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the outcome of a commit is looked for whose answer was lost.
const COMMIT_LOOK: Duration = Duration::from_secs(10);
const COMMIT_LOOK_PAUSE: Duration = Duration::from_millis(200);

/// Begins to write, whatever the site has set as its defaults: rows that decide are locked, and read again after a wait. A
/// process that stops or is cut off in between keeps others from its rows no longer than a statement may take. The transaction
/// has its number from the start, by which others can wait for its end.
macro_rules! begin_to_write {
    ($more:literal) => {
        concat!(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
             SET LOCAL lock_timeout = '15s'; SET LOCAL statement_timeout = '20s'; \
             SET LOCAL idle_in_transaction_session_timeout = '20s'; ",
            $more,
            "SELECT pg_current_xact_id()"
        )
    };
}
const WRITE: &str = begin_to_write!("");
const WRITE_SOON: &str = begin_to_write!("SET LOCAL synchronous_commit = off; ");

/// Begins to read what one moment had.
const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
    SET LOCAL statement_timeout = '20s'; SET LOCAL idle_in_transaction_session_timeout = '20s'";

/// Begins to look for a page of rows by the way that was chosen for it. A plan for any values would be made for the commonest, and
/// workers take longer to start than the page does.
const BROWSE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; \
    SET LOCAL statement_timeout = '20s'; SET LOCAL idle_in_transaction_session_timeout = '20s'; \
    SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL max_parallel_workers_per_gather = 0";

/// How this program's connections are named, before what tells processes apart.
const APPLICATION: &str = "oriel-";

const FIRST_MIGRATION: &str = include_str!("../migrations/postgres/0001_catalog.sql");

/// Tells the migrations of this program from the locks of others: "oriel" in hex.
const MIGRATION_LOCK: i64 = 0x006f_7269_656c;

pub(super) const WORDS: Words = Words {
    in_this_order: " CROSS JOIN ",
    by_index: |_| String::new(),
    json_array: "json_build_array",
    json_of_rows: |item| format!("COALESCE(json_agg({item}), '[]')"),
    now: "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)",
    locking: " FOR UPDATE",
    skipping_locked: " FOR UPDATE SKIP LOCKED",
    write_sign: "INSERT INTO signs (id, at) VALUES (1, CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS BIGINT)) \
        ON CONFLICT (id) DO UPDATE SET at = excluded.at",
};

/// The connections to a database.
pub(super) struct Pool {
    connections: PgPool,
    /// By which the database knows this process from the others.
    name: String,
    lease: Arc<MemoryLease>,
    /// What it was found to be when it was opened.
    pub(super) probe: DatabaseProbe,
}

impl Pool {
    /// Connects, and brings the tables up to date.
    pub(super) async fn open(url: &Secret) -> anyhow::Result<Self> {
        let name = format!("{APPLICATION}{:016x}", fastrand::u64(..));
        let options = PgConnectOptions::from_str(url.expose())
            .context("catalog.url is not the URL of a PostgreSQL database")?
            .application_name(&name);
        let lease = Arc::new(MemoryLease::new(&name, options.clone()));
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(CONNECT_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(
                    async move { Ok(meta.idle_for < IDLE || gives_sign(connection).await.is_ok()) },
                )
            })
            .after_release(|connection, _| Box::pin(is_outside_transactions(connection)))
            .connect_with(options)
            .await
            .context("cannot connect");
        let opened = async {
            let pool = pool?;
            let probe = DatabaseProbe::of(&pool).await?;
            migrate(&pool).await?;
            probe::check_rights(&pool, FIRST_MIGRATION).await?;
            Ok((pool, probe))
        };
        let (connections, probe) = probe::explained(opened.await)?;
        if let Some(warning) = probe.warning() {
            tracing::warn!("{warning}");
        }
        Ok(Self {
            connections,
            name,
            lease,
            probe,
        })
    }

    pub(super) async fn read(&self) -> Result<Connection> {
        Ok(Connection {
            with: With::Pooled(self.connections.acquire().await?),
            pool: self.connections.clone(),
            lease: Arc::clone(&self.lease),
            announced: None,
        })
    }

    pub(super) async fn snapshot(&self) -> Result<Connection> {
        self.begin(SNAPSHOT).await
    }

    pub(super) async fn browse(&self) -> Result<Connection> {
        self.begin(BROWSE).await
    }

    pub(super) async fn write(&self, durability: Durability) -> Result<Connection> {
        self.begin(match durability {
            Durability::OnDisk => WRITE,
            Durability::Soon => WRITE_SOON,
        })
        .await
    }

    async fn begin(&self, how: &'static str) -> Result<Connection> {
        let tx = timely(self.connections.begin_with(how)).await?;
        Ok(Connection {
            with: With::Transaction(tx),
            pool: self.connections.clone(),
            lease: Arc::clone(&self.lease),
            announced: None,
        })
    }

    /// Whether other processes of this program are connected to the database.
    pub(super) async fn is_in_use(&self) -> Result<bool> {
        let others = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() \
                      AND starts_with(application_name, $1) AND application_name <> $2 LIMIT 1";
        let others = query(others).bind(APPLICATION).bind(&self.name);
        let found = fetch_optional(&mut self.read().await?, others).await?;
        Ok(found.is_some())
    }

    pub(super) fn feed(&self) -> Feed {
        Feed::new(self.connections.clone(), Arc::clone(&self.lease))
    }

    pub(super) async fn close(&self) {
        self.lease.release(&self.connections).await;
        let _ = tokio::time::timeout(SIGN_TIMEOUT, self.connections.close()).await;
    }
}

/// Servers that start together wait for each other here. A lock that ends with its transaction also holds through a pooler.
async fn migrate(pool: &PgPool) -> anyhow::Result<()> {
    let mut lock = pool
        .begin_with("BEGIN; SET LOCAL lock_timeout = '5min'")
        .await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(MIGRATION_LOCK)
        .execute(&mut *lock)
        .await?;
    let foreign: Option<String> = sqlx::query_scalar(
        "SELECT CAST(table_name AS TEXT) FROM information_schema.tables WHERE table_schema = current_schema() \
         AND NOT EXISTS (SELECT 1 FROM information_schema.tables WHERE table_schema = current_schema() \
             AND table_name = '_sqlx_migrations') ORDER BY table_name LIMIT 1",
    )
    .fetch_optional(&mut *lock)
    .await?;
    if let Some(table) = foreign {
        anyhow::bail!(
            "it is not empty and not Oriel's, since it has a table {table}: name another database"
        );
    }
    migrations().run(pool).await.map_err(migration_fault)?;
    lock.commit().await?;
    Ok(())
}

/// Migrations only add; a removal comes one release after its last use.
fn migrations() -> Migrator {
    let mut migrator = super::statement::migrator(&[
        (1, "catalog", FIRST_MIGRATION),
        (
            2,
            "locations by key",
            include_str!("../migrations/postgres/0002_locations_by_key.sql"),
        ),
        (
            3,
            "memory lease",
            include_str!("../migrations/postgres/0003_memory_lease.sql"),
        ),
        (
            4,
            "staging",
            include_str!("../migrations/postgres/0004_staging.sql"),
        ),
        (
            5,
            "task leases",
            include_str!("../migrations/postgres/0005_task_leases.sql"),
        ),
        (
            6,
            "uploads of tasks",
            include_str!("../migrations/postgres/0006_uploads_of_tasks.sql"),
        ),
    ]);
    migrator.set_locking(false);
    migrator
}

/// A connection in use.
pub(in crate::catalog) struct Connection {
    with: With,
    pool: PgPool,
    lease: Arc<MemoryLease>,
    /// The last thing that was announced in the transaction.
    announced: Option<Announced>,
}

/// A row in `changes`, by which a transaction is found whose outcome is in doubt. Its number alone does not tell: after a crash
/// the database gives numbers out again that no commit had made last.
struct Announced {
    xid: String,
    image: String,
    at: String,
}

enum With {
    Pooled(PoolConnection<Postgres>),
    Transaction(Transaction<'static, Postgres>),
}

impl Connection {
    fn driver(&mut self) -> &mut PgConnection {
        match &mut self.with {
            With::Pooled(connection) => connection,
            With::Transaction(tx) => tx,
        }
    }

    /// Leaves word for the feeds of all processes; it is seen by whoever sees the rest of the transaction. A process that does
    /// not ask is waited for.
    pub(super) async fn announce(&mut self, image: &str) -> Result<()> {
        if self
            .announced
            .as_ref()
            .is_some_and(|last| last.image == image)
        {
            return Ok(());
        }
        let announced = query(
            "INSERT INTO changes (image_id) VALUES ($1) \
             RETURNING CAST(xid AS TEXT) AS xid, CAST(at AS TEXT) AS at, (SELECT holder FROM memory_lease) AS holder",
        )
        .bind(image);
        let row = fetch_optional(self, announced).await?;
        let row = row.ok_or(sqlx::Error::RowNotFound)?;
        self.announced = Some(Announced {
            xid: sqlx::Row::try_get(&row, "xid")?,
            image: image.to_owned(),
            at: sqlx::Row::try_get(&row, "at")?,
        });
        let mut holder: Option<String> = sqlx::Row::try_get(&row, "holder")?;
        let give_up = Instant::now() + STATEMENT_TIMEOUT;
        while let Some(other) = holder.filter(|holder| !self.lease.is_ours(holder)) {
            if Instant::now() >= give_up {
                return Err(Error::Unavailable(
                    "another server's lease does not end".into(),
                ));
            }
            self.lease.end(&other).await?;
            let row = fetch_optional(self, query(HOLDER)).await?;
            let row = row.ok_or(sqlx::Error::RowNotFound)?;
            holder = sqlx::Row::try_get(&row, "holder")?;
        }
        Ok(())
    }

    /// Commits. Where the answer is lost, the database is asked what became of the transaction.
    pub(super) async fn commit(self) -> Result<()> {
        let With::Transaction(tx) = self.with else {
            return Ok(());
        };
        let lost = match timely(tx.commit()).await {
            Err(Error::Unavailable(cause)) => Error::Unavailable(cause),
            answered => return answered,
        };
        match self.announced {
            Some(announced) => outcome(&self.pool, &announced).await.ok_or(lost)?,
            None => Err(lost),
        }
    }
}

/// What became of a transaction; `None` when the database does not tell in time.
async fn outcome(pool: &PgPool, announced: &Announced) -> Option<Result<()>> {
    let look = async {
        loop {
            match is_committed(pool, announced).await {
                Ok(Some(true)) => return Ok(()),
                Ok(Some(false)) => {
                    return Err(Error::Unavailable("the transaction was rolled back".into()));
                }
                // Still under way, or the database is away.
                Ok(None) | Err(_) => tokio::time::sleep(COMMIT_LOOK_PAUSE).await,
            }
        }
    };
    tokio::time::timeout(COMMIT_LOOK, look).await.ok()
}

/// `None` while a transaction of this number is under way. The row is looked for after that, since a statement does not see
/// what is committed while it runs.
async fn is_committed(pool: &PgPool, announced: &Announced) -> sqlx::Result<Option<bool>> {
    let status: Option<String> = sqlx::query_scalar("SELECT pg_xact_status(CAST($1 AS xid8))")
        .bind(&announced.xid)
        .fetch_one(pool)
        .await?;
    match status.as_deref() {
        Some("committed") => {}
        Some("aborted") => return Ok(Some(false)),
        _ => return Ok(None),
    }
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM changes WHERE xid = CAST($1 AS xid8) AND image_id = $2 \
         AND at = CAST($3 AS TIMESTAMPTZ))",
    )
    .bind(&announced.xid)
    .bind(&announced.image)
    .bind(&announced.at)
    .fetch_one(pool)
    .await
    .map(Some)
}

/// Runs what the driver does within the time that a statement may take.
async fn timely<T>(work: impl Future<Output = sqlx::Result<T>>) -> Result<T> {
    match tokio::time::timeout(STATEMENT_TIMEOUT, work).await {
        Ok(done) => Ok(done?),
        Err(elapsed) => Err(Error::Unavailable(elapsed.into())),
    }
}

/// The rollback of a dropped transaction is only queued, and the answer to this comes after it. One that was dropped while it began is
/// not even that: the driver takes the connection for a free one.
async fn is_outside_transactions(connection: &mut PgConnection) -> sqlx::Result<bool> {
    let question = sqlx::raw_sql("SELECT now() = statement_timestamp()").fetch_one(connection);
    match tokio::time::timeout(SIGN_TIMEOUT, question).await {
        Ok(row) => sqlx::Row::try_get(&row?, 0),
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}

async fn gives_sign(connection: &mut PgConnection) -> sqlx::Result<()> {
    let sign = sqlx::Connection::ping(connection);
    match tokio::time::timeout(SIGN_TIMEOUT, sign).await {
        Ok(sign) => sign,
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}

fn with_values(query: Query) -> sqlx::query::Query<'static, Postgres, PgArguments> {
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
    let done = timely(with_values(query).execute(db.driver())).await?;
    Ok(done.rows_affected())
}

pub(super) async fn fetch_all(db: &mut Connection, query: Query) -> Result<Vec<PgRow>> {
    timely(with_values(query).fetch_all(db.driver())).await
}

pub(super) async fn fetch_optional(db: &mut Connection, query: Query) -> Result<Option<PgRow>> {
    timely(with_values(query).fetch_optional(db.driver())).await
}

/// The server's trouble, or that of several transactions with each other, and not the statement's: the same request may
/// succeed later.
pub(super) fn is_passing(fault: &dyn DatabaseError) -> bool {
    let Some(fault) = fault.try_downcast_ref::<PgDatabaseError>() else {
        return false;
    };
    match fault.code() {
        // Read only: a standby, or a primary that was made one.
        "25006"
        // Serialization and deadlock.
        | "40001" | "40P01"
        // A lock that was not to be had, a statement that was ended.
        | "55P03" | "57014" => true,
        // Connections, resources, shutdown and start, the system beneath.
        code => ["08", "53", "57P", "58"].iter().any(|class| code.starts_with(class)),
    }
}

/// `character_not_in_repertoire`; every other text is UTF-8 when it comes here.
pub(super) fn is_nul_in_text(fault: &dyn DatabaseError) -> bool {
    let fault = fault.try_downcast_ref::<PgDatabaseError>();
    fault.is_some_and(|fault| fault.code() == "22021")
}

/// Makes a schema on a server for a test; gives its URL.
#[cfg(test)]
pub(in crate::catalog) async fn new_schema(server: &str) -> Secret {
    let name = format!("t{}", uuid::Uuid::new_v4().simple());
    let pool = PgPool::connect(server).await.unwrap();
    let create = sqlx::AssertSqlSafe(format!("CREATE SCHEMA {name}"));
    sqlx::raw_sql(create).execute(&pool).await.unwrap();
    pool.close().await;
    Secret::new(format!("{server}?options[search_path]={name}"))
}
