//! What a database is found to be before anything is made in it: reached, of a version and an encoding that serve, no standby,
//! with a clock that is near ours, and with connections that keep what is prepared over them. What is wrong is told with the
//! key and the remedy.
//!
//! The clock of the database is the one that leases go by, so a server whose own is off loses no upload and takes none from
//! the others. But times of records, the garbage list and signatures of requests to stores go by its own. Up to a minute
//! nobody notices. Beyond that lists are out of order, which a warning tells: a start that failed over it would turn an
//! untidiness into an outage. From a quarter of an hour on it is an error: stores refuse requests that are signed so far off,
//! and what is left of uploads would be looked for before it can have come.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::Row;
use sqlx::postgres::{PgConnection, PgDatabaseError, PgPool};

/// `xid8` and snapshots as text, by which processes follow each other, are there from 13 on.
const OLDEST_VERSION: i32 = 130_000;

/// How far the clocks may be apart before it is told, and before it is an error.
const CLOCK_WARNING: Duration = Duration::from_secs(60);
const CLOCK_ERROR: Duration = Duration::from_secs(15 * 60);

/// The shortest of so many answers tells the clock best, and how far the database is away.
const QUESTIONS: usize = 5;

const ABOUT: &str = "SELECT CAST(current_setting('server_version_num') AS INT) AS number, \
    current_setting('server_version') AS version, current_setting('server_encoding') AS encoding, \
    pg_is_in_recovery() AS is_standby";

const CLOCK: &str = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)";

const BACKEND: &str = "SELECT pg_backend_pid()";

/// Which of these tables the role may not use as the service does. Others in the schema are somebody else's.
const FORBIDDEN: &str = "SELECT CAST(string_agg(relname, ', ' ORDER BY relname) AS TEXT) FROM pg_class \
    WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) \
    AND relname = ANY($1) AND NOT (has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT') \
        AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE'))";

/// What was found. It is shown of a database whose tables were made and may be used.
#[derive(Debug)]
pub(crate) struct DatabaseProbe {
    version: String,
    /// Of one question.
    latency: Duration,
    clock: Clock,
    is_pooled: bool,
}

/// How far the clock of the database is from ours, microseconds; positive when it is ahead.
#[derive(Debug, Clone, Copy)]
struct Clock(i64);

impl DatabaseProbe {
    /// Looks at the database.
    ///
    /// # Errors
    /// Why it does not serve.
    pub(super) async fn of(pool: &PgPool) -> anyhow::Result<Self> {
        let mut connection = pool.acquire().await?;
        let about = sqlx::query(ABOUT).fetch_one(&mut *connection).await?;
        let version: String = about.try_get("version")?;
        if about.try_get::<i32, _>("number")? < OLDEST_VERSION {
            anyhow::bail!("it is PostgreSQL {version}: 13 or newer is needed");
        }
        let encoding: String = about.try_get("encoding")?;
        if encoding != "UTF8" {
            anyhow::bail!(
                "its encoding is {encoding}: make one with ENCODING 'UTF8' (and TEMPLATE template0)"
            );
        }
        if about.try_get("is_standby")? {
            anyhow::bail!("it is a standby, which takes no writes: name the primary");
        }
        let (latency, clock) = clock(&mut connection).await?;
        drop(connection);
        if clock.is_beyond(CLOCK_ERROR) {
            anyhow::bail!("its clock is {clock}: set the clocks of both machines, as by NTP");
        }
        Ok(Self {
            version,
            latency,
            clock,
            is_pooled: is_pooled(pool).await?,
        })
    }

    /// What is worth a look, though the database serves.
    pub(crate) fn warning(&self) -> Option<String> {
        let clock = self.clock;
        clock.is_beyond(CLOCK_WARNING).then(|| {
            format!(
                "the clock of the database is {clock}: times of records and lists ordered by them will not agree with those \
                 of other servers; set the clocks of both machines, as by NTP"
            )
        })
    }
}

impl fmt::Display for DatabaseProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let latency = self.latency.as_secs_f64() * 1000.0;
        let transactions = match self.is_pooled {
            true => "a pooler gives each transaction a connection and keeps what is prepared",
            false => "each connection is a session of its own",
        };
        write!(
            f,
            "PostgreSQL {} answers in {latency:.2} ms; its clock is {}; the role of the URL may use every table; \
             {transactions}",
            self.version, self.clock
        )
    }
}

