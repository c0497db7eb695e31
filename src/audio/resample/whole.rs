//! Whole sounds at another rate.

use std::ops::Range;
use std::sync::Arc;

use super::{ResamplePlan, Resampler};
use crate::audio::Sound;

/// The whole sound at another rate: `plan.output_len(samples.len())` samples.
#[must_use]
pub fn resample(plan: &Arc<ResamplePlan>, samples: &[f32]) -> Vec<f32> {
    let resampled = Resampled::new(Arc::clone(plan), samples);
    let mut out = Vec::with_capacity(resampled.samples());
    let Ok(()) = resampled.read(0..resampled.samples(), &mut |block| out.extend_from_slice(block));
    out
}

/// A sound at another rate, computed where it is read.
#[derive(Debug)]
pub struct Resampled<'s, S: ?Sized> {
    plan: Arc<ResamplePlan>,
    sound: &'s S,
}

impl<'s, S: Sound + ?Sized> Resampled<'s, S> {
    /// `sound`, whose samples come at `plan.from_hz()`, at `plan.to_hz()`.
    #[must_use]
    pub fn new(plan: Arc<ResamplePlan>, sound: &'s S) -> Self {
        Self { plan, sound }
    }
}

impl<S: Sound + ?Sized> Sound for Resampled<'_, S> {
    type Error = S::Error;

    fn samples(&self) -> usize {
        self.plan.output_len(self.sound.samples())
    }

    fn read(&self, range: Range<usize>, take: &mut dyn FnMut(&[f32])) -> Result<(), S::Error> {
        if range.is_empty() {
            return Ok(());
        }
        if self.plan.is_identity() {
            return self.sound.read(range, take);
        }
        let (mut stream, begin) = Resampler::before_output(Arc::clone(&self.plan), range.start);
        let end = self.plan.inputs_before(range.end);
        let mut left = range.len();
        let mut keep = |block: &[f32]| {
            let now = &block[..block.len().min(left)];
            left -= now.len();
            if !now.is_empty() {
                take(now);
            }
        };
        self.sound.read(begin..end.min(self.sound.samples()), &mut |samples| stream.push(samples, &mut keep))?;
        if end > self.sound.samples() {
            stream.finish(&mut keep);
        }
        Ok(())
    }
}
