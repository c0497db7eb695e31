//! Slaney's mel bands, kept sparse: a band touches 4 to 45 of the recipe's 401 bins.

use multiversion::multiversion;

use super::MelParams;

/// Accumulators of a band's dot product: a SIMD register of `f32`. Fixed, and with it the order of the additions, so
/// that no bit of the result depends on the machine.
const LANES: usize = 8;

/// Triangular bands over the bins of an STFT, each of equal area.
#[derive(Debug)]
pub(super) struct Filterbank {
    bands: Vec<Band>,
    /// The bands' weights one after the other, without their zeros but for those that fill the last lanes.
    weights: Vec<[f32; LANES]>,
}

#[derive(Debug)]
struct Band {
    first_bin: usize,
    /// Where its weights end; they start where those of the band before end.
    weights_end: usize,
}

impl Filterbank {
    /// Values a spectrum needs past its last bin; any finite ones.
    pub const SPARE_BINS: usize = LANES;

    /// The bands of `params`, which must be valid.
    ///
    /// Formulas: M. Slaney, "Auditory Toolbox", 1998, as in librosa 0.11 `librosa.filters.mel` with its defaults
    /// (`htk=False`, `norm="slaney"`, `dtype=float32`).
    pub fn new(params: &MelParams) -> Self {
        let low = hz_to_mel(params.fmin_hz);
        let step = (hz_to_mel(params.fmax_hz) - low) / (params.mels + 1) as f64;
        let edge_hz = |i: usize| mel_to_hz(low + step * i as f64);
        let bin_hz = f64::from(params.sample_rate_hz) / params.n_fft as f64;
        let last_bin = params.n_fft / 2;
        let mut bank = Self { bands: Vec::with_capacity(params.mels), weights: Vec::new() };
        for band in 0..params.mels {
            let [left, peak, right] = [edge_hz(band), edge_hz(band + 1), edge_hz(band + 2)];
            let weight = |bin: usize| {
                let hz = bin as f64 * bin_hz;
                let height = ((hz - left) / (peak - left)).min((right - hz) / (right - peak));
                // Rounded to f32 where librosa's array of float32 rounds: on assignment and after scaling.
                let height = f64::from(height.max(0.0) as f32);
                (height * (2.0 / (right - left))) as f32
            };
            // The triangle's bins, and one to each side for the rounding of these two divisions.
            let first = ((left / bin_hz) as usize).min(last_bin);
            let end = ((right / bin_hz) as usize + 2).min(last_bin + 1);
            bank.push(first, (first..end).map(weight));
        }
        bank
    }

    /// Appends a band that starts at `first_bin`.
    fn push(&mut self, first_bin: usize, weights: impl Iterator<Item = f32>) {
        let mut weights = weights.peekable();
        let mut skipped = 0;
        while weights.next_if(|&weight| weight == 0.0).is_some() {
            skipped += 1;
        }
        while weights.peek().is_some() {
            self.weights.push(std::array::from_fn(|_| weights.next().unwrap_or(0.0)));
        }
        self.bands.push(Band { first_bin: first_bin + skipped, weights_end: self.weights.len() });
    }

    /// The sum of each band over a spectrum's `magnitudes`, which are followed by [`Self::SPARE_BINS`] more values.
    pub fn sums(&self, magnitudes: &[f32], out: &mut [f32]) {
        sums(&self.bands, &self.weights, magnitudes, out);
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn sums(bands: &[Band], weights: &[[f32; LANES]], magnitudes: &[f32], out: &mut [f32]) {
    let mut start = 0;
    for (slot, band) in out.iter_mut().zip(bands) {
        let own = &weights[start..band.weights_end];
        let under = magnitudes.get(band.first_bin..).unwrap_or_default();
        let mut sum = [0.0; LANES];
        for (weights, values) in own.iter().zip(under.as_chunks::<LANES>().0) {
            for lane in 0..LANES {
                sum[lane] += weights[lane] * values[lane];
            }
        }
        let [s0, s1, s2, s3, s4, s5, s6, s7] = sum;
        *slot = ((s0 + s4) + (s2 + s6)) + ((s1 + s5) + (s3 + s7));
        start = band.weights_end;
    }
}

/// Where the scale turns from linear to logarithmic.
const KNEE_HZ: f64 = 1000.0;
const HZ_PER_LINEAR_MEL: f64 = 200.0 / 3.0;
const KNEE_MEL: f64 = KNEE_HZ / HZ_PER_LINEAR_MEL;

/// Growth of the logarithm of the frequency per mel: a factor 6.4 in 27 steps.
fn log_step() -> f64 {
    6.4_f64.ln() / 27.0
}

fn hz_to_mel(hz: f64) -> f64 {
    if hz < KNEE_HZ { hz / HZ_PER_LINEAR_MEL } else { KNEE_MEL + (hz / KNEE_HZ).ln() / log_step() }
}

fn mel_to_hz(mel: f64) -> f64 {
    if mel < KNEE_MEL { mel * HZ_PER_LINEAR_MEL } else { KNEE_HZ * (log_step() * (mel - KNEE_MEL)).exp() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_has_slaneys_fixed_points() {
        assert_eq!(hz_to_mel(0.0), 0.0);
        assert!((hz_to_mel(1000.0) - 15.0).abs() < 1e-12);
        assert!((hz_to_mel(6400.0) - 42.0).abs() < 1e-12);
        for hz in [1.0, 999.9, 1000.0, 1000.1, 24_000.0] {
            assert!((mel_to_hz(hz_to_mel(hz)) / hz - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn sparse_sums_are_those_of_the_whole_matrix() {
        let bank = Filterbank::new(&MelParams::default());
        // A different value in every bin, so that a band read from the wrong place shows.
        let mut magnitudes: Vec<f32> = (0..401).map(|bin| 1.0 + (bin as f32).sqrt()).collect();
        magnitudes.extend([f32::MAX; Filterbank::SPARE_BINS]);
        let mut sums = [f32::NAN; 80];
        bank.sums(&magnitudes, &mut sums);
        let low = hz_to_mel(55.0);
        let high = hz_to_mel(7600.0);
        for (band, sum) in sums.into_iter().map(f64::from).enumerate() {
            let edge = |i: usize| mel_to_hz(low + (high - low) * (band + i) as f64 / 81.0);
            let expected: f64 = (0..401)
                .map(|bin| {
                    let hz = 20.0 * f64::from(bin);
                    let rise = (hz - edge(0)) / (edge(1) - edge(0));
                    let fall = (edge(2) - hz) / (edge(2) - edge(1));
                    let area = 2.0 / (edge(2) - edge(0));
                    rise.min(fall).max(0.0) * area * (1.0 + f64::from(bin).sqrt())
                })
                .sum();
            assert!((sum / expected - 1.0).abs() < 1e-6, "band {band}");
        }
    }

    #[test]
    fn bands_narrower_than_a_bin_are_silent() {
        let params = MelParams { n_fft: 16, window_samples: 16, hop_samples: 4, ..MelParams::default() };
        let bank = Filterbank::new(&params);
        let mut sums = [f32::NAN; 80];
        bank.sums(&[1.0; 9 + Filterbank::SPARE_BINS], &mut sums);
        assert!(sums.contains(&0.0) && sums.iter().all(|&sum| sum >= 0.0) && sums.iter().any(|&sum| sum > 0.0));
    }
}
