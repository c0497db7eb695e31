//! From the sum of a band to the normalised mel value.

use std::f32::consts::SQRT_2;
use std::f64::consts::{LOG10_2, LOG10_E};

use multiversion::multiversion;

use super::{LOUDEST_MEL, SILENT_MEL};

/// `8 (20 log10 S - 20 + 100) / 100 - 4` is `1.6 log10 S + 2.4`.
const MEL_PER_DECADE: f64 = 1.6;
const MEL_AT_ONE: f32 = 2.4;
const MEL_PER_OCTAVE: f32 = (MEL_PER_DECADE * LOG10_2) as f32;
const MEL_PER_NEPER: f32 = (MEL_PER_DECADE * LOG10_E) as f32;

/// The least sum looked at; far below the bottom of the scale, which is 1e-4.
const FLOOR: f32 = 1e-5;

const MANTISSA_BITS: u32 = f32::MANTISSA_DIGITS - 1;

/// Turns the sums of bands into mel values, -4..4, in place; the largest error is 1e-6.
///
/// Arithmetic only, so that a SIMD register's worth of bands is worked on at once; a call of the system's logarithm
/// for each costs as much as the transform.
#[multiversion(targets("x86_64+avx2"))]
pub(super) fn normalise(bands: &mut [f32]) {
    for band in bands {
        let (exponent, log) = split_log(if *band > FLOOR { *band } else { FLOOR });
        let mel = MEL_PER_NEPER * log + (MEL_PER_OCTAVE * exponent + MEL_AT_ONE);
        *band = mel.clamp(SILENT_MEL, LOUDEST_MEL);
    }
}

/// `x = 2^exponent m` with `m` around 1; the exponent and the natural logarithm of `m`. `x` must be normal.
///
/// Series of the inverse hyperbolic tangent: `ln m = 2 (s + s^3/3 + s^5/5 ...)`, `s = (m - 1) / (m + 1)`. With
/// `m` in `sqrt(1/2)..sqrt(2)`, `s` is at most 0.172 and the first term left out 2e-9 of the sum.
#[inline(always)] // Into the loop above, which is compiled for wider vectors as well.
fn split_log(x: f32) -> (f32, f32) {
    const LEAST: i32 = (SQRT_2 / 2.0).to_bits() as i32;
    let exponent = (x.to_bits() as i32 - LEAST) >> MANTISSA_BITS;
    let m = f32::from_bits((x.to_bits() as i32 - (exponent << MANTISSA_BITS)) as u32);
    let s = (m - 1.0) / (m + 1.0);
    let square = s * s;
    let series = 1.0 / 3.0 + square * (1.0 / 5.0 + square * (1.0 / 7.0 + square * (1.0 / 9.0)));
    (exponent as f32, 2.0 * (s + s * square * series))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_formula() {
        let mut sums: Vec<f32> = (0..2_000_000).map(|n| 1e-5 * 1.000_01_f32.powi(n)).filter(|s| *s < 1e4).collect();
        sums.extend([1e-4, 1.0, 0.5, 2.0, SQRT_2, SQRT_2 / 2.0]);
        let mut mels = sums.clone();
        normalise(&mut mels);
        for (sum, mel) in sums.into_iter().zip(mels) {
            let db = 20.0 * f64::from(sum).log10() - 20.0;
            let expected = (8.0 * (db + 100.0) / 100.0 - 4.0).clamp(-4.0, 4.0);
            assert!((f64::from(mel) - expected).abs() < 1e-6, "{sum}: {mel} {expected}");
        }
    }

    #[test]
    fn the_ends_of_the_scale_are_exact() {
        let mut sums = [0.0, f32::MIN_POSITIVE / 2.0, 9.9e-5, f32::NAN, 11.0, f32::MAX, f32::INFINITY];
        normalise(&mut sums);
        assert_eq!(sums, [-4.0, -4.0, -4.0, -4.0, 4.0, 4.0, 4.0]);
    }
}
