//! Slaney's mel bands, kept sparse: a band touches 4 to 45 of the recipe's 401 bins.

use std::ops::Range;

use super::MelParams;

/// Accumulators of a band's dot product; wide enough to keep the SIMD units busy, fixed so that the order of
/// the additions, and with it the result's bits, is the same on every machine.
const LANES: usize = 4;

/// Triangular bands over the bins of an STFT, each of equal area.
#[derive(Debug)]
pub(super) struct Filterbank {
    bands: Vec<Band>,
    /// The bands' weights one after the other, without their zeros.
    weights: Vec<f64>,
    bins: Range<usize>,
}

#[derive(Debug)]
struct Band {
    bins: Range<usize>,
    weights: Range<usize>,
}

impl Filterbank {
    /// The bands of `params`, which must be valid.
    ///
    /// Formulas: M. Slaney, "Auditory Toolbox", 1998, as in librosa 0.11 `librosa.filters.mel` with its defaults
    /// (`htk=False`, `norm="slaney"`, `dtype=float32`).
    pub fn new(params: &MelParams) -> Self {
        let low = hz_to_mel(params.fmin_hz);
        let step = (hz_to_mel(params.fmax_hz) - low) / (params.mels + 1) as f64;
        let edge_hz = |i: usize| mel_to_hz(low + step * i as f64);
        let bin_hz = f64::from(params.sample_rate_hz) / params.n_fft as f64;
        let mut weights = Vec::new();
        let mut bands = Vec::with_capacity(params.mels);
        for band in 0..params.mels {
            let [left, peak, right] = [edge_hz(band), edge_hz(band + 1), edge_hz(band + 2)];
            let weight = |bin: usize| {
                let hz = bin as f64 * bin_hz;
                let height = ((hz - left) / (peak - left)).min((right - hz) / (right - peak));
                // Rounded to f32 where librosa's array of float32 rounds: on assignment and after scaling.
                let height = f64::from(height.max(0.0) as f32);
                f64::from((height * (2.0 / (right - left))) as f32)
            };
            let all = 0..params.n_fft / 2 + 1;
            let first = all.clone().find(|&bin| weight(bin) > 0.0).unwrap_or(0);
            let end = all.clone().rfind(|&bin| weight(bin) > 0.0).map_or(first, |bin| bin + 1);
            let start = weights.len();
            weights.extend((first..end).map(weight));
            bands.push(Band { bins: first..end, weights: start..weights.len() });
        }
        let used = || bands.iter().filter(|band| !band.bins.is_empty());
        let first = used().map(|band| band.bins.start).min().unwrap_or(0);
        let end = used().map(|band| band.bins.end).max().unwrap_or(first);
        Self { bands, weights, bins: first..end }
    }

    /// The bins any band looks at.
    pub fn bins(&self) -> Range<usize> {
        self.bins.clone()
    }

    /// The sum of each band over `magnitudes`, which are those of [`Self::bins`], in the order of the bands.
    #[inline(always)] // Into the caller, which is compiled for wider vectors as well.
    pub fn sums<'a>(&'a self, magnitudes: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
        self.bands.iter().map(move |band| {
            if band.bins.is_empty() {
                return 0.0;
            }
            let from = band.bins.start - self.bins.start;
            let to = band.bins.end - self.bins.start;
            dot(&magnitudes[from..to], &self.weights[band.weights.clone()])
        })
    }
}

#[inline(always)]
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    (sums[0] + sums[2]) + (sums[1] + sums[3]) + rest
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
        let magnitudes: Vec<f64> = bank.bins().map(|bin| 1.0 + (bin as f64).sqrt()).collect();
        let low = hz_to_mel(55.0);
        let high = hz_to_mel(7600.0);
        for (band, sum) in bank.sums(&magnitudes).enumerate() {
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
        let ones = vec![1.0; bank.bins().len()];
        let sums: Vec<f64> = bank.sums(&ones).collect();
        assert_eq!(sums.len(), 80);
        assert!(sums.contains(&0.0) && sums.iter().any(|&sum| sum > 0.0));
    }
}
