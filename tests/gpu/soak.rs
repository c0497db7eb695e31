//! A hundred thousand frames: nothing grows, neither on the GPU nor on the host.

use std::sync::Arc;

use lipsyncd::backend::Backend;
use lipsyncd::backend::cuda::plan::Precision;
use lipsyncd::session::{Event, SessionOptions};

use crate::common::cuda::cuda_backend;
use crate::common::speech::speech;
use crate::common::{JPEG, bundle, engine, load, within};

const FRAMES: u64 = 100_000;
const SESSIONS: usize = 48;
/// What the driver itself may take or give back meanwhile, bytes.
const SLACK: u64 = 4 << 20;

fn free_bytes(backend: &Arc<dyn Backend>) -> u64 {
    backend.memory().unwrap().free_bytes
}

/// Resident bytes of this process.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an NVIDIA GPU"]
async fn a_hundred_thousand_frames_leave_no_trace() {
    let backend = cuda_backend(Precision::Fp16);
    let avatar = load(&backend, &bundle());
    let engine = engine(&backend, 3, 32, 32);
    let sound: Arc<[f32]> = speech(3, 2 * 16_000, 16_000).into();
    let (frames, mut frames_seen) = tokio::sync::mpsc::channel(1024);
    for _ in 0..SESSIONS {
        let options = SessionOptions { outbox_frames: 32, ..SessionOptions::new(JPEG, 16_000) };
        let (mut intake, mut reader) = engine.open_session(Arc::clone(&avatar), options).unwrap();
        let (sound, frames) = (Arc::clone(&sound), frames.clone());
        tokio::spawn(async move { while intake.push(&sound).await.is_ok() {} });
        tokio::spawn(async move {
            while let Some(Ok(event)) = reader.next().await {
                if let Event::Frame(frame) = event
                    && frames.send(frame.data.len()).await.is_err()
                {
                    return;
                }
            }
        });
    }
    let mut before = (0, 0);
    for count in 0..FRAMES {
        let len = within(frames_seen.recv()).await.unwrap();
        assert!(len > 0);
        if count == FRAMES / 10 {
            before = (free_bytes(&backend), resident_bytes());
        }
    }
    let after = (free_bytes(&backend), resident_bytes());
    println!(
        "{FRAMES} frames on {}: free on the GPU {} then {}, resident here {} then {}",
        backend.info(),
        before.0,
        after.0,
        before.1,
        after.1
    );
    assert!(after.0 + SLACK >= before.0, "the GPU's memory is going");
    assert!(after.1 <= before.1 + before.1 / 50 + SLACK, "the host's memory is going");
}
