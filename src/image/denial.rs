//! What a check of a record says to a write.

/// Why a record may not be written by this caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denial {
    /// The caller may not know of it.
    Hidden,
    /// The caller may read it, and this rule of the policy says no.
    Rule(&'static str),
    /// It is no longer what the request was about.
    Changed,
}
