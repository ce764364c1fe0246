//! Histograms of times that take no lock. Every request and every call of a store is counted in one, and those of the
//! metrics' crate lock a mutex for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// How many times fell below each bound. Clones share their values.
#[derive(Debug, Clone)]
pub(super) struct Histogram(Arc<Values>);

#[derive(Debug)]
struct Values {
    /// Seconds, ascending.
    bounds: &'static [f64],
    /// For each bound what is above the one before; at last what is above all.
    counts: Box<[AtomicU64]>,
    /// The sum of all times, which lasts for centuries.
    nanos: AtomicU64,
}

impl Histogram {
    /// With these bounds in seconds, ascending.
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        let counts = std::iter::repeat_with(AtomicU64::default).take(bounds.len() + 1);
        Self(Arc::new(Values {
            bounds,
            counts: counts.collect(),
            nanos: AtomicU64::default(),
        }))
    }

    /// Counts a time.
    pub(super) fn observe(&self, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64();
        let place = self.0.bounds.partition_point(|bound| *bound < seconds);
        let nanos = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        self.0.counts[place].fetch_add(1, Ordering::Relaxed);
        self.0.nanos.fetch_add(nanos, Ordering::Relaxed);
    }
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder) -> Result<(), std::fmt::Error> {
        let Values {
            bounds,
            counts,
            nanos,
        } = &*self.0;
        let bounds = bounds.iter().copied().chain([f64::INFINITY]);
        let counts = counts.iter().map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<_> = bounds.zip(counts).collect();
        // Of the very counts that are told: a reader that finds the two at odds takes the whole for broken.
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = Duration::from_nanos(nanos.load(Ordering::Relaxed)).as_secs_f64();
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::histogram::Histogram as Reference;
    use prometheus_client::registry::{Metric, Registry};

    use super::*;

    // Binary fractions, whose sums are exact.
    const BOUNDS: [f64; 3] = [0.125, 0.25, 2.0];

    fn encoded(metric: impl Metric) -> String {
        let mut registry = Registry::default();
        registry.register("time", "Time", metric);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn text_is_that_of_the_crates_own() {
        let (ours, reference) = (Histogram::new(&BOUNDS), Reference::new(BOUNDS));
        assert_eq!(encoded(ours.clone()), encoded(reference.clone()));
        for millis in [0, 125, 250, 500, 2_000, 2_500, 100_000] {
            ours.observe(Duration::from_millis(millis));
            reference.observe(Duration::from_millis(millis).as_secs_f64());
        }
        let text = encoded(ours);
        assert_eq!(text, encoded(reference));
        assert!(text.contains("time_bucket{le=\"0.25\"} 3\n"), "{text}");
    }
}
