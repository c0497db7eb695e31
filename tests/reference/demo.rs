//! The whole pipeline on the demo avatar and its own sentence, against what the Python reference drew
//! (`tests/golden/demo`): a backend, a precision or a kernel that damages the picture loses decibels here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lipsyncd::audio::read_wav;
use lipsyncd::avatar::{Bundle, Keep, LoadedAvatar};
use lipsyncd::backend::{Backend, CpuBackend, FrameFormat};
use lipsyncd::batch::{Engine, EngineOptions, Limits};
use lipsyncd::picture::{View, decode_file};
use lipsyncd::session::{Event, SessionOptions};

/// Decibels that rounding differently in the resize may cost; float16 networks cost about one.
const TOLERANCE_DB: f64 = 0.3;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn stored_psnr(golden: &Path) -> Vec<f64> {
    let text = std::fs::read_to_string(golden.join("psnr.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn psnr(a: View<'_>, b: View<'_>) -> f64 {
    assert_eq!((a.width_px(), a.height_px()), (b.width_px(), b.height_px()));
    let squares = (0..a.height_px()).flat_map(|y| {
        let pairs = a.row(y).iter().zip(b.row(y));
        pairs.map(|(&p, &q)| (f64::from(p) - f64::from(q)).powi(2)).collect::<Vec<_>>()
    });
    let (sum, count) = squares.fold((0.0, 0), |(sum, count), square| (sum + square, count + 1));
    10.0 * (255.0 * 255.0 / (sum / f64::from(count))).log10()
}

#[tokio::test]
async fn the_demo_avatar_speaks_as_the_reference_drew_it() {
    let golden = root().join("tests/golden/demo");
    let stored = stored_psnr(&golden);
    assert_eq!(stored.len(), 50);
    let bundle = Bundle::open(&root().join("avatars/demo")).unwrap();
    let backend: Arc<dyn Backend> = Arc::new(CpuBackend::new(None, 1).unwrap());
    let id = "demo".parse().unwrap();
    let avatar = Arc::new(LoadedAvatar::load(id, &bundle, Arc::clone(&backend), &Keep::Pixels, &|_| {}).unwrap());
    let limits = Limits { max_windows: 8, max_frames: 1, batching_pays: false };
    let engine = Engine::start(backend, EngineOptions { slots: 2, limits }).unwrap();
    let pcm = read_wav(&root().join("avatars/demo/sentence.wav")).unwrap();
    let options = SessionOptions {
        outbox_frames: SessionOptions::BULK_OUTBOX,
        max_frames: Some(stored.len()),
        ..SessionOptions::new(FrameFormat::Bgr, pcm.sample_rate_hz)
    };
    let (mut intake, mut reader) = engine.open_session(Arc::clone(&avatar), options).unwrap();
    let speech = tokio::spawn(async move {
        let _ = intake.push(&pcm.samples).await;
        intake
    });
    let (width_px, height_px) = avatar.size_px();
    let mut seen = 0;
    while let Some(Event::Frame(frame)) = reader.next().await.transpose().unwrap() {
        let index = usize::try_from(frame.index).unwrap();
        let picture = View::packed(width_px, height_px, &frame.data).unwrap();
        let mouth = picture.part(avatar.face_box(frame.avatar_frame)).unwrap();
        let expected = decode_file(&golden.join(format!("{index:06}.jpg"))).unwrap();
        let measured = psnr(mouth, expected.view());
        assert!(
            measured >= stored[index] - TOLERANCE_DB,
            "frame {index}: {measured:.2} dB against the golden mouth, the reference has {:.2}",
            stored[index]
        );
        seen += 1;
    }
    assert_eq!(seen, stored.len());
    drop(reader);
    drop(speech.await.unwrap());
}
