//! The resampler against sines, whose samples at any rate are known.

use std::f64::consts::TAU;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::audio::Sound as _;

fn plan(from_hz: u32, to_hz: u32) -> Arc<ResamplePlan> {
    Arc::new(ResamplePlan::new(from_hz, to_hz).unwrap())
}

fn sine(hz: f64, rate_hz: u32, samples: usize) -> Vec<f32> {
    let step = TAU * hz / f64::from(rate_hz);
    (0..samples).map(|n| (step * n as f64 + 0.4).sin() as f32).collect()
}

/// Largest difference away from the ends, where the sound's start and stop are filtered too.
fn worst_inside(got: &[f32], expected: &[f32], margin: usize) -> f32 {
    assert_eq!(got.len(), expected.len());
    let inside = margin..got.len() - margin;
    let pairs = got[inside.clone()].iter().zip(&expected[inside]);
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Usual rates, rates whose rows are interpolated (44101, 767999, 7999), and the extremes.
const RATES_HZ: [u32; 14] =
    [8000, 11_025, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000, 192_000, 44_101, 7999, 767_999, 768_000];

#[test]
fn a_sine_of_the_passband_keeps_place_and_size() {
    for from in RATES_HZ {
        let seconds = 0.1;
        let hz = 0.85 * f64::from(from.min(16_000)) / 2.0;
        let input = sine(hz, from, (seconds * f64::from(from)) as usize);
        let plan = plan(from, 16_000);
        let got = resample(&plan, &input);
        let expected = sine(hz, 16_000, plan.output_len(input.len()));
        let worst = worst_inside(&got, &expected, 250);
        assert!(worst < 2e-6, "{from} Hz: off by {worst:e}");
    }
}

#[test]
fn a_sine_past_the_new_nyquist_is_gone() {
    for from in RATES_HZ.into_iter().filter(|&from| from > 22_000) {
        for hz in [8050.0, 9000.0, 10_900.0] {
            let got = resample(&plan(from, 16_000), &sine(hz, from, from as usize / 10));
            let worst = worst_inside(&got, &vec![0.0; got.len()], 250);
            assert!(worst < 1.5e-6, "{hz} Hz at {from} Hz leaves {worst:e}");
        }
    }
}

#[test]
fn upsampling_adds_nothing_above_the_old_nyquist() {
    // An image of 3 kHz would appear at 5 kHz; a clean result equals the sine to the stopband's depth.
    let got = resample(&plan(8000, 48_000), &sine(3000.0, 8000, 1600));
    let worst = worst_inside(&got, &sine(3000.0, 48_000, 9600), 800);
    assert!(worst < 2e-6, "{worst:e}");
}

#[test]
fn an_impulse_answers_symmetrically_around_its_own_time() {
    let mut input = vec![0.0; 1201];
    input[600] = 1.0;
    for (from, centre) in [(48_000, 200), (32_000, 300), (8000, 1200)] {
        let got = resample(&plan(from, 16_000), &input);
        for offset in 1..190 {
            let (before, after) = (got[centre - offset], got[centre + offset]);
            assert!((before - after).abs() < 1e-9, "{from} Hz, {offset}: {before} {after}");
        }
        assert!(got.iter().all(|&x| x <= got[centre]));
    }
}

#[test]
fn length_is_the_ceiling_of_the_ratio() {
    for (from, to, samples, expected) in [
        (48_000, 16_000, 0, 0),
        (48_000, 16_000, 1, 1),
        (48_000, 16_000, 3, 1),
        (48_000, 16_000, 4, 2),
        (44_100, 16_000, 441, 160),
        (44_100, 16_000, 442, 161),
        (8000, 16_000, 5, 10),
        (16_000, 16_000, 7, 7),
        (1, 16_000, 2, 32_000),
        (44_101, 16_000, 44_101, 16_000),
        (768_000, 6000, 129, 2),
    ] {
        let plan = plan(from, to);
        assert_eq!(plan.output_len(samples), expected);
        assert_eq!(resample(&plan, &vec![0.5; samples]).len(), expected, "{from} {to} {samples}");
    }
}

#[test]
fn equal_rates_pass_the_samples_on() {
    let input = sine(440.0, 16_000, 100);
    assert_eq!(resample(&plan(16_000, 16_000), &input), input);
}

#[test]
fn impossible_rates_are_named() {
    for (from, to, names) in [
        (0, 16_000, "from 0 Hz"),
        (768_001, 16_000, "from 768001 Hz"),
        (16_000, 0, "to 0 Hz"),
        (16_000, 768_001, "to 768001 Hz"),
        (768_000, 5999, "from 768000 to 5999 Hz"),
    ] {
        let message = ResamplePlan::new(from, to).unwrap_err().to_string();
        assert!(message.contains(names), "{message}");
    }
}

#[test]
fn tables_stay_small_whatever_the_rates() {
    for from in RATES_HZ {
        for to in [8000, 16_000, 15_999] {
            let bytes = plan(from, to).table_bytes();
            assert!(bytes <= 4 << 20, "{from} -> {to}: {bytes}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bits_do_not_depend_on_the_chunks(
        from in prop::sample::select(&RATES_HZ[..]),
        cuts in prop::collection::vec(prop_oneof![Just(1_usize), 0_usize..50, 500_usize..6000], 1..12),
        dirty in any::<bool>(),
        part in any::<(prop::sample::Index, prop::sample::Index)>(),
    ) {
        let input = sine(777.0, from, cuts.iter().sum());
        let plan = plan(from, 16_000);
        let whole = resample(&plan, &input);
        let mut stream = Resampler::new(Arc::clone(&plan));
        if dirty {
            stream.push(&[0.9; 5000], &mut |_| {});
            stream.reset();
        }
        let mut got = Vec::new();
        let mut rest = &input[..];
        for cut in cuts {
            let (now, later) = rest.split_at(cut);
            let before = got.len();
            stream.push(now, &mut |block| got.extend_from_slice(block));
            prop_assert!(got.len() - before <= plan.output_len(cut));
            rest = later;
        }
        stream.finish(&mut |block| got.extend_from_slice(block));
        prop_assert_eq!(got.len(), plan.output_len(input.len()));
        let resampled = Resampled::new(plan, &input[..]);
        let (one, other) = (part.0.index(got.len() + 1), part.1.index(got.len() + 1));
        let part = one.min(other)..one.max(other);
        let mut inside = Vec::new();
        let Ok(()) = resampled.read(part.clone(), &mut |block| inside.extend_from_slice(block));
        prop_assert!(inside.iter().map(|x| x.to_bits()).eq(whole[part].iter().map(|x| x.to_bits())));
        prop_assert!(got.iter().zip(&whole).all(|(a, b)| a.to_bits() == b.to_bits()));
    }

    #[test]
    fn any_pair_of_rates_gives_its_length(
        from in 1_u32..=768_000,
        to in 1_u32..=48_000,
        samples in 0_usize..300,
    ) {
        prop_assume!(from.div_ceil(to) <= 128 && to / from < 100);
        let plan = plan(from, to);
        let got = resample(&plan, &vec![0.25; samples]);
        prop_assert_eq!(got.len(), plan.output_len(samples));
        prop_assert!(got.iter().all(|x| x.is_finite()));
    }
}
