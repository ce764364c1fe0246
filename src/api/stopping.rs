//! Whether the service has been told to stop: it is no longer ready then, and connections end with their answers.
//!
//! Every request asks, and nobody waits for it: hence a flag and not a token to be cancelled, which asks under a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Told once; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Stopping(Arc<AtomicBool>);

impl Stopping {
    /// Says so from now on.
    pub(super) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
