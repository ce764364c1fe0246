//! `[limits]`: how much one project may ask of the service at a time.

use super::read::Section;

/// Limits of rate and of concurrency, each for every project by itself. 0 is no limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Requests a second, as an average. Default 0. A safeguard against runaway scripts, not a quota.
    pub requests_per_second: u32,
    /// How many requests may come at once before the average counts. Default 100.
    pub burst: u32,
    /// Uploads at once. Default 0.
    pub uploads: u32,
    /// Downloads at once. Default 0.
    pub downloads: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_second: 0,
            burst: 100,
            uploads: 0,
            downloads: 0,
        }
    }
}

impl Limits {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        let limits = Self {
            requests_per_second: section.take("requests_per_second", default.requests_per_second),
            burst: section.take("burst", default.burst),
            uploads: section.take("uploads", default.uploads),
            downloads: section.take("downloads", default.downloads),
        };
        section.require(
            limits.burst > 0,
            "burst",
            "must be at least 1",
            limits.burst,
        );
        limits
    }
}
