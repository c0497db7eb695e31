//! One utterance's way from samples to mel frames.

use std::fmt;
use std::sync::Arc;

use super::MelPlan;
use super::plan::Scratch;

/// Transforms' worth of samples kept, so that the tail is moved to the front once in several frames.
const HISTORY_TRANSFORMS: usize = 4;

/// Mel frames of one utterance, given out as soon as the samples under them are there.
///
/// Frame `t` is centred on sample `t * hop` and needs `n_fft / 2` samples past it. The frames and their bits are
/// the same however the samples are cut into pushes. Nothing is allocated after [`MelStream::new`].
pub struct MelStream {
    plan: Arc<MelPlan>,
    /// Pre-emphasised samples not yet done with, the first of which starts the next frame.
    history: Vec<f64>,
    /// How much of `history` is filled.
    filled: usize,
    /// Where in `history` the next frame starts.
    start: usize,
    /// The sample before the next one, for the pre-emphasis.
    previous: f64,
    scratch: Scratch,
    frame: Vec<f32>,
}

impl MelStream {
    /// A stream at the start of its utterance.
    #[must_use]
    pub fn new(plan: Arc<MelPlan>) -> Self {
        let params = plan.params();
        let mut stream = Self {
            history: vec![0.0; HISTORY_TRANSFORMS * params.n_fft],
            filled: 0,
            start: 0,
            previous: 0.0,
            scratch: plan.scratch(),
            frame: vec![0.0; params.mels],
            plan,
        };
        stream.reset();
        stream
    }

    /// A stream whose first frame will be frame `frame` of the whole sound, and the sample to push first.
    pub(super) fn before_frame(plan: Arc<MelPlan>, frame: usize) -> (Self, usize) {
        let mut stream = Self::new(plan);
        let centre = frame * stream.plan.params().hop_samples;
        let begin = centre.saturating_sub(stream.filled);
        // What is left of the silence before the start, which `new` has put there.
        stream.filled = stream.filled.saturating_sub(centre);
        // The sample before is pushed for the sake of the next one's pre-emphasis; its own lies before the frame.
        stream.start = begin.min(1);
        (stream, begin - begin.min(1))
    }

    /// The plan it was built with.
    #[must_use]
    pub fn plan(&self) -> &Arc<MelPlan> {
        &self.plan
    }

    /// Takes the next samples and gives `emit` each frame (`mels` values, -4..4) they complete, in order.
    ///
    /// At most `samples.len().div_ceil(hop)` frames come out.
    pub fn push(&mut self, samples: &[f32], emit: &mut impl FnMut(&[f32])) {
        let emphasis = self.plan.params().pre_emphasis;
        let mut rest = samples;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(self.room()));
            let free = &mut self.history[self.filled..];
            for (slot, &sample) in free.iter_mut().zip(now) {
                let x = f64::from(sample);
                *slot = x - emphasis * self.previous;
                self.previous = x;
            }
            self.filled += now.len();
            rest = later;
            self.emit_complete(emit);
        }
    }

    /// Ends the utterance: gives `emit` the frames that reach past its last sample, then starts anew.
    ///
    /// After `n` samples in all, `1 + n / hop` frames have come out, so one even for no samples. At most
    /// `(n_fft / 2).div_ceil(hop)` of them come from here.
    pub fn finish(&mut self, emit: &mut impl FnMut(&[f32])) {
        // The padding comes after the pre-emphasis, so it is zeros, not the echo of the last sample.
        let mut padding = self.plan.params().n_fft / 2;
        while padding > 0 {
            let now = padding.min(self.room());
            self.history[self.filled..][..now].fill(0.0);
            self.filled += now;
            padding -= now;
            self.emit_complete(emit);
        }
        self.reset();
    }

    /// Forgets the utterance; the next sample is the first of a new one.
    pub fn reset(&mut self) {
        self.filled = self.plan.params().n_fft / 2;
        self.history[..self.filled].fill(0.0);
        self.start = 0;
        self.previous = 0.0;
    }

    /// Free places at the end of the history; never none, as less than a transform of it is still needed.
    fn room(&mut self) -> usize {
        if self.filled == self.history.len() {
            self.history.copy_within(self.start.., 0);
            self.filled -= self.start;
            self.start = 0;
        }
        self.history.len() - self.filled
    }

    fn emit_complete(&mut self, emit: &mut impl FnMut(&[f32])) {
        let params = self.plan.params();
        while self.start + params.n_fft <= self.filled {
            let samples = &self.history[self.start..][..params.n_fft];
            self.plan.frame(samples, &mut self.scratch, &mut self.frame);
            emit(&self.frame);
            self.start += params.hop_samples;
        }
    }
}

impl fmt::Debug for MelStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MelStream").field("plan", &self.plan).finish_non_exhaustive()
    }
}
