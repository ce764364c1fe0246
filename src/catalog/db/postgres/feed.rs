//! What other processes have changed, asked for again and again.
//!
//! Every transaction that changes an image leaves a row with its own number. A question gives the rows of the transactions
//! that the question before could not see yet, by comparing snapshots: none is missed and none comes twice, in whatever order
//! they were begun and committed, and nobody waits for anybody's lock.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::pool::PoolConnection;
use sqlx::{Postgres, Row};
use tokio::time::Instant;

use super::memory_lease::{MemoryLease, TRUST};
use super::timely;
use crate::catalog::{Error, Result};
use crate::image::{ImageId, Micros};

/// Rows are kept for so long. Who has not asked for [`GAP`] takes nothing it remembers for true.
const KEPT: &str = "10 minutes";
const GAP: Micros = 60 * 1_000_000;

/// How often old rows are removed.
const PRUNE_EVERY: Micros = 60 * 1_000_000;

/// How long nobody has to ask before this process does.
const IDLE: Duration = Duration::from_secs(5);

/// How often a process that reads looks whether it is alone.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How soon it asks again when it waits for those who were not told that it is alone.
const SOON: Duration = Duration::from_millis(20);

/// The backend of the question before is looked for because a crash of the database ends them all, and gives numbers of
/// transactions out again that the question before may have seen begin.
const CHANGES: &str = "\
    SELECT pg_backend_pid() AS pid, CAST((SELECT backend_start FROM pg_stat_get_activity(pg_backend_pid())) AS TEXT) AS began, \
    EXISTS (SELECT 1 FROM pg_stat_get_activity($2) WHERE backend_start = CAST($3 AS TIMESTAMPTZ)) AS lives, \
    CAST(pg_current_snapshot() AS TEXT) AS snapshot, \
    CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) AS at, \
    substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) AS timeline, \
    (SELECT holder FROM memory_lease WHERE NOT is_revoked) AS holder, \
    (SELECT string_agg(image_id, ',') FROM changes \
       WHERE xid >= pg_snapshot_xmin(CAST($1 AS pg_snapshot)) \
         AND NOT pg_visible_in_snapshot(xid, CAST($1 AS pg_snapshot))) AS images";

/// A snapshot after all others. What comes since then is not looked at.
const LAST: &str = "9223372036854775807:9223372036854775807:";

/// The questions of one process.
pub(in crate::catalog) struct Feed {
    pool: PgPool,
    connection: Option<PoolConnection<Postgres>>,
    asked: Option<Asked>,
    pruned_at: Micros,
    lease: Arc<MemoryLease>,
    standing: Standing,
    tried_at: Option<Instant>,
}

/// How this process stands to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Others may write.
    Among,
    /// The lease is taken. Transactions with lower numbers than this may have looked before that, and end by and by.
    Taken(Option<u64>),
    /// Nobody else writes before the lease is revoked.
    Alone,
}

/// What a question has told.
#[derive(Debug)]
pub(in crate::catalog) struct Answer {
    /// What has changed.
    pub news: News,
    /// How long nothing else changes without this process, from before the question.
    pub trust: Option<Duration>,
}

/// What is known since the last question.
struct Asked {
    /// The process of the database that was asked, and since when it is.
    pid: i32,
    began: String,
    snapshot: String,
    timeline: String,
    at: Micros,
}

/// What has changed since the question before.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::catalog) enum News {
    /// These images, perhaps some of them twice.
    Images(Vec<ImageId>),
    /// Nobody knows: there was no question before, or the database is not the one that answered it.
    Unknown,
}

impl Feed {
    pub(super) fn new(pool: PgPool, lease: Arc<MemoryLease>) -> Self {
        Self {
            pool,
            lease,
            standing: Standing::Among,
            tried_at: None,
            connection: None,
            asked: None,
            pruned_at: 0,
        }
    }

    /// How long to wait for somebody who wants to know before the next question.
    pub(in crate::catalog) fn pause(&self) -> Duration {
        match self.standing {
            Standing::Among => IDLE,
            Standing::Taken(_) => SOON,
            Standing::Alone => TRUST / 3,
        }
    }

    /// A transaction of this process may still be under way: nothing is trusted before it has ended.
    pub(in crate::catalog) fn doubt(&mut self) {
        self.standing = Standing::Among;
    }

