//! Networks in half precision against themselves in single, on real speech through the whole pipeline: what
//! [`to_half`] writes must load in ONNX Runtime and draw the same mouth.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lipsyncd::audio::read_wav;
use lipsyncd::avatar::onnx::{Edges, GraphInfo, to_half};
use lipsyncd::avatar::{Bundle, Keep, LoadedAvatar};
use lipsyncd::backend::FrameFormat;
use lipsyncd::picture::View;
use lipsyncd::session::SessionOptions;

use crate::common;

/// What a plan in half precision must reach (the issue on the CUDA backend).
const LEAST_DB: f64 = 45.0;

const FRAMES: usize = 40;

/// Halves the network at `path` into `dir`.
fn halve(path: &Path, dir: &Path, edges: Edges) -> PathBuf {
    let (model, report) = to_half(&std::fs::read(path).unwrap(), edges).unwrap();
    assert!(report.elements > 100_000, "{report:?}");
    assert_eq!(report.saturated, 0, "{report:?}");
    let halved = dir.join(path.file_name().unwrap());
    std::fs::write(&halved, model).unwrap();
    halved
}

/// The mouths of the first frames of the demo's sentence.
async fn mouths(bundle: &Bundle) -> Vec<Vec<u8>> {
    let backend = common::cpu_backend();
    let avatar = LoadedAvatar::load("demo".parse().unwrap(), bundle, Arc::clone(&backend), &Keep::Pixels, &|_| {});
    let avatar = Arc::new(avatar.unwrap());
    let engine = common::engine(&backend, 2, 8, 1);
    let pcm = read_wav(&bundle.dir.join("sentence.wav")).unwrap();
    let options =
        SessionOptions { max_frames: Some(FRAMES), ..SessionOptions::new(FrameFormat::Bgr, pcm.sample_rate_hz) };
    let take = common::perform(&engine, &avatar, options, &pcm.samples).await;
    let (width_px, height_px) = avatar.size_px();
    let mouth = |frame: &common::Got| {
        let picture = View::packed(width_px, height_px, &frame.data).unwrap();
        let part = picture.part(avatar.face_box(frame.avatar_frame)).unwrap();
        (0..part.height_px()).flat_map(|y| part.row(y).to_vec()).collect()
    };
    take.frames.iter().map(mouth).collect()
}

#[tokio::test]
async fn a_halved_avatar_draws_the_same_mouth() {
    let bundle = Bundle::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("avatars/demo")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut halved = bundle.clone();
    halved.generator.path = halve(&bundle.generator.path, dir.path(), Edges::Single);
    halved.audio_encoder.path = halve(&bundle.audio_encoder.path, dir.path(), Edges::Single);
    let (single, half) = (mouths(&bundle).await, mouths(&halved).await);
    assert_eq!((single.len(), half.len()), (FRAMES, FRAMES));
    let psnr = single.iter().zip(&half).map(|(a, b)| common::psnr_db(a, b));
    let worst = psnr.fold(f64::INFINITY, f64::min);
    println!("worst frame: {worst:.1} dB");
    assert!(
        (LEAST_DB..f64::INFINITY).contains(&worst),
        "worst frame: {worst:.1} dB; the halved networks must differ a little"
    );
}

#[test]
fn half_edges_say_so() {
    let bundle = Bundle::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("avatars/demo")).unwrap();
    for path in [&bundle.generator.path, &bundle.audio_encoder.path] {
        let (model, _) = to_half(&std::fs::read(path).unwrap(), Edges::Half).unwrap();
        let info = GraphInfo::parse(&model).unwrap();
        for tensor in info.inputs.iter().chain(&info.outputs) {
            assert_eq!(tensor.element_name(), "float16", "{}", tensor.name);
        }
    }
}
