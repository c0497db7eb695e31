//! The magnitudes of a real sound's spectrum, from a complex transform of half its length.

use std::f64::consts::TAU;
use std::sync::Arc;

use lipsyncd_fft::{Complex, Fft};
use multiversion::multiversion;

/// Largest power of a bin; its root times any weight, summed over any band, stays finite in `f32`.
const MAX_POWER: f64 = 1e30;

/// Pairs of bins worked on together: a SIMD register of `f64`, or two.
const LANES: usize = 4;

/// The transform for one length, and the factors that take its output apart; immutable, to be shared.
pub(super) struct Spectrum {
    fft: Arc<dyn Fft<f64>>,
    /// `exp(2 pi i k / n_fft)` for `k` from 1 on, below a quarter of `n_fft`.
    turns: Turns,
}

#[derive(Default)]
struct Turns {
    cos: Vec<f64>,
    sin: Vec<f64>,
}

/// The buffers of one transform after another.
pub(super) struct SpectrumScratch {
    /// Where [`Spectrum::magnitudes`] expects the sound: sample `2n` as real, `2n + 1` as imaginary part.
    pub packed: Vec<Complex<f64>>,
    fft: Vec<Complex<f64>>,
    /// `n_fft / 2 + 1` bins, and zeros after them.
    magnitudes: Vec<f32>,
}

impl Spectrum {
    /// Plans for sounds of `n_fft` samples, which must be even.
    pub fn new(n_fft: usize) -> Self {
        let bins = n_fft / 2;
        let angle = |k: usize| TAU * k as f64 / n_fft as f64;
        let inner = 1..bins.div_ceil(2).max(1);
        Self {
            fft: lipsyncd_fft::plan_forward(bins),
            turns: Turns {
                cos: inner.clone().map(|k| angle(k).cos()).collect(),
                sin: inner.map(|k| angle(k).sin()).collect(),
            },
        }
    }

    /// Buffers for [`Self::magnitudes`], with `spare` zeros after the bins.
    pub fn scratch(&self, spare: usize) -> SpectrumScratch {
        let zero = Complex::new(0.0, 0.0);
        SpectrumScratch {
            packed: vec![zero; self.fft.len()],
            fft: vec![zero; self.fft.get_inplace_scratch_len()],
            magnitudes: vec![0.0; self.fft.len() + 1 + spare],
        }
    }

    /// Twice the magnitude of each bin of the sound in `scratch.packed`, which is used up; then the spare zeros.
    ///
    /// Transformed in `f64`, rounded to `f32` after: a magnitude is then right to 1e-7 of itself, however much louder
    /// its neighbours are.
    pub fn magnitudes<'s>(&self, scratch: &'s mut SpectrumScratch) -> &'s [f32] {
        let SpectrumScratch { packed, fft, magnitudes } = scratch;
        self.fft.process_with_scratch(packed, fft);
        let bins = packed.len();
        let half = bins / 2;
        magnitudes[0] = (2.0 * (packed[0].re + packed[0].im)).powi(2).min(MAX_POWER) as f32;
        magnitudes[bins] = (2.0 * (packed[0].re - packed[0].im)).powi(2).min(MAX_POWER) as f32;
        if bins.is_multiple_of(2) {
            magnitudes[half] = (4.0 * packed[half].norm_sqr()).min(MAX_POWER) as f32;
        }
        let inner = self.turns.cos.len();
        let (left, right) = (&packed[1..][..inner], &packed[bins - inner..]);
        let (low, high) = magnitudes[1..bins].split_at_mut(bins / 2);
        let start = high.len() - inner;
        untangle(left, right, &self.turns, (&mut low[..inner], &mut high[start..]));
        roots(&mut magnitudes[..=bins]);
        magnitudes
    }
}

