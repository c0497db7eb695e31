//! The stream against the recipe written out as plainly as possible.

use std::f64::consts::PI;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;

fn noise(samples: usize) -> Vec<f32> {
    let mut state = 7_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..samples).map(|_| next()).collect()
}

fn plan(params: MelParams) -> Arc<MelPlan> {
    Arc::new(MelPlan::new(params).unwrap())
}

/// One mel value by its definition: a discrete Fourier sum per bin, a triangle per band.
fn by_definition(p: &MelParams, samples: &[f32], frame: usize, band: usize) -> f64 {
    let emphasised = |n: isize| {
        let at = |n: isize| usize::try_from(n).ok().and_then(|n| samples.get(n)).copied();
        at(n).map_or(0.0, |x| f64::from(x) - p.pre_emphasis * f64::from(at(n - 1).unwrap_or(0.0)))
    };
    let first = (frame * p.hop_samples) as isize - (p.window_samples / 2) as isize;
    let mel_of = |hz: f64| {
        if hz < 1000.0 { hz * 0.015 } else { 15.0 + 27.0 * (hz / 1000.0).log(6.4) }
    };
    let hz_of = |mel: f64| {
        if mel < 15.0 { mel / 0.015 } else { 1000.0 * 6.4_f64.powf((mel - 15.0) / 27.0) }
    };
    let step = (mel_of(p.fmax_hz) - mel_of(p.fmin_hz)) / (p.mels as f64 + 1.0);
    let edge = |i: usize| hz_of(mel_of(p.fmin_hz) + step * (band + i) as f64);
    let mut sum = 0.0;
    for bin in 0..=p.n_fft / 2 {
        let hz = bin as f64 * f64::from(p.sample_rate_hz) / p.n_fft as f64;
        let rise = (hz - edge(0)) / (edge(1) - edge(0));
        let height = rise.min((edge(2) - hz) / (edge(2) - edge(1)));
        if height <= 0.0 {
            continue;
        }
        let (mut re, mut im) = (0.0, 0.0);
        for n in 0..p.window_samples {
            let hann = (PI * n as f64 / p.window_samples as f64).sin().powi(2);
            let x = hann * emphasised(first + n as isize);
            let angle = 2.0 * PI * (bin * n % p.n_fft) as f64 / p.n_fft as f64;
            re += x * angle.cos();
            im -= x * angle.sin();
        }
        sum += height * 2.0 / (edge(2) - edge(0)) * re.hypot(im);
    }
    (8.0 * (20.0 * sum.max(1e-5).log10() - 20.0 + 100.0) / 100.0 - 4.0).clamp(-4.0, 4.0)
}

#[test]
fn every_value_is_the_recipes() {
    let recipe = MelParams::default();
    let other = MelParams {
        sample_rate_hz: 22_050,
        n_fft: 128,
        hop_samples: 50,
        window_samples: 100,
        mels: 12,
        fmin_hz: 0.0,
        fmax_hz: 11_025.0,
        pre_emphasis: 0.5,
    };
    for params in [recipe, other] {
        let samples = noise(4 * params.n_fft + 3);
        let got = mel_spectrogram(&plan(params), &samples);
        assert_eq!(got.len(), params.frames_for_samples(samples.len()) * params.mels);
        for (frame, row) in got.chunks(params.mels).enumerate() {
            for (band, &value) in row.iter().enumerate().step_by(7) {
                let expected = by_definition(&params, &samples, frame, band);
                assert!((f64::from(value) - expected).abs() < 1e-5, "{frame} {band}: {value} {expected}");
            }
        }
    }
}

#[test]
fn tiny_sounds_have_frames_too() {
    let plan = plan(MelParams::default());
    for (samples, frames) in [(0, 1), (1, 1), (199, 1), (200, 2), (399, 2), (400, 3), (801, 5)] {
        assert_eq!(mel_spectrogram(&plan, &vec![0.1; samples]).len(), frames * 80, "{samples}");
    }
}