impl Clock {
    fn is_beyond(self, limit: Duration) -> bool {
        u128::from(self.0.unsigned_abs()) > limit.as_micros()
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.unsigned_abs() as f64 / 1e6;
        let side = if self.0 < 0 { "behind" } else { "ahead of" };
        write!(f, "{seconds:.1} s {side} this machine's")
    }
}

async fn clock(connection: &mut PgConnection) -> sqlx::Result<(Duration, Clock)> {
    let mut best = None;
    for _ in 0..QUESTIONS {
        let (asked_at, asked) = (micros_now(), tokio::time::Instant::now());
        let theirs: i64 = sqlx::query_scalar(CLOCK)
            .fetch_one(&mut *connection)
            .await?;
        let latency = asked.elapsed();
        let ours = asked_at + i64::try_from(latency.as_micros() / 2).unwrap_or(0);
        if best.is_none_or(|(shortest, _)| latency < shortest) {
            best = Some((latency, Clock(theirs - ours)));
        }
    }
    Ok(best.unwrap_or((Duration::ZERO, Clock(0))))
}

fn micros_now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_micros()).unwrap_or(i64::MAX))
}

/// Whether a pooler gives each transaction whatever connection is free. While another transaction has the one that the first
/// question went over, the second goes over another, or both went over the same.
async fn is_pooled(pool: &PgPool) -> sqlx::Result<bool> {
    let ask = async |connection: &mut PgConnection| -> sqlx::Result<i32> {
        sqlx::query_scalar(BACKEND).fetch_one(connection).await
    };
    let mut one = pool.acquire().await?;
    let before = ask(&mut one).await?;
    let mut other = pool.begin().await?;
    let held = ask(&mut other).await?;
    let after = ask(&mut one).await?;
    other.rollback().await?;
    Ok(before == held || before != after)
}

/// Makes sure that the role may use every table that this text of migrations makes.
///
/// # Errors
/// One that names those which it may not use.
pub(super) async fn check_rights(pool: &PgPool, migrations: &str) -> anyhow::Result<()> {
    let lines = migrations.lines();
    let made = lines.filter_map(|line| line.strip_prefix("CREATE TABLE "));
    let names: Vec<&str> = made
        .filter_map(|rest| rest.split_whitespace().next())
        .collect();
    let forbidden: Option<String> = sqlx::query_scalar(FORBIDDEN)
        .bind(names)
        .fetch_one(pool)
        .await?;
    match forbidden {
        None => Ok(()),
        Some(tables) => anyhow::bail!(
            "the role of the URL may not read and write {tables}: make it their owner, or GRANT SELECT, INSERT, UPDATE, \
             DELETE ON ALL TABLES IN SCHEMA … TO it"
        ),
    }
}

/// Names the key, and what to do where that is known.
pub(super) fn explained<T>(outcome: anyhow::Result<T>) -> anyhow::Result<T> {
    outcome.map_err(|e| match remedy(&e) {
        Some(remedy) => e.context(format!(
            "the database of catalog.url does not serve ({remedy})"
        )),
        None => e.context("the database of catalog.url does not serve"),
    })
}

fn remedy(e: &anyhow::Error) -> Option<&'static str> {
    let fault = e.chain().find_map(|e| e.downcast_ref::<sqlx::Error>())?;
    match fault {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => {
            Some("is it running, and does it listen at this host and port?")
        }
        sqlx::Error::Tls(_) => Some("see sslmode and sslrootcert of the URL"),
        fault => {
            let fault = fault.as_database_error()?;
            by_code(fault.try_downcast_ref::<PgDatabaseError>()?.code())
        }
    }
}

fn by_code(code: &str) -> Option<&'static str> {
    match code {
        "28000" | "28P01" => {
            Some("see user and password of the URL, and pg_hba.conf of the database server")
        }
        "3D000" => Some("make it: CREATE DATABASE … OWNER … TEMPLATE template0 ENCODING 'UTF8'"),
        // Of a schema that is not there, and of one that the role may not use, the same is said.
        "3F000" => Some("make the schema that search_path names, and let the role use it"),
        "42501" => Some(
            "make the role its owner, or GRANT CREATE, USAGE on the schema and all rights on its tables to the role",
        ),
        "25006" => Some("it takes no writes: name the primary"),
        // A statement that was prepared over another connection, or by another client over this one.
        "26000" | "42P05" => Some(
            "a pooler before it gives each transaction another connection without what was prepared: PgBouncer does from \
             1.21 on, with max_prepared_statements, or with pool_mode = session",
        ),
        _ => None,
    }
}
