//! What every mel stream with the same parameters shares.

use std::f64::consts::TAU;
use std::fmt;

use lipsyncd_fft::Complex;
use multiversion::multiversion;

use super::decibel::normalise;
use super::filterbank::Filterbank;
use super::spectrum::{Spectrum, SpectrumScratch};
use super::{MelError, MelParams};

/// The Fourier transform, window and bands of a set of [`MelParams`]; immutable, to be shared.
pub struct MelPlan {
    params: MelParams,
    spectrum: Spectrum,
    /// Half of a periodic Hann window in the middle of `n_fft` values; half, as the spectrum comes doubled.
    window: Vec<f64>,
    bank: Filterbank,
}

/// The buffers one stream works a frame in.
pub(super) struct Scratch(SpectrumScratch);

impl MelPlan {
    /// Plans the transform and computes window and bands.
    ///
    /// # Errors
    /// Those of [`MelParams::validate`].
    pub fn new(params: MelParams) -> Result<Self, MelError> {
        params.validate()?;
        let hann = |n: usize| 0.25 - 0.25 * (TAU * n as f64 / params.window_samples as f64).cos();
        let margin = (params.n_fft - params.window_samples) / 2;
        let mut window = vec![0.0; params.n_fft];
        for (n, slot) in window[margin..][..params.window_samples].iter_mut().enumerate() {
            *slot = hann(n);
        }
        Ok(Self { spectrum: Spectrum::new(params.n_fft), window, bank: Filterbank::new(&params), params })
    }

    /// The parameters it was built with.
    #[must_use]
    pub fn params(&self) -> &MelParams {
        &self.params
    }

    pub(super) fn scratch(&self) -> Scratch {
        Scratch(self.spectrum.scratch(Filterbank::SPARE_BINS))
    }

    /// The mel frame of `n_fft` pre-emphasised samples, into `frame` (`mels` values).
    pub(super) fn frame(&self, samples: &[f64], scratch: &mut Scratch, frame: &mut [f32]) {
        apply_window(samples, &self.window, &mut scratch.0.packed);
        self.bank.sums(self.spectrum.magnitudes(&mut scratch.0), frame);
        normalise(frame);
    }
}

impl fmt::Debug for MelPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MelPlan").field("params", &self.params).finish_non_exhaustive()
    }
}

/// Samples under the window, in pairs as the transform takes them. `out` holds a pair for each two samples.
#[multiversion(targets("x86_64+avx2"))]
fn apply_window(samples: &[f64], window: &[f64], out: &mut [Complex<f64>]) {
    let pairs = samples.as_chunks::<2>().0.iter().zip(window.as_chunks::<2>().0);
    for (slot, (x, w)) in out.iter_mut().zip(pairs) {
        *slot = Complex::new(x[0] * w[0], x[1] * w[1]);
    }
}
