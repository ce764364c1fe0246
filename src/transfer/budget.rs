//! The byte budget: how much image data all uploads together may hold in memory.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::telemetry::metrics::{InFlight, Metrics};

/// The budget is dealt out in pages, since a semaphore counts in 32 bits.
const PAGE: u64 = 64 * 1024;

pub(super) struct Budget {
    pages: Arc<Semaphore>,
    total: u32,
    metrics: Arc<Metrics>,
}

/// The right to hold some bytes; given back when dropped.
pub(super) struct Claim {
    _pages: OwnedSemaphorePermit,
    _gauge: InFlight,
}

impl Budget {
    pub(super) fn new(bytes: u64, metrics: Arc<Metrics>) -> Self {
        let total = u32::try_from(bytes / PAGE).unwrap_or(u32::MAX).max(1);
        metrics.set_memory_budget(bytes);
        Self {
            pages: Arc::new(Semaphore::new(total as usize)),
            total,
            metrics,
        }
    }

    /// Waits, first come first served, until `bytes` are free. More than the whole budget waits for the whole.
    ///
    /// There is no deadlock: a reader asks for one part at a time, and the parts before it need no further claim to
    /// reach the store.
    pub(super) async fn claim(&self, bytes: u64) -> Claim {
        let pages = u32::try_from(bytes.div_ceil(PAGE))
            .unwrap_or(u32::MAX)
            .clamp(1, self.total);
        let permit = Arc::clone(&self.pages)
            .acquire_many_owned(pages)
            .await
            .expect("the semaphore is never closed");
        Claim {
            _pages: permit,
            _gauge: self.metrics.memory_in_use(u64::from(pages) * PAGE),
        }
    }
}
