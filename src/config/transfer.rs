//! `[transfer]`: how image bytes move.

use super::read::Section;
use super::units::{ByteSize, Span};

/// A lease is renewed at a third of its length; below this the renewals would be more work than they are worth.
const SHORTEST_LEASE: Span = Span::seconds(3);

/// Memory and leases of uploads and downloads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// How much memory the parts of all running uploads may take together; an upload that finds none left waits.
    /// Default `"256MiB"`. At least twice the largest `part_size`. Raise it for many uploads at once.
    pub memory_budget: ByteSize,
    /// How long an upload waits for memory before it is told to come again (503). While others wait, an upload has as long
    /// to fill a part that holds memory. Default `"60s"`.
    pub memory_timeout: Span,
    /// How long an upload counts as alive after its last renewal, which happens at a third of this. Default `"60s"`.
    /// The uploads of a killed process are rolled back or forward after this time.
    pub lease: Span,
}

impl Default for Transfer {
    fn default() -> Self {
        Self {
            memory_budget: ByteSize::mib(256),
            memory_timeout: Span::seconds(60),
            lease: Span::seconds(60),
        }
    }
}

impl Transfer {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        let transfer = Self {
            memory_budget: section.take("memory_budget", default.memory_budget),
            memory_timeout: section.take_timeout("memory_timeout", default.memory_timeout),
            lease: section.take("lease", default.lease),
        };
        section.require(
            transfer.lease >= SHORTEST_LEASE,
            "lease",
            format!("must be at least {SHORTEST_LEASE}"),
            transfer.lease,
        );
        transfer
    }
}
