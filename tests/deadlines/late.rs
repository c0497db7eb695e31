//! What is counted as late: what the daemon was slow at, and nothing that its client was.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::common::speech::speech;
use crate::common::{JPEG, bundle, cpu_backend, engine, eventually, load, open, read_utterance, within};
use lipsyncd::backend::Backend;
use lipsyncd::session::{Pace, SessionOptions};

const RATE_HZ: u32 = 16_000;
const FRAMES: usize = 25;
const PER_FRAME: usize = RATE_HZ as usize / 25;
/// Longer than any step of these tests takes.
const BUDGET: Duration = Duration::from_secs(60);
/// Longer ago than the budget, and than the sound is long.
const LONG_AGO: Duration = Duration::from_secs(120);

/// Speaks [`FRAMES`] frames of sound that `came(n)` where the daemon got the frames up to `n`, takes no frame before `wait` are late,
/// and gives how many were in the end.
async fn late_frames(came: impl Fn(usize) -> Instant, wait: u64) -> u64 {
    let backend: Arc<dyn Backend> = cpu_backend();
    let (avatar, engine) = (load(&backend, &bundle()), engine(&backend, 2, 8, 4));
    let options = SessionOptions { pace: Pace::Live { budget: BUDGET }, ..SessionOptions::new(JPEG, RATE_HZ) };
    let (mut intake, mut reader) = open(&engine, &avatar, options);
    let sound = speech(7, FRAMES * PER_FRAME, RATE_HZ);
    let speak = async {
        for (n, frame) in sound.chunks(PER_FRAME).enumerate() {
            intake.room().await.unwrap();
            assert_eq!(intake.push_block(frame, came(n)), PER_FRAME);
        }
        intake.room().await.unwrap();
        intake.finish_now(came(FRAMES - 1));
    };
    let read = async {
        eventually("the frames that there is room for are late", || engine.recorder().deadline_misses() == wait).await;
        // The last of them is counted a moment before it can be taken.
        tokio::time::sleep(Duration::from_millis(200)).await;
        read_utterance(&mut reader).await.unwrap()
    };
    let ((), take) = within(async { tokio::join!(speak, read) }).await;
    assert_eq!(take.frames.len(), FRAMES);
    engine.recorder().deadline_misses()
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_that_has_just_come_is_in_time() {
    assert_eq!(late_frames(|_| Instant::now(), 0).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_that_has_waited_for_the_daemon_is_late_until_the_reader_is_what_it_waits_for() {
    let began = Instant::now() - LONG_AGO;
    let outbox = SessionOptions::LIVE_OUTBOX as u64;
    assert_eq!(late_frames(|n| began + Duration::from_millis(40) * n as u32, outbox).await, outbox);
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_that_came_late_is_due_when_it_has_come() {
    let began = Instant::now() - LONG_AGO;
    let came = |n| if n == 0 { began } else { Instant::now() };
    assert_eq!(late_frames(came, 0).await, 0);
}
