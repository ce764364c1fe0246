//! The right to answer from memory without a question, of a process that is alone on its database.
//!
//! The holder stands in a row. It trusts its memory for [`TRUST`] from the moment before each question that found it there.
//! Whoever commits a change looks at that row within its transaction, and where another holds the lease it is revoked, and the
//! commit waits until the other has ceased to trust. So a read is never older than an answered write, whoever is taken to be
//! alone; that nobody else is connected only says when the lease is worth taking.
//!
//! Transactions that looked before the lease was taken are waited for before the first trust ([`super::feed`]): each has its
//! number from its beginning. Times are spans of each process's own monotonic clock; no two clocks are compared.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool};
use sqlx::{ConnectOptions, Connection as _};
use tokio::sync::Mutex;

use super::timely;
use crate::catalog::{Error, Result};

/// How long the holder trusts its memory after a question.
pub(super) const TRUST: Duration = Duration::from_secs(1);

/// How much longer is waited before it is taken to have ceased, for clocks that run at different speeds.
const MARGIN: Duration = Duration::from_millis(250);

/// How long a write waits for another's lease to end, whatever hangs.
const END_TIMEOUT: Duration = Duration::from_secs(6);

/// How long a process that ends tries to give the lease back.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// Whom the row names, revoked or not.
pub(super) const HOLDER: &str = "SELECT holder FROM memory_lease";

/// Others that are connected may be about to write, so the lease would soon be revoked.
const TAKE: &str = "UPDATE memory_lease SET holder = $3, is_revoked = FALSE \
    WHERE (holder IS NULL OR (starts_with(holder, $1) AND is_revoked)) AND NOT EXISTS (SELECT 1 FROM pg_stat_activity \
        WHERE datname = current_database() AND starts_with(application_name, $2) AND application_name <> $1)";

const REVOKE: &str = "UPDATE memory_lease SET is_revoked = TRUE WHERE holder = $1";

const CLEAR: &str = "UPDATE memory_lease SET holder = NULL WHERE holder = $1 AND is_revoked";

const RELEASE: &str = "UPDATE memory_lease SET holder = NULL WHERE starts_with(holder, $1)";

/// What a process knows to take the lease, and to end that of another.
pub(super) struct MemoryLease {
    /// Of this process, and of no other that ever was.
    name: String,
    options: PgConnectOptions,
    /// One of those who wait for another's lease to end sees to it.
    revoking: Mutex<()>,
}

impl MemoryLease {
    pub(super) fn new(name: &str, options: PgConnectOptions) -> Self {
        Self {
            name: name.to_owned(),
            options,
            revoking: Mutex::new(()),
        }
    }

    /// Whether the row names this process.
    pub(super) fn is_ours(&self, holder: &str) -> bool {
        holder.starts_with(&self.name)
    }

    /// Takes the lease if nobody has it and nobody else is connected. It must not be trusted by this process now.
    pub(super) async fn take(&self, connection: &mut PgConnection) -> Result<bool> {
        // Each taking has a name of its own, so that who revokes one does not end a later one.
        let holder = format!("{}:{:016x}", self.name, fastrand::u64(..));
        let taken = sqlx::query(TAKE).bind(&self.name);
        let taken = taken.bind(super::APPLICATION).bind(holder);
        Ok(timely(taken.execute(connection)).await?.rows_affected() > 0)
    }

    /// Returns when `other` trusts its memory no more. A connection of its own is used: those of the pool may all be held by
    /// transactions that wait for this.
    ///
    /// # Errors
    /// [`Error::Unavailable`], also after [`END_TIMEOUT`].
    pub(super) async fn end(&self, other: &str) -> Result<()> {
        match tokio::time::timeout(END_TIMEOUT, self.revoke(other)).await {
            Ok(ended) => ended,
            Err(elapsed) => Err(Error::Unavailable(elapsed.into())),
        }
    }

    async fn revoke(&self, other: &str) -> Result<()> {
        let _alone = self.revoking.lock().await;
        let mut connection = self.options.connect().await?;
        let revoked = sqlx::query(REVOKE).bind(other);
        let revoked = revoked.execute(&mut connection).await?;
        if revoked.rows_affected() > 0 {
            tracing::info!("another server answers from memory alone; it is told to ask");
            tokio::time::sleep(TRUST + MARGIN).await;
            let clear = sqlx::query(CLEAR).bind(other);
            clear.execute(&mut connection).await?;
        }
        // What could fail now has nothing to do with the lease.
        let _ = connection.close().await;
        Ok(())
    }

    /// Gives the lease back, if this process has it. Its memory is not used any more.
    pub(super) async fn release(&self, pool: &PgPool) {
        let released = sqlx::query(RELEASE).bind(&self.name).execute(pool);
        // Else the next who writes waits for what would have been the end of the trust.
        if !matches!(
            tokio::time::timeout(RELEASE_TIMEOUT, released).await,
            Ok(Ok(_))
        ) {
            tracing::info!("the lease on memory is not given back; it will be revoked");
        }
    }
}
