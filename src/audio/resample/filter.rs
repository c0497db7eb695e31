//! The low-pass filter, as a function of time, that the table is sampled from.

use std::f64::consts::PI;

/// Where the filter has halved (-6 dB), as a fraction of the lower rate's Nyquist frequency. Full passband ends at
/// 0.914, full stopband begins at 1.0.
const CUTOFF: f64 = 0.956_872;

/// Half the filter's length, in samples at the lower rate.
const HALF_WIDTH: f64 = 97.25;

/// Shape of the Kaiser window: 127 dB of stopband attenuation (J. F. Kaiser, "Nonrecursive digital filter design
/// using the I0-sinh window function", 1974: `beta = 0.1102 (A - 8.7)`).
const BETA: f64 = 13.04;

/// A continuous low-pass kernel in input samples, for one pair of rates. The three constants above are a least
/// squares fit to the impulse response of soxr 1.1 "HQ" at 32 and 48 kHz, which it meets to 1e-7 of its peak.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kernel {
    /// Input samples per sample of the lower rate, at least 1.
    stretch: f64,
    /// `1 / I0(BETA)`, which makes the window 1 at its centre.
    window_scale: f64,
}

impl Kernel {
    pub fn new(from_hz: u32, to_hz: u32) -> Self {
        Self { stretch: (f64::from(from_hz) / f64::from(to_hz)).max(1.0), window_scale: 1.0 / bessel_i0(BETA) }
    }

    /// The kernel is zero at this many input samples from its centre, and beyond.
    pub fn reach(&self) -> f64 {
        HALF_WIDTH * self.stretch
    }

    /// The kernel's value at `offset` input samples from its centre; it sums to 1 over any whole-sample grid.
    pub fn at(&self, offset: f64) -> f64 {
        let along = offset / self.reach();
        let inside = 1.0 - along * along;
        if inside <= 0.0 {
            return 0.0;
        }
        let cutoff = CUTOFF / self.stretch;
        let angle = PI * cutoff * offset;
        let sinc = if angle == 0.0 { 1.0 } else { angle.sin() / angle };
        cutoff * sinc * bessel_i0(BETA * inside.sqrt()) * self.window_scale
    }
}

/// The modified Bessel function of order 0, by its power series `sum ((x/2)^k / k!)^2`.
fn bessel_i0(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut sum, mut term, mut k) = (1.0, 1.0, 0.0);
    while term > sum * f64::EPSILON {
        k += 1.0;
        term *= quarter / (k * k);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bessel_agrees_with_tables() {
        // Abramowitz and Stegun, table 9.8 (I0(x) e^-x), and its value at 0.
        assert_eq!(bessel_i0(0.0), 1.0);
        for (x, scaled) in [(1.0_f64, 0.465_759_607_6), (5.0, 0.183_540_812_6), (10.0, 0.127_833_337_2)] {
            assert!((bessel_i0(x) * (-x).exp() - scaled).abs() < 1e-9, "I0({x})");
        }
    }

    #[test]
    fn the_transition_band_is_where_it_should_be() {
        for (from, to) in [(48_000, 16_000), (16_000, 16_000), (8_000, 16_000)] {
            let kernel = Kernel::new(from, to);
            let nyquist = f64::from(from.min(to)) / 2.0;
            let gain_db = |hz: f64| {
                let reach = kernel.reach() as i32;
                let sum: f64 = (-reach..=reach)
                    .map(f64::from)
                    .map(|n| kernel.at(n) * (2.0 * PI * hz / f64::from(from) * n).cos())
                    .sum();
                20.0 * sum.abs().max(1e-12).log10()
            };
            for hz in [0.0, 0.3, 0.7, 0.9, 0.912] {
                assert!(gain_db(hz * nyquist).abs() < 1e-3, "{from} -> {to} at {hz}");
            }
            assert!((gain_db(CUTOFF * nyquist) + 6.02).abs() < 0.01);
            for hz in [1.0005, 1.01, 1.1, 1.37] {
                let gain = if f64::from(from) / 2.0 > hz * nyquist { gain_db(hz * nyquist) } else { -200.0 };
                assert!(gain < -120.0, "{from} -> {to} at {hz}: {gain} dB");
            }
        }
    }
}
