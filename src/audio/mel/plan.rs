//! What every mel stream with the same parameters shares.

use std::f64::consts::{LOG10_E, TAU};
use std::fmt;
use std::sync::Arc;

use multiversion::multiversion;
use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use super::filterbank::Filterbank;
use super::{LOUDEST_MEL, MelError, MelParams, SILENT_MEL};

/// The Fourier transform, window and bands of a set of [`MelParams`]; immutable, to be shared.
pub struct MelPlan {
    params: MelParams,
    fft: Arc<dyn RealToComplex<f64>>,
    /// Periodic Hann, `window_samples` long.
    window: Vec<f64>,
    bank: Filterbank,
}

/// The buffers one stream works a frame in.
pub(super) struct Scratch {
    windowed: Vec<f64>,
    spectrum: Vec<Complex<f64>>,
    fft: Vec<Complex<f64>>,
    magnitudes: Vec<f64>,
}

impl MelPlan {
    /// Plans the transform and computes window and bands.
    ///
    /// # Errors
    /// Those of [`MelParams::validate`].
    pub fn new(params: MelParams) -> Result<Self, MelError> {
        params.validate()?;
        let hann = |n: usize| 0.5 - 0.5 * (TAU * n as f64 / params.window_samples as f64).cos();
        Ok(Self {
            fft: RealFftPlanner::new().plan_fft_forward(params.n_fft),
            window: (0..params.window_samples).map(hann).collect(),
            bank: Filterbank::new(&params),
            params,
        })
    }

    /// The parameters it was built with.
    #[must_use]
    pub fn params(&self) -> &MelParams {
        &self.params
    }

    pub(super) fn scratch(&self) -> Scratch {
        Scratch {
            windowed: self.fft.make_input_vec(),
            spectrum: self.fft.make_output_vec(),
            fft: self.fft.make_scratch_vec(),
            magnitudes: vec![0.0; self.bank.bins().len()],
        }
    }

    /// The mel frame of `n_fft` pre-emphasised samples, into `frame` (`mels` values).
    pub(super) fn frame(&self, samples: &[f64], scratch: &mut Scratch, frame: &mut [f32]) {
        let margin = (self.params.n_fft - self.window.len()) / 2;
        let under = margin..margin + self.window.len();
        // The transform leaves its input in an unknown state, so the margins are cleared each time.
        scratch.windowed[..under.start].fill(0.0);
        scratch.windowed[under.end..].fill(0.0);
        apply_window(&samples[under.clone()], &self.window, &mut scratch.windowed[under]);
        let done = self.fft.process_with_scratch(&mut scratch.windowed, &mut scratch.spectrum, &mut scratch.fft);
        debug_assert!(done.is_ok(), "the plan sized these buffers: {done:?}");
        let used = &scratch.spectrum[self.bank.bins()];
        magnitudes(used, &mut scratch.magnitudes);
        decibels(&self.bank, &scratch.magnitudes, frame);
    }
}

impl fmt::Debug for MelPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MelPlan").field("params", &self.params).finish_non_exhaustive()
    }
}

// The three loops between the transforms. Wider vectors change their speed, not their bits: the order of every sum is
// written out, and nothing is fused.

#[multiversion(targets("x86_64+avx2"))]
fn apply_window(samples: &[f64], window: &[f64], out: &mut [f64]) {
    for ((slot, x), w) in out.iter_mut().zip(samples).zip(window) {
        *slot = x * w;
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn magnitudes(spectrum: &[Complex<f64>], out: &mut [f64]) {
    for (magnitude, bin) in out.iter_mut().zip(spectrum) {
        // Not `norm()`: hypot guards against overflow no sample can cause, at several times the cost.
        *magnitude = bin.norm_sqr().sqrt();
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn decibels(bank: &Filterbank, magnitudes: &[f64], frame: &mut [f32]) {
    for (slot, sum) in frame.iter_mut().zip(bank.sums(magnitudes)) {
        *slot = normalise(sum);
    }
}

/// `20 log10(max(1e-5, S)) - 20` decibels, of which -100..0 become -4..4.
fn normalise(sum: f64) -> f32 {
    let db = 20.0 * LOG10_E * sum.max(1e-5).ln() - 20.0;
    let mel = 8.0 * (db + 100.0) / 100.0 - 4.0;
    (mel as f32).clamp(SILENT_MEL, LOUDEST_MEL)
}
