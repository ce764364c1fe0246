//! Leases of this process's own uploads, by a clock that nobody can set.
//!
//! The rows carry times of day, for other processes. Against them the own uploads would end when the clock is set forward,
//! and those that hang would stay when it is set back.

use std::time::Duration;

use dashmap::DashMap;
use tokio::time::Instant;

use crate::image::AttemptId;

/// When each lease runs out.
#[derive(Debug, Default)]
pub(super) struct Leases(DashMap<AttemptId, Instant>);

impl Leases {
    /// Holds the lease of an attempt whose row is about to be made, lest recovery take the row. It ends again when it is
    /// not kept.
    pub(super) fn begin<'a>(&'a self, attempt: &'a AttemptId, lease: Duration) -> Begun<'a> {
        self.hold(attempt, lease);
        Begun {
            leases: self,
            attempt,
            is_kept: false,
        }
    }

    /// The attempt lives for so long from now.
    pub(super) fn hold(&self, attempt: &AttemptId, lease: Duration) {
        self.0.insert(attempt.clone(), Instant::now() + lease);
    }

    /// The attempt has ended.
    pub(super) fn end(&self, attempt: &AttemptId) {
        self.0.remove(attempt);
    }

    /// Whether the lease has run out; `None` for an attempt that is not this process's.
    pub(super) fn has_lapsed(&self, attempt: &AttemptId) -> Option<bool> {
        let until = self.0.get(attempt)?;
        Some(*until < Instant::now())
    }
}

/// A lease whose attempt has no row yet.
pub(super) struct Begun<'a> {
    leases: &'a Leases,
    attempt: &'a AttemptId,
    is_kept: bool,
}

impl Begun<'_> {
    /// The row is there.
    pub(super) fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            self.leases.end(self.attempt);
        }
    }
}
