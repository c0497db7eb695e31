//! Where the times to first frames went, as the daemon tells.

use serde::{Serialize, Serializer};

use super::quantiles::Times;
use crate::session::FirstFrameTimes;
use crate::telemetry::FirstPart;
use crate::telemetry::label::ByLabel;

/// A distribution of each part; in JSON a map of figures in ms.
#[derive(Debug, Clone, Default)]
pub struct FirstParts(ByLabel<FirstPart, Times>);

impl FirstParts {
    pub(super) fn note(&mut self, times: FirstFrameTimes) {
        for (part, time) in times.parts() {
            self.0.get_mut(part).record(time.as_secs_f64());
        }
    }
}

impl Serialize for FirstParts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(word, times)| (word, times.quantiles())))
    }
}