/// Four times the powers of the bins `k` and `bins - k`, for `k` from 1 on: `powers.0` upwards, `powers.1` downwards.
///
/// With `a` and `b` bins `k` and `N - k` of the packed transform, and `w = exp(-2 pi i k / 2N)`, the sound's spectrum
/// at `k` is half of `(a + conj b) - i w (a - conj b)`, and at `N - k` the conjugate of half of the difference
/// (Numerical Recipes, "FFT of Single Real Function").
#[multiversion(targets("x86_64+avx2"))]
fn untangle(left: &[Complex<f64>], right: &[Complex<f64>], turns: &Turns, powers: (&mut [f32], &mut [f32])) {
    let (low, high) = powers;
    let blocks = left.len() / LANES * LANES;
    let (left, left_rest) = left.as_chunks::<LANES>();
    let (right_rest, right) = right.as_rchunks::<LANES>();
    let (cos, cos_rest) = turns.cos.as_chunks::<LANES>();
    let (sin, sin_rest) = turns.sin.as_chunks::<LANES>();
    let (low, low_rest) = low.split_at_mut(blocks);
    let (high_rest, high) = high.as_rchunks_mut::<LANES>();
    let parts = left.iter().zip(right.iter().rev()).zip(cos.iter().zip(sin));
    for (((a, b), (cos, sin)), (low, high)) in
        parts.zip(low.as_chunks_mut::<LANES>().0.iter_mut().zip(high.iter_mut().rev()))
    {
        let mut up = [0.0; LANES];
        let mut down = [0.0; LANES];
        for lane in 0..LANES {
            (up[lane], down[lane]) = pair(a[lane], b[LANES - 1 - lane], cos[lane], sin[lane]);
        }
        for lane in 0..LANES {
            low[lane] = up[lane];
            high[LANES - 1 - lane] = down[lane];
        }
    }
    let rest = left_rest.iter().zip(right_rest.iter().rev()).zip(cos_rest.iter().zip(sin_rest));
    for (((a, b), (cos, sin)), (low, high)) in rest.zip(low_rest.iter_mut().zip(high_rest.iter_mut().rev())) {
        (*low, *high) = pair(*a, *b, *cos, *sin);
    }
}

#[inline(always)]
fn pair(a: Complex<f64>, b: Complex<f64>, cos: f64, sin: f64) -> (f32, f32) {
    let (even_re, even_im) = (a.re + b.re, a.im - b.im);
    let (diff, sum) = (a.re - b.re, a.im + b.im);
    let odd_re = cos * sum - sin * diff;
    let odd_im = cos * diff + sin * sum;
    let (up_re, up_im) = (even_re + odd_re, even_im - odd_im);
    let (down_re, down_im) = (even_re - odd_re, even_im + odd_im);
    (bounded(up_re * up_re + up_im * up_im), bounded(down_re * down_re + down_im * down_im))
}

/// `power`, or the largest one; written so that it is one instruction.
#[inline(always)]
fn bounded(power: f64) -> f32 {
    (if power < MAX_POWER { power } else { MAX_POWER }) as f32
}

#[multiversion(targets("x86_64+avx2"))]
fn roots(powers: &mut [f32]) {
    for power in powers {
        *power = power.sqrt();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magnitudes_are_those_of_the_definition() {
        // Halves that are odd, even, a multiple of the lanes and smaller than one.
        for n_fft in [2, 4, 6, 8, 10, 16, 18, 34, 62, 800] {
            let spectrum = Spectrum::new(n_fft);
            let mut scratch = spectrum.scratch(3);
            let sound: Vec<f64> = (0..n_fft).map(|n| ((n * n) as f64 * 0.7).sin() + 0.1).collect();
            for (slot, pair) in scratch.packed.iter_mut().zip(sound.chunks(2)) {
                *slot = Complex::new(pair[0], pair[1]);
            }
            let got = spectrum.magnitudes(&mut scratch);
            assert_eq!(got.len(), n_fft / 2 + 4);
            assert_eq!(got[n_fft / 2 + 1..], [0.0; 3]);
            for (bin, &magnitude) in got[..=n_fft / 2].iter().enumerate() {
                let turn = |n: usize| Complex::from_polar(sound[n], -TAU * (bin * n % n_fft) as f64 / n_fft as f64);
                let expected = 2.0 * (0..n_fft).map(turn).sum::<Complex<f64>>().norm();
                let error = (f64::from(magnitude) - expected).abs();
                assert!(error <= 2e-7 * expected + 1e-12, "{n_fft} {bin}: {magnitude} {expected}");
            }
        }
    }

    #[test]
    fn a_sound_past_all_bounds_stays_finite() {
        let spectrum = Spectrum::new(16);
        let mut scratch = spectrum.scratch(0);
        scratch.packed[0] = Complex::new(f64::from(f32::MAX), 0.0);
        assert!(spectrum.magnitudes(&mut scratch).iter().all(|&x| x == 1e15));
    }
}
