//! What the tests of the running daemon share: the golden bundle, speech, engines, takes.
#![allow(dead_code)] // Each test binary uses its own part of it.

pub mod c;
pub mod cuda;
pub mod gpu;
pub mod native;
pub mod native_cases;
pub mod program;
pub mod reference;
pub mod relay;
pub mod server;
pub mod speech;
pub mod talk;
pub mod wiretap;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lipsyncd::avatar::{Bundle, Keep, LoadedAvatar, TemplateOptions};
use lipsyncd::backend::{Backend, CpuBackend, FrameFormat};
use lipsyncd::batch::{Engine, EngineOptions, Limits};
use lipsyncd::picture::Quality;
use lipsyncd::picture::template::OnDemandTemplates;
use lipsyncd::rpc::{DaemonOptions, DoorOptions};
use lipsyncd::session::{Event, FrameReader, Intake, SessionError, SessionOptions};

/// The golden bundle's id in [`avatars_dir`].
pub const TINY: &str = "tiny-avatar";

/// Frames as the daemon sends them by default.
pub const JPEG: FrameFormat = FrameFormat::Jpeg(Quality::DEFAULT);

/// No step of these tests takes so long; one that does is stuck. A guard, not a measurement.
const STUCK: Duration = Duration::from_secs(60);

/// The repository: where the tests were built, or what `LIPSYNCD_ROOT` says where they were carried to another machine.
pub fn root() -> PathBuf {
    std::env::var_os("LIPSYNCD_ROOT").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}

/// A folder that holds [`TINY`], as the daemon's `avatars` would.
pub fn avatars_dir() -> PathBuf {
    root().join("tests/golden")
}

/// The golden bundle.
pub fn bundle() -> Bundle {
    Bundle::open(&avatars_dir().join(TINY)).unwrap_or_else(|error| panic!("{error}"))
}

/// The demo avatar's bundle.
pub fn demo() -> Bundle {
    Bundle::open(&root().join("avatars/demo")).unwrap_or_else(|error| panic!("{error}"))
}

/// The CPU backend on the ONNX Runtime of this machine; without one the test fails with the sentence that
/// says where to get it.
pub fn cpu_backend() -> Arc<dyn Backend> {
    cpu_backend_that_keeps(0)
}

/// As [`cpu_backend`], with so many bytes for what generators make of pictures alone.
pub fn cpu_backend_that_keeps(bytes: u64) -> Arc<CpuBackend> {
    let library = std::env::var_os("LIPSYNCD_ONNXRUNTIME").map(PathBuf::from);
    let backend = CpuBackend::new(library.as_deref(), 1).unwrap_or_else(|error| panic!("{error}"));
    Arc::new(backend.keep_pictures(bytes))
}

/// Pictures kept as the daemon keeps them.
pub fn templates() -> Keep {
    let on_demand = Arc::new(OnDemandTemplates::new(1 << 20));
    Keep::Templates(TemplateOptions { quality: Quality::DEFAULT, cache_dir: None, on_demand })
}

/// A daemon that lets in `max_sessions`, whatever the machine carries.
pub fn daemon_options(max_sessions: usize) -> DaemonOptions {
    DaemonOptions {
        jpeg_quality: Quality::DEFAULT,
        doors: DoorOptions {
            max_sessions,
            max_sessions_per_client: None,
            max_synth: max_sessions,
            max_queued_synth: 0,
            max_upload_bytes: 1 << 30,
            background_encoders: 1,
        },
        admission: None,
        latency_budget: Duration::from_millis(150),
        idle: None,
    }
}

/// The bundle loaded on `backend`.
pub fn load(backend: &Arc<dyn Backend>, bundle: &Bundle) -> Arc<LoadedAvatar> {
    let id = TINY.parse().unwrap_or_else(|error| panic!("{error}"));
    let avatar = LoadedAvatar::load(id, bundle, Arc::clone(backend), &templates(), &|_| {});
    Arc::new(avatar.unwrap_or_else(|error| panic!("{error}")))
}

