//! The filter's table for one pair of rates.

use std::fmt;

use thiserror::Error;

use super::dot::LANES;
use super::filter::Kernel;
use crate::audio::wav::MAX_SAMPLE_RATE_HZ;

/// Largest table that holds a row for each phase, in values (2 MiB). It covers every pair of usual rates.
const MAX_EXACT_VALUES: usize = 1 << 19;

/// Rows per sample of the lower rate when rows are interpolated: the error of a straight line between two of them,
/// `(pi / rows)^2 / 8`, is then 2.9e-7 (-130 dB), below the filter's own stopband.
const INTERPOLATED_ROWS: u32 = 2048;

/// Most input samples per output sample; bounds the filter's length, and is past 768 kHz to 8 kHz.
const MAX_RATIO: u32 = 128;

/// Why two rates cannot be converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ResampleError {
    #[error("cannot resample from {got_hz} Hz; the rate must be 1..={MAX_SAMPLE_RATE_HZ} Hz")]
    From { got_hz: u32 },
    #[error("cannot resample to {got_hz} Hz; the rate must be 1..={MAX_SAMPLE_RATE_HZ} Hz")]
    To { got_hz: u32 },
    #[error("cannot resample from {from_hz} to {to_hz} Hz; at most a {MAX_RATIO}th of the rate can be made")]
    Ratio { from_hz: u32, to_hz: u32 },
}

/// The filter from one rate to another; immutable, to be shared by all streams of that pair.
///
/// The ratio is reduced to `phases / stride`: output `k` lies `k * stride / phases` input samples from the start.
/// Every phase has its own row of taps, or, where that would take too much memory (44,101 Hz to 16 kHz has 16,000
/// phases), a straight line is drawn between neighbouring rows of a fine grid.
pub struct ResamplePlan {
    from_hz: u32,
    to_hz: u32,
    /// Numerator of the reduced ratio `to / from`.
    pub(super) phases: u64,
    /// Denominator of it.
    stride: u64,
    /// Rows that divide one input sample; equals `phases` when each has its own.
    rows: u64,
    /// Taps of a row, a multiple of [`LANES`].
    taps: usize,
    /// Input samples a row reaches back from its output; see [`Self::row`].
    pub(super) back: usize,
    /// `[rows + 1, taps]`; the last row is the first of the next input sample, for interpolation.
    table: Vec<f32>,
}

/// What an output sample is made of: `(1 - towards) * first + towards * second`.
#[derive(Clone, Copy)]
pub(super) struct Taps<'a> {
    pub first: &'a [f32],
    pub second: &'a [f32],
    pub towards: f32,
}

impl ResamplePlan {
    /// Computes the filter's table.
    ///
    /// # Errors
    /// When a rate is not in `1..=768_000` Hz, or `from_hz` is more than 128 times `to_hz`.
    pub fn new(from_hz: u32, to_hz: u32) -> Result<Self, ResampleError> {
        let valid = 1..=MAX_SAMPLE_RATE_HZ;
        if !valid.contains(&from_hz) {
            return Err(ResampleError::From { got_hz: from_hz });
        }
        if !valid.contains(&to_hz) {
            return Err(ResampleError::To { got_hz: to_hz });
        }
        if from_hz.div_ceil(to_hz) > MAX_RATIO {
            return Err(ResampleError::Ratio { from_hz, to_hz });
        }
        let divisor = gcd(from_hz, to_hz);
        let (phases, stride) = (to_hz / divisor, from_hz / divisor);
        let kernel = Kernel::new(from_hz, to_hz);
        let taps = (2 * kernel.reach().ceil() as usize).next_multiple_of(LANES);
        let rows = if taps.saturating_mul(phases as usize) <= MAX_EXACT_VALUES {
            phases
        } else {
            // Downsampling stretches the kernel, so that fewer rows per input sample follow it as closely.
            (u64::from(INTERPOLATED_ROWS) * u64::from(to_hz.min(from_hz))).div_ceil(u64::from(from_hz)) as u32
        };
        let back = taps / 2 - 1;
        let mut table = Vec::new();
        if from_hz != to_hz {
            table.reserve_exact((rows as usize + 1) * taps);
            for row in 0..=rows {
                let centre = back as f64 + f64::from(row) / f64::from(rows);
                table.extend((0..taps).map(|tap| kernel.at(tap as f64 - centre) as f32));
            }
        }
        Ok(Self {
            from_hz,
            to_hz,
            phases: u64::from(phases),
            stride: u64::from(stride),
            rows: u64::from(rows),
            taps,
            back,
            table,
        })
    }

    /// The rate of what goes in, in Hz.
    #[must_use]
    pub fn from_hz(&self) -> u32 {
        self.from_hz
    }

    /// The rate of what comes out, in Hz.
    #[must_use]
    pub fn to_hz(&self) -> u32 {
        self.to_hz
    }

    /// Samples that `samples` of a whole sound become: `ceil(samples * to / from)`.
    #[must_use]
    pub fn output_len(&self, samples: usize) -> usize {
        let exact = (samples as u128 * u128::from(self.phases)).div_ceil(u128::from(self.stride));
        usize::try_from(exact).unwrap_or(usize::MAX)
    }

    /// Input samples an output needs past the one it lies on.
    #[must_use]
    pub fn lookahead_samples(&self) -> usize {
        if self.is_identity() { 0 } else { self.taps - 1 - self.back }
    }

    #[cfg(test)]
    pub(super) fn table_bytes(&self) -> usize {
        self.table.len() * size_of::<f32>()
    }

    pub(super) fn is_identity(&self) -> bool {
        self.from_hz == self.to_hz
    }

    pub(super) fn taps(&self) -> usize {
        self.taps
    }

    /// Whole input samples from one output to the next, and what is left of the step in `1 / phases` of a sample.
    pub(super) fn step(&self) -> (usize, u64) {
        ((self.stride / self.phases) as usize, self.stride % self.phases)
    }

    /// Where output `output` lies: the input sample at or before it, and how far past that in `1 / phases` of a sample.
    pub(super) fn place(&self, output: usize) -> (usize, u64) {
        let position = output as u128 * u128::from(self.stride);
        let phases = u128::from(self.phases);
        (usize::try_from(position / phases).unwrap_or(usize::MAX), (position % phases) as u64)
    }

    /// Input samples, counted from the start, that the outputs before `output` are made of.
    #[must_use]
    pub fn inputs_before(&self, output: usize) -> usize {
        output.checked_sub(1).map_or(0, |last| self.place(last).0 + 1 + self.lookahead_samples())
    }

    /// Whether every output has a row of its own, so that nothing is interpolated.
    pub(super) fn has_every_row(&self) -> bool {
        self.rows == self.phases
    }

    /// The taps for an output `phase / phases` past an input sample; the first applies to the sample `back` before it.
    pub(super) fn row(&self, phase: u64) -> Taps<'_> {
        let (row, remainder) = if self.has_every_row() {
            (phase, 0)
        } else {
            (phase * self.rows / self.phases, phase * self.rows % self.phases)
        };
        Taps {
            first: self.taps_at(row as usize),
            second: self.taps_at(row as usize + 1),
            towards: (remainder as f64 / self.phases as f64) as f32,
        }
    }

    fn taps_at(&self, row: usize) -> &[f32] {
        &self.table[row * self.taps..][..self.taps]
    }
}

impl fmt::Debug for ResamplePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResamplePlan({} Hz -> {} Hz)", self.from_hz, self.to_hz)
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
