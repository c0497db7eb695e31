//! rustfft's transforms for `f64`, compiled apart: all of rustfft is generic, and the crate that plans a transform compiles it, which was a
//! quarter of the compiler's work on lipsyncd, each time for the program, for its tests and for every set of features.

use std::sync::Arc;

use rustfft::FftPlanner;
pub use rustfft::{Fft, num_complex::Complex};

/// Plans the discrete Fourier transform of `len` complex numbers, forward and not normalised; with no number it does nothing.
pub fn plan_forward(len: usize) -> Arc<dyn Fft<f64>> {
    FftPlanner::new().plan_fft_forward(len)
}
