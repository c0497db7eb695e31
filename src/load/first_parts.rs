//! Where the times to first frames went, as the daemon tells.

use hdrhistogram::Histogram;
use serde::Serialize;

use super::quantiles::Quantiles;
use super::tally::{histogram, record};
use crate::session::FirstFrameTimes;

/// A distribution of each part.
#[derive(Debug, Clone)]
pub struct FirstParts {
    look_ahead: Histogram<u64>,
    queue: Histogram<u64>,
    compute: Histogram<u64>,
    encode: Histogram<u64>,
    hand_over: Histogram<u64>,
}

/// The same in ms.
#[derive(Debug, Clone, Serialize)]
pub(super) struct FirstPartsMs {
    look_ahead: Option<Quantiles>,
    queue: Option<Quantiles>,
    compute: Option<Quantiles>,
    encode: Option<Quantiles>,
    hand_over: Option<Quantiles>,
}

impl FirstParts {
    pub(super) fn new() -> Self {
        Self {
            look_ahead: histogram(),
            queue: histogram(),
            compute: histogram(),
            encode: histogram(),
            hand_over: histogram(),
        }
    }

    pub(super) fn note(&mut self, times: FirstFrameTimes) {
        record(&mut self.look_ahead, times.look_ahead.as_secs_f64());
        record(&mut self.queue, times.queue.as_secs_f64());
        record(&mut self.compute, times.compute.as_secs_f64());
        record(&mut self.encode, times.encode.as_secs_f64());
        record(&mut self.hand_over, times.hand_over.as_secs_f64());
    }

    pub(super) fn ms(&self) -> FirstPartsMs {
        FirstPartsMs {
            look_ahead: Quantiles::of(&self.look_ahead),
            queue: Quantiles::of(&self.queue),
            compute: Quantiles::of(&self.compute),
            encode: Quantiles::of(&self.encode),
            hand_over: Quantiles::of(&self.hand_over),
        }
    }
}
