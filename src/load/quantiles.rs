//! Distributions of times, and each in a few figures.

use hdrhistogram::Histogram;
use serde::Serialize;

/// Longest time that is told from longer ones, µs: an hour.
const LONGEST_US: u64 = 3_600_000_000;

/// A distribution of times. They are recorded in µs to two significant figures.
#[derive(Debug, Clone)]
pub struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST_US, 2).expect("the bounds are constants that fit"))
    }
}

impl Times {
    /// Adds a time; what is negative counts as 0.
    pub(super) fn record(&mut self, seconds: f64) {
        self.0.saturating_record((seconds.max(0.0) * 1e6) as u64);
    }

    /// `None` when there are none.
    pub(super) fn quantiles(&self) -> Option<Quantiles> {
        let ms = |us: u64| rounded(us as f64 / 1e3);
        let at = |quantile: f64| ms(self.0.value_at_quantile(quantile));
        (!self.0.is_empty()).then(|| Quantiles {
            count: self.0.len(),
            p50: at(0.5),
            p95: at(0.95),
            p99: at(0.99),
            max: ms(self.0.max()),
        })
    }

    /// How often each time was recorded, µs.
    pub(super) fn us(&self) -> &Histogram<u64> {
        &self.0
    }
}

/// A distribution, to two significant figures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles {
    /// Times recorded.
    pub count: u64,
    /// Median, ms.
    pub p50: f64,
    /// 95th percentile, ms.
    pub p95: f64,
    /// 99th percentile, ms.
    pub p99: f64,
    /// Largest, ms.
    pub max: f64,
}

/// To three places.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