    /// Asks. The answer holds every commit that was answered before the question began.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; also by a standby, which does not know the last commits.
    pub(in crate::catalog) async fn ask(&mut self) -> Result<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => timely(self.pool.acquire()).await?,
        };
        let before = self.asked.as_ref();
        let question = sqlx::query(CHANGES)
            .bind(before.map_or(LAST, |asked| &asked.snapshot))
            .bind(before.map(|asked| asked.pid))
            .bind(before.map(|asked| &asked.began));
        let row = timely(question.fetch_one(&mut *connection))
            .await
            // What was not answered is not asked for again over this connection.
            .inspect_err(|_| (self.asked, self.standing) = (None, Standing::Among))?;
        let asked = Asked {
            pid: row.try_get("pid")?,
            began: row.try_get("began")?,
            snapshot: row.try_get("snapshot")?,
            timeline: row.try_get("timeline")?,
            at: row.try_get("at")?,
        };
        let images: Option<&str> = row.try_get("images")?;
        let before = self.asked.take();
        let lives: bool = row.try_get("lives")?;
        let is_next = before.is_some_and(|before| {
            lives && before.timeline == asked.timeline && (asked.at - before.at).abs() < GAP
        });
        let news = if is_next {
            let images = images.unwrap_or_default().split_terminator(',');
            News::Images(images.filter_map(|id| id.parse().ok()).collect())
        } else {
            News::Unknown
        };
        let holder: Option<&str> = row.try_get("holder")?;
        let holds = is_next && holder.is_some_and(|holder| self.lease.is_ours(holder));
        self.stand(&mut connection, holds, &asked.snapshot).await?;
        if asked.at - self.pruned_at >= PRUNE_EVERY {
            self.pruned_at = asked.at;
            prune(&mut connection).await?;
        }
        self.asked = Some(asked);
        self.connection = Some(connection);
        let trust = (self.standing == Standing::Alone).then_some(TRUST);
        Ok(Answer { news, trust })
    }

    /// Finds out how this process stands, when a question has told whether it holds the lease, and takes the lease when it
    /// seems to be alone.
    async fn stand(
        &mut self,
        connection: &mut PoolConnection<Postgres>,
        holds: bool,
        snapshot: &str,
    ) -> Result<()> {
        let oldest = oldest_under_way(snapshot)?;
        self.standing = match self.standing {
            Standing::Among | Standing::Taken(None) if holds => {
                Standing::Taken(Some(next_number(connection).await?))
            }
            Standing::Taken(Some(before)) if holds && oldest < before => self.standing,
            Standing::Taken(_) | Standing::Alone if holds => Standing::Alone,
            _ => Standing::Among,
        };
        let is_due = self
            .tried_at
            .is_none_or(|tried| tried.elapsed() >= LOOK_EVERY);
        if self.standing == Standing::Among && is_due {
            self.tried_at = Some(Instant::now());
            if self.lease.take(connection).await? {
                self.standing = Standing::Taken(None);
            }
        }
        Ok(())
    }
}

/// The lowest number of a transaction under way, as a snapshot tells it.
fn oldest_under_way(snapshot: &str) -> Result<u64> {
    let oldest = snapshot.split(':').next().map(str::parse);
    match oldest {
        Some(Ok(oldest)) => Ok(oldest),
        _ => Err(Error::Other(format!("not a snapshot: {snapshot}").into())),
    }
}

/// A number of a transaction that is given out now: whatever is under way has a lower one. The upper bound of a snapshot does not
/// serve, since it knows of what has ended alone.
async fn next_number(connection: &mut PoolConnection<Postgres>) -> Result<u64> {
    let number = sqlx::query_scalar("SELECT CAST(pg_current_xact_id() AS TEXT)");
    let number: String = timely(number.fetch_one(&mut **connection)).await?;
    number.parse().map_err(|e| Error::Other(Box::new(e)))
}

async fn prune(connection: &mut PoolConnection<Postgres>) -> Result<()> {
    let old = "DELETE FROM changes WHERE at < now() - CAST($1 AS INTERVAL)";
    timely(sqlx::query(old).bind(KEPT).execute(&mut **connection)).await?;
    Ok(())
}
