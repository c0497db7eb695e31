//! Time does not drift: after an hour of sound in chunks of odd sizes a frame stands where it stands after ten seconds, to the
//! sample.

use crate::common::speech::{Random, speech};
use crate::common::{bundle, cpu_backend, engine, load, open, within};
use lipsyncd::backend::FrameFormat;
use lipsyncd::picture::Quality;
use lipsyncd::session::{Event, FrameReader, Intake, SessionOptions};

const FPS: u64 = 25;
/// Sound that ends each, and tells whether frames are those of their samples.
const TAIL_S: usize = 2;

/// Small, since there are nearly a hundred thousand of them.
const FORMAT: FrameFormat = FrameFormat::PatchSegments(Quality::DEFAULT);

/// Says silence of `samples` and then the tail, in chunks of odd sizes.
async fn say(intake: &mut Intake, samples: u64, tail: &[f32], seed: u64) {
    let silence = vec![0.0; 9_973];
    let mut random = Random::new(seed);
    let mut left = samples;
    while left > 0 {
        let chunk = (1 + random.below(silence.len())).min(usize::try_from(left).unwrap_or(usize::MAX));
        within(intake.push(&silence[..chunk])).await.unwrap();
        left -= chunk as u64;
    }
    for chunk in tail.chunks(331) {
        within(intake.push(chunk)).await.unwrap();
    }
    within(intake.finish()).await.unwrap();
}

/// Reads the utterance to its end, every frame in its place; gives the frames of the tail.
async fn watch(reader: &mut FrameReader, samples: u64, rate_hz: u32) -> Vec<Vec<u8>> {
    let avatar = std::sync::Arc::clone(reader.core().avatar());
    let frames = (samples * FPS).div_ceil(u64::from(rate_hz));
    let tail = frames - TAIL_S as u64 * FPS;
    let mut kept = Vec::new();
    let mut next = 0;
    loop {
        match within(reader.next()).await.unwrap().unwrap() {
            Event::Frame(frame) => {
                assert_eq!(frame.index, next);
                let sample = avatar.clock().first_sample(frame.index as usize, rate_hz) as u64;
                // Neither early nor late by a sample: the frame begins at the first sample not before its time.
                assert!(sample * FPS >= next * u64::from(rate_hz) && (sample * FPS) - next * u64::from(rate_hz) < FPS);
                if next >= tail {
                    kept.push(frame.data.to_vec());
                }
                next += 1;
            }
            Event::UtteranceDone { frames: told, samples: heard, .. } => {
                assert_eq!((told, next, heard), (frames, frames, samples));
                return kept;
            }
            Event::Interrupted(_) => panic!("nobody interrupted"),
        }
    }
}

/// The last frames of so much silence and a tail.
async fn tail_after(seconds: u64, rate_hz: u32) -> Vec<Vec<u8>> {
    let backend = cpu_backend();
    let avatar = load(&backend, &bundle());
    let engine = engine(&backend, 2, 8, 1);
    let silence = seconds * u64::from(rate_hz);
    // The same pose wherever the tail begins.
    let period = 2 * avatar.frame_count() as u64 - 2;
    let start_position = period - (seconds * FPS) % period;
    let options = SessionOptions {
        start_position,
        outbox_frames: SessionOptions::MAX_OUTBOX,
        ..SessionOptions::new(FORMAT, rate_hz)
    };
    let tail = speech(9, TAIL_S * rate_hz as usize, rate_hz);
    let (mut intake, mut reader) = open(&engine, &avatar, options);
    let ((), frames) = tokio::join!(
        say(&mut intake, silence, &tail, seconds),
        watch(&mut reader, silence + tail.len() as u64, rate_hz)
    );
    frames
}

// Both are longer than a float32 can count samples.
#[tokio::test(flavor = "multi_thread")]
async fn an_hour_of_odd_chunks_ends_on_the_sample() {
    let short = tail_after(10, 16_000).await;
    assert_eq!(short.len(), TAIL_S * FPS as usize);
    assert!(tail_after(3600, 16_000).await == short, "the frames of the tail are others after an hour");
}

#[tokio::test(flavor = "multi_thread")]
async fn resampled_sound_does_not_drift_either() {
    assert!(tail_after(400, 44_100).await == tail_after(10, 44_100).await);
}
