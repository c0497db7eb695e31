//! A distribution in a few figures.

use hdrhistogram::Histogram;
use serde::Serialize;

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

impl Quantiles {
    /// Of times in µs; `None` when there are none.
    pub(super) fn of(histogram: &Histogram<u64>) -> Option<Self> {
        let ms = |quantile: f64| rounded(histogram.value_at_quantile(quantile) as f64 / 1e3);
        (!histogram.is_empty()).then(|| Self {
            count: histogram.len(),
            p50: ms(0.5),
            p95: ms(0.95),
            p99: ms(0.99),
            max: rounded(histogram.max() as f64 / 1e3),
        })
    }
}

/// To three places.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
