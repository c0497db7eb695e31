//! One utterance's way from its own rate to another.

use std::fmt;
use std::sync::Arc;

use super::ResamplePlan;
use super::dot::{GROUP, dots};

/// Outputs gathered before they are given out.
const BLOCK: usize = 256;

/// Input samples the history holds beyond the filter's own length.
const HISTORY_SPARE: usize = 4096;

/// Samples of one utterance at another rate, given out as soon as the input under the filter is there.
///
/// The samples and their bits are the same however the input is cut into pushes. Nothing is allocated after
/// [`Resampler::new`]. Between equal rates the input is passed on as it is.
pub struct Resampler {
    plan: Arc<ResamplePlan>,
    /// Input samples not yet done with.
    history: Vec<f32>,
    /// How much of `history` is filled.
    filled: usize,
    /// Where in `history` the next output's taps start.
    start: usize,
    /// How far the next output lies past an input sample, in `1 / phases` of a sample.
    phase: u64,
    /// Input samples taken in this utterance.
    taken: usize,
    /// Output samples given out in this utterance.
    given: usize,
    block: Vec<f32>,
}

impl Resampler {
    /// A stream at the start of its utterance.
    #[must_use]
    pub fn new(plan: Arc<ResamplePlan>) -> Self {
        let identity = plan.is_identity();
        let size = |samples: usize| if identity { 0 } else { samples };
        let mut stream = Self {
            history: vec![0.0; size(plan.taps() + HISTORY_SPARE)],
            filled: 0,
            start: 0,
            phase: 0,
            taken: 0,
            given: 0,
            block: Vec::with_capacity(size(BLOCK)),
            plan,
        };
        stream.reset();
        stream
    }

    /// A stream whose first output will be output `output` of the whole sound, and the input sample to push first.
    pub(super) fn before_output(plan: Arc<ResamplePlan>, output: usize) -> (Self, usize) {
        let mut stream = Self::new(plan);
        let (centre, phase) = stream.plan.place(output);
        let begin = centre.saturating_sub(stream.filled);
        // What is left of the silence before the start, which `new` has put there.
        stream.filled = stream.filled.saturating_sub(centre);
        (stream.phase, stream.taken, stream.given) = (phase, begin, output);
        (stream, begin)
    }

    /// The plan it was built with.
    #[must_use]
    pub fn plan(&self) -> &Arc<ResamplePlan> {
        &self.plan
    }

    /// Takes the next samples and gives `emit` the output they complete, in blocks that are never empty.
    ///
    /// At most `plan.output_len(samples.len())` samples come out in all.
    pub fn push(&mut self, samples: &[f32], emit: &mut impl FnMut(&[f32])) {
        if self.plan.is_identity() {
            if !samples.is_empty() {
                emit(samples);
            }
            return;
        }
        self.taken += samples.len();
        let mut rest = samples;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(self.room()));
            self.history[self.filled..][..now.len()].copy_from_slice(now);
            self.filled += now.len();
            rest = later;
            self.emit_complete(usize::MAX, emit);
        }
        self.flush(emit);
    }

    /// Ends the utterance: gives `emit` what lies under the end of the filter, then starts anew.
    ///
    /// After `n` samples in all, `plan.output_len(n)` have come out.
    pub fn finish(&mut self, emit: &mut impl FnMut(&[f32])) {
        if self.plan.is_identity() {
            return;
        }
        let all = self.plan.output_len(self.taken);
        // The silence after the end: the last output lies less than a sample past the last of the input.
        let mut padding = self.plan.lookahead_samples();
        while padding > 0 && self.given < all {
            let now = padding.min(self.room());
            self.history[self.filled..][..now].fill(0.0);
            self.filled += now;
            padding -= now;
            self.emit_complete(all, emit);
        }
        self.flush(emit);
        debug_assert_eq!(self.given, all, "the padding covers the filter");
        self.reset();
    }

    /// Forgets the utterance; the next sample is the first of a new one.
    pub fn reset(&mut self) {
        if !self.plan.is_identity() {
            // The silence before the start: the first output's taps reach back over it.
            self.filled = self.plan.back;
            self.history[..self.filled].fill(0.0);
        }
        (self.start, self.phase, self.taken, self.given) = (0, 0, 0, 0);
        self.block.clear();
    }

    /// Free places at the end of the history, after moving what is still needed to its front if there are none.
    ///
    /// When input is skipped (downsampling), the next output may start past all that is filled.
    fn room(&mut self) -> usize {
        if self.filled == self.history.len() {
            let done = self.start.min(self.filled);
            self.history.copy_within(done.., 0);
            self.filled -= done;
            self.start -= done;
        }
        self.history.len() - self.filled
    }

    /// Computes outputs while their taps are covered and there are fewer than `limit`.
    fn emit_complete(&mut self, limit: usize, emit: &mut impl FnMut(&[f32])) {
        loop {
            let (places, count) = self.take_group(limit);
            if count == 0 {
                return;
            }
            let outputs = self.outputs(places);
            self.block.extend_from_slice(&outputs[..count]);
            if self.block.len() > BLOCK - GROUP {
                self.flush(emit);
            }
        }
    }

    /// Steps past the next outputs whose taps are covered: start in the history and phase of each, and how many there
    /// are. The places left over repeat the first.
    fn take_group(&mut self, limit: usize) -> ([(usize, u64); GROUP], usize) {
        // Stepping by these spares a division per output.
        let (whole, part) = self.plan.step();
        let mut places = [(self.start, self.phase); GROUP];
        let mut count = 0;
        while count < GROUP && self.start + self.plan.taps() <= self.filled && self.given < limit {
            places[count] = (self.start, self.phase);
            count += 1;
            self.given += 1;
            self.start += whole;
            self.phase += part;
            if self.phase >= self.plan.phases {
                self.phase -= self.plan.phases;
                self.start += 1;
            }
        }
        (places, count)
    }

    fn outputs(&self, places: [(usize, u64); GROUP]) -> [f32; GROUP] {
        let windows = places.map(|(start, _)| &self.history[start..][..self.plan.taps()]);
        let taps = places.map(|(_, phase)| self.plan.row(phase));
        let from = dots(windows, taps.map(|taps| taps.first));
        if self.plan.has_every_row() {
            return from;
        }
        let to = dots(windows, taps.map(|taps| taps.second));
        std::array::from_fn(|at| from[at] + taps[at].towards * (to[at] - from[at]))
    }

    fn flush(&mut self, emit: &mut impl FnMut(&[f32])) {
        if !self.block.is_empty() {
            emit(&self.block);
            self.block.clear();
        }
    }
}

impl fmt::Debug for Resampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resampler").field("plan", &self.plan).finish_non_exhaustive()
    }
}
