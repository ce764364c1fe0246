//! What an attempt holds in the catalog while bytes flow: its lease, and its share of the owner's quota.

use std::time::Duration;

use tokio::time::Instant;

use super::Result;
use crate::catalog::{self, Catalog, Limits, Reserved};
use crate::image::AttemptId;

/// Renewals per lease: two may fail before the lease is lost.
const RENEWALS_PER_LEASE: u32 = 3;

/// An upload of unknown size reserves quota in steps, so that it does not ask the catalog for every frame.
const RESERVATION_STEP: u64 = 64 * 1024 * 1024;

/// How long an upload waits for quota that others have reserved and may not use.
const QUOTA_WAIT: Duration = Duration::from_secs(30);

/// Pauses between two looks at it.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// A lease that is kept by renewing it. A catalog that is away costs nothing as long as the lease runs: who holds it keeps that
/// grace.
pub(super) struct Lease {
    time: Duration,
    good_until: Instant,
}

impl Lease {
    /// A lease that begins now.
    pub(super) fn new(time: Duration) -> Self {
        Self {
            time,
            good_until: Instant::now() + time,
        }
    }

    /// Waits until it is to be renewed; gives the moment.
    pub(super) async fn until_renewal(&self) -> Instant {
        tokio::time::sleep(self.time / RENEWALS_PER_LEASE).await;
        Instant::now()
    }

    /// Notes how the renewal that was begun then has ended; tells `log` of a failure that will be tried again.
    ///
    /// # Errors
    /// How the lease was lost.
    pub(super) fn renewed(
        &mut self,
        begun: Instant,
        outcome: catalog::Result<()>,
        log: impl FnOnce(&(dyn std::error::Error + 'static)),
    ) -> Result<()> {
        match outcome {
            Ok(()) => self.good_until = begun + self.time,
            Err(e @ catalog::Error::Unavailable(_)) if Instant::now() < self.good_until => log(&e),
            Err(e) => return Err(e.into()),
        }
        Ok(())
    }
}

/// Bytes of the quota that an upload has taken so far.
pub(super) struct Reservation<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) attempt: &'a AttemptId,
    pub(super) limits: Limits,
    pub(super) reserved: u64,
}

impl Reservation<'_> {
    /// Makes sure that `size` bytes are reserved. Where other uploads have reserved the last of the quota, waits a while for
    /// what they do not use.
    ///
    /// # Errors
    /// Over the quota, or the catalog is away.
    pub(super) async fn ensure_reserved(&mut self, size: u64) -> Result<()> {
        if !self.limits.bounds_bytes() || size <= self.reserved {
            return Ok(());
        }
        let give_up = Instant::now() + QUOTA_WAIT;
        let mut pause = FIRST_PAUSE;
        loop {
            let reserved = self
                .catalog
                .reserve(self.attempt, size, RESERVATION_STEP, self.limits);
            match reserved.await? {
                Reserved::Bytes(bytes) => {
                    self.reserved = bytes;
                    return Ok(());
                }
                Reserved::Contended(full) if Instant::now() >= give_up => return Err(full.into()),
                Reserved::Contended(_) => tokio::time::sleep(pause).await,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
