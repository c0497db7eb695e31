//! Counts by size, without a lock: lanes record side by side.
//!
//! `prometheus-client` has a histogram behind a mutex; this one is read with its buckets possibly a
//! measurement apart from its sum, which no figure made of it can show.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds for times inside a batch: 50 us to 2.5 s, in ns.
pub const STAGE_BOUNDS_NS: &[u64] = &[
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
];

/// Upper bounds for times a viewer notices: 1 ms to 10 s, in ns; 40 ms is one frame at 25 frames/s.
pub const VIEWER_BOUNDS_NS: &[u64] = &[
    1_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    40_000_000,
    80_000_000,
    160_000_000,
    320_000_000,
    640_000_000,
    1_000_000_000,
    2_000_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// Upper bounds for items in a batch.
pub const SIZE_BOUNDS: &[u64] = &[1, 2, 4, 8, 16, 32, 64];

/// How many values fell below each of a fixed set of bounds, and their sum.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// One more than bounds: the last is for what exceeds them all.
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
    /// Base units in one of `bounds`' units.
    unit: f64,
}

/// A histogram at one moment, in base units.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Upper bound, the last of them infinity, and the values between it and the bound before.
    pub buckets: Vec<(f64, u64)>,
    /// Of all values.
    pub sum: f64,
    /// Values in all.
    pub count: u64,
}

impl Histogram {
    /// For durations; `bounds_ns` ascends.
    #[must_use]
    pub fn seconds(bounds_ns: &'static [u64]) -> Self {
        Self::new(bounds_ns, 1e-9)
    }

    /// For numbers of things; `bounds` ascends.
    #[must_use]
    pub fn sizes(bounds: &'static [u64]) -> Self {
        Self::new(bounds, 1.0)
    }

    fn new(bounds: &'static [u64], unit: f64) -> Self {
        let buckets = std::iter::repeat_with(AtomicU64::default).take(bounds.len() + 1).collect();
        Self { bounds, buckets, sum: AtomicU64::new(0), unit }
    }

    /// Counts a value in the bounds' unit.
    pub fn record(&self, value: u64) {
        let at = self.bounds.partition_point(|&bound| bound < value);
        self.buckets[at].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Counts a duration, in a histogram of [`Self::seconds`].
    pub fn observe(&self, elapsed: Duration) {
        self.record(nanos(elapsed));
    }

    /// Values so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }

    /// Of all values so far, in the bounds' unit.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum.load(Ordering::Relaxed)
    }

    /// What has been counted so far.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let bounds = self.bounds.iter().map(|&bound| bound as f64 * self.unit).chain([f64::INFINITY]);
        let counts = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        Snapshot { buckets, sum: self.sum() as f64 * self.unit, count }
    }
}

/// A duration in ns; 584 years and more are all the same.
#[must_use]
pub fn nanos(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_a_bound_belongs_below_it() {
        let histogram = Histogram::sizes(SIZE_BOUNDS);
        for value in [0, 1, 2, 3, 4, 5, 64, 65, 1000] {
            histogram.record(value);
        }
        let Snapshot { buckets, sum, count } = histogram.snapshot();
        let counts: Vec<u64> = buckets.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [2, 1, 2, 1, 0, 0, 1, 2]);
        assert_eq!((sum, count), (1144.0, 9));
        assert_eq!((histogram.sum(), histogram.count()), (1144, 9));
        assert_eq!(buckets.last().map(|(bound, _)| *bound), Some(f64::INFINITY));
    }

    #[test]
    fn durations_come_out_in_seconds_from_any_number_of_threads() {
        let histogram = Histogram::seconds(VIEWER_BOUNDS_NS);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|_| histogram.observe(Duration::from_millis(40))));
            }
        });
        let snapshot = histogram.snapshot();
        assert_eq!(snapshot.count, 4000);
        assert!((snapshot.sum - 160.0).abs() < 1e-9, "{}", snapshot.sum);
        assert_eq!(snapshot.buckets.iter().find(|(bound, _)| *bound >= 0.04), Some(&(0.04, 4000)));
    }

    #[test]
    fn bounds_ascend() {
        for bounds in [STAGE_BOUNDS_NS, VIEWER_BOUNDS_NS, SIZE_BOUNDS] {
            assert!(bounds.is_sorted_by(|a, b| a < b));
        }
    }
}