#[test]
fn silence_is_the_bottom_and_nothing_is_past_the_top() {
    let plan = plan(MelParams::default());
    assert!(mel_spectrogram(&plan, &[0.0; 1000]).iter().all(|&v| v == SILENT_MEL));
    let loud: Vec<f32> = noise(1000).iter().map(|x| x * 1e6).collect();
    assert!(mel_spectrogram(&plan, &loud).contains(&LOUDEST_MEL));
}

#[test]
fn frames_come_out_as_soon_as_their_samples_are_in() {
    let mut stream = MelStream::new(plan(MelParams::default()));
    let mut at = Vec::new();
    for sample in 1..=1001 {
        stream.push(&[0.5], &mut |_| at.push(sample));
    }
    assert_eq!(at, [400, 600, 800, 1000]);
    let mut late = 0;
    stream.finish(&mut |_| late += 1);
    assert_eq!(late, 2);
}

fn in_parts(plan: &Arc<MelPlan>, samples: &[f32], threads: NonZeroUsize) -> Vec<f32> {
    let parts = Mutex::new(Vec::new());
    let Ok(()) = mel_in_parts(plan, samples, threads, &|first, rows| {
        parts.lock().unwrap().push((first, rows.to_vec()));
        Ok::<(), std::convert::Infallible>(())
    });
    let mut parts = parts.into_inner().unwrap();
    parts.sort_by_key(|(first, _)| *first);
    parts.into_iter().flat_map(|(_, rows)| rows).collect()
}

#[test]
fn the_first_part_that_fails_is_named() {
    let plan = plan(MelParams::default());
    let fail = |first: usize, _: &[f32]| if first < 1000 { Ok(()) } else { Err(Failed(first)) };
    for threads in [1, 2, 5] {
        let threads = NonZeroUsize::new(threads).unwrap();
        assert_eq!(mel_in_parts(&plan, &noise(500_000)[..], threads, &fail), Err(Failed(1024)));
    }
}

#[derive(Debug, PartialEq)]
struct Failed(usize);

impl From<std::convert::Infallible> for Failed {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bits_do_not_depend_on_the_chunks(
        cuts in prop::collection::vec(prop_oneof![Just(1_usize), 0_usize..300, 500_usize..8000, Just(60_000)], 0..10),
        hop in prop::sample::select(vec![1_usize, 160, 200, 800]),
        dirty in any::<bool>(),
    ) {
        prop_assume!(hop > 1 || cuts.iter().sum::<usize>() < 4000);
        let params = MelParams { hop_samples: hop, ..MelParams::default() };
        let plan = plan(params);
        let samples = noise(cuts.iter().sum());
        let whole = mel_spectrogram(&plan, &samples);
        for threads in [2, 3, 16] {
            let threads = NonZeroUsize::new(threads).unwrap();
            let got = in_parts(&plan, &samples, threads);
            prop_assert!(got.iter().map(|x| x.to_bits()).eq(whole.iter().map(|x| x.to_bits())));
        }
        let mut stream = MelStream::new(plan);
        if dirty {
            stream.push(&[0.9; 1234], &mut |_| {});
            stream.finish(&mut |_| {});
        }
        let mut got = Vec::new();
        let mut rest = &samples[..];
        for cut in cuts {
            let (now, later) = rest.split_at(cut);
            let mut frames = 0;
            stream.push(now, &mut |frame| {
                frames += 1;
                got.extend_from_slice(frame);
            });
            prop_assert!(frames <= cut.div_ceil(hop));
            rest = later;
        }
        let mut frames = 0;
        stream.finish(&mut |frame| {
            frames += 1;
            got.extend_from_slice(frame);
        });
        prop_assert!(frames <= (params.n_fft / 2).div_ceil(hop));
        prop_assert_eq!(got.len(), params.frames_for_samples(samples.len()) * params.mels);
        prop_assert!(got.iter().zip(&whole).all(|(a, b)| a.to_bits() == b.to_bits()));
    }
}