/// An engine with `slots` lanes and batches of at most `max_windows` and `max_frames`.
pub fn engine(backend: &Arc<dyn Backend>, slots: usize, max_windows: usize, max_frames: usize) -> Engine {
    let options = EngineOptions { slots, limits: Limits { max_windows, max_frames, batching_pays: false } };
    Engine::start(Arc::clone(backend), options).unwrap_or_else(|error| panic!("{error}"))
}

/// Completes with `future`, or fails the test when it is stuck.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(STUCK, future).await.expect("stuck: nothing happened for a minute")
}

/// Waits until `done` says so, or fails the test.
pub async fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never happened: {what}");
}

/// One frame as its reader got it.
#[derive(Clone, PartialEq, Eq)]
pub struct Got {
    pub index: u64,
    pub utterance: u32,
    pub avatar_frame: usize,
    pub data: Vec<u8>,
}

/// The bytes alone, which is what must not depend on anything but the sound.
pub fn bytes(frames: &[Got]) -> Vec<&[u8]> {
    frames.iter().map(|frame| frame.data.as_slice()).collect()
}

/// A whole utterance: its frames, and what its end said of `(utterance, frames, samples)`.
pub struct Take {
    pub frames: Vec<Got>,
    pub done: (u32, u64, u64),
}

/// Reads one utterance to its end.
///
/// # Errors
/// The session's failure.
pub async fn read_utterance(reader: &mut FrameReader) -> Result<Take, SessionError> {
    let mut frames = Vec::new();
    loop {
        match within(reader.next()).await.expect("the session ended in the middle of an utterance")? {
            Event::Frame(frame) => frames.push(Got {
                index: frame.index,
                utterance: frame.utterance,
                avatar_frame: frame.avatar_frame,
                data: frame.data.to_vec(),
            }),
            Event::UtteranceDone { utterance, frames: count, samples, .. } => {
                return Ok(Take { frames, done: (utterance, count, samples) });
            }
            Event::Interrupted(_) => panic!("interrupted, though nobody asked for it"),
        }
    }
}

/// Speaks one utterance in the given chunks and reads it to its end.
///
/// # Errors
/// The session's failure.
pub async fn try_say<'a>(
    intake: &mut Intake,
    reader: &mut FrameReader,
    chunks: impl IntoIterator<Item = &'a [f32]>,
) -> Result<Take, SessionError> {
    let speak = async {
        for chunk in chunks {
            if intake.push(chunk).await.is_err() {
                return;
            }
        }
        // An end that comes early is the reader's to tell.
        let _ = intake.finish().await;
    };
    within(async { tokio::join!(speak, read_utterance(reader)).1 }).await
}

/// As [`try_say`], on a session that must not fail.
pub async fn say<'a>(
    intake: &mut Intake,
    reader: &mut FrameReader,
    chunks: impl IntoIterator<Item = &'a [f32]>,
) -> Take {
    try_say(intake, reader, chunks).await.unwrap_or_else(|error| panic!("{error}"))
}

/// The frames of `samples` in a session of their own.
pub async fn perform(engine: &Engine, avatar: &Arc<LoadedAvatar>, options: SessionOptions, samples: &[f32]) -> Take {
    let (mut intake, mut reader) = open(engine, avatar, options);
    say(&mut intake, &mut reader, [samples]).await
}

/// A session that must open.
pub fn open(engine: &Engine, avatar: &Arc<LoadedAvatar>, options: SessionOptions) -> (Intake, FrameReader) {
    engine.open_session(Arc::clone(avatar), options).unwrap_or_else(|error| panic!("{error}"))
}

/// Width, height and BGR pixels of a JPEG, by a decoder that is not the encoder's library.
pub fn decode_jpeg(jpeg: &[u8]) -> (usize, usize, Vec<u8>) {
    let mut decoder = zune_jpeg::JpegDecoder::new(std::io::Cursor::new(jpeg));
    let mut pixels = decoder.decode().expect("not a JPEG");
    let info = decoder.info().expect("no header");
    for pixel in pixels.as_chunks_mut::<3>().0 {
        pixel.swap(0, 2);
    }
    (usize::from(info.width), usize::from(info.height), pixels)
}

/// Peak signal-to-noise ratio of bytes, dB.
pub fn psnr_db(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let sum: f64 = a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum();
    10.0 * (255.0_f64.powi(2) * a.len() as f64 / sum).log10()
}
