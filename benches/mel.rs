//! How long the audio front end takes for a minute of sound, on one core.
//!
//! `cargo bench --bench mel`; results of dated runs belong under `docs/`.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use lipsyncd::audio::{MelParams, MelPlan, MelStream, ResamplePlan, mel_spectrogram, resample};

const SECONDS: usize = 60;

/// Speech-like in what it costs: noise with a slow swell, so that no frame is silent and none denormal.
fn sound(rate_hz: usize) -> Vec<f32> {
    let mut state = 1_u32;
    (0..SECONDS * rate_hz)
        .map(|n| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (state >> 8) as f32 / 8_388_608.0 - 1.0;
            noise * (0.3 + 0.2 * (n as f32 / 4000.0).sin())
        })
        .collect()
}

fn mel(c: &mut Criterion) {
    let plan = Arc::new(MelPlan::new(MelParams::default()).unwrap());
    let samples = sound(16_000);
    c.bench_function("mel/whole_60s_16k", |b| {
        b.iter(|| mel_spectrogram(&plan, black_box(&samples)));
    });
    // One video frame's samples at a time, as a live session gets them.
    let mut stream = MelStream::new(Arc::clone(&plan));
    c.bench_function("mel/chunks_of_40ms_60s_16k", |b| {
        b.iter(|| {
            let mut sum = 0.0;
            let mut emit = |frame: &[f32]| sum += frame[0];
            for chunk in black_box(&samples).chunks(640) {
                stream.push(chunk, &mut emit);
            }
            stream.finish(&mut emit);
            sum
        });
    });
    c.bench_function("mel/plan", |b| b.iter(|| MelPlan::new(MelParams::default())));
}

fn resampling(c: &mut Criterion) {
    for from_hz in [48_000, 44_100, 44_101, 24_000, 22_050, 8_000] {
        let samples = sound(from_hz as usize);
        let plan = Arc::new(ResamplePlan::new(from_hz, 16_000).unwrap());
        c.bench_function(&format!("resample/60s_{from_hz}_to_16000"), |b| {
            b.iter(|| resample(&plan, black_box(&samples)));
        });
    }
    c.bench_function("resample/plan_44100_to_16000", |b| {
        b.iter(|| ResamplePlan::new(44_100, 16_000));
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = mel, resampling
}
criterion_main!(benches);
