//! Whether the service has been told to stop: it is no longer ready then, and connections end with their answers.

use tokio_util::sync::CancellationToken;

/// Told once; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Stopping(CancellationToken);

impl Stopping {
    /// Says so from now on.
    pub(super) fn begin(&self) {
        self.0.cancel();
    }

    pub(super) fn has_begun(&self) -> bool {
        self.0.is_cancelled()
    }
}
