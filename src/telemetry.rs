//! What the service tells about itself: its log, its metrics and the bodies it counts.
//!
//! Metrics are declared in one file, `metrics.rs`, and described in `docs/metrics.md`.

pub(crate) mod body;
mod histogram;
pub(crate) mod labels;
pub(crate) mod logs;
pub(crate) mod metrics;
