//! What the service tells about itself: its log, its metrics and the bodies it counts.
//!
//! Metrics are declared in one file, `metrics.rs`, and described in `docs/metrics.md`.

pub mod body;
pub mod labels;
pub mod logs;
pub mod metrics;
