//! Frames that a GPU draws, against the same avatar on the CPU and against our own compositor: on the demo avatar and its sentence.

use std::path::PathBuf;
use std::sync::Arc;

use lipsyncd::audio::{Pcm, read_wav};
use lipsyncd::avatar::frame_store::Pictures;
use lipsyncd::avatar::{Bundle, LoadedAvatar};
use lipsyncd::backend::cuda::plan::Precision;
use lipsyncd::backend::{Backend, FrameFormat};
use lipsyncd::picture::{JpegEncoder, JpegSettings, View};
use lipsyncd::session::SessionOptions;

use crate::common::cuda::cuda_backend;
use crate::common::{JPEG, cpu_backend, engine, perform, root, templates};

const FRAMES: usize = 50;

fn demo() -> PathBuf {
    root().join("avatars/demo")
}

fn sentence() -> Pcm {
    let mut pcm = read_wav(&demo().join("sentence.wav")).unwrap();
    pcm.samples.truncate(FRAMES * pcm.sample_rate_hz as usize / 25);
    pcm
}

fn load_demo(backend: &Arc<dyn Backend>) -> Arc<LoadedAvatar> {
    let bundle = Bundle::open(&demo()).unwrap();
    let id = "demo".parse().unwrap();
    Arc::new(LoadedAvatar::load(id, &bundle, Arc::clone(backend), &templates(), &|_| {}).unwrap())
}

/// The sentence's frames as `format`, drawn on `backend` in batches of up to `batch` windows and frames.
async fn frames(backend: &Arc<dyn Backend>, batch: usize, format: FrameFormat) -> Vec<Vec<u8>> {
    let pcm = sentence();
    let avatar = load_demo(backend);
    let engine = engine(backend, 2, batch, batch);
    let options = SessionOptions { outbox_frames: 64, ..SessionOptions::new(format, pcm.sample_rate_hz) };
    let take = perform(&engine, &avatar, options, &pcm.samples).await;
    take.frames.into_iter().map(|frame| frame.data).collect()
}

/// PSNR of the boxes of two frames, dB.
fn box_psnr(avatar: &LoadedAvatar, index: usize, [a, b]: [&[u8]; 2]) -> f64 {
    let (width, height) = avatar.size_px();
    let [a, b] = [a, b].map(|pixels| View::packed(width, height, pixels).unwrap());
    let area = avatar.face_box(avatar.frame_at(index as u64));
    let [a, b] = [a, b].map(|view| view.part(area).unwrap());
    let (mut sum, mut count) = (0.0, 0.0);
    for y in 0..a.height_px() {
        for (p, q) in a.row(y).iter().zip(b.row(y)) {
            sum += (f64::from(*p) - f64::from(*q)).powi(2);
            count += 1.0;
        }
    }
    10.0 * (255.0 * 255.0 * count / f64::max(sum, 1e-9)).log10()
}

async fn check_psnr(precision: Precision, least_db: f64) {
    let (cpu, gpu) = (cpu_backend(), cuda_backend(precision));
    let (expected, got) = (frames(&cpu, 1, FrameFormat::Bgr).await, frames(&gpu, 16, FrameFormat::Bgr).await);
    assert_eq!((expected.len(), got.len()), (FRAMES, FRAMES));
    let avatar = load_demo(&cpu);
    let psnr = |(index, (a, b)): (usize, (&Vec<u8>, &Vec<u8>))| box_psnr(&avatar, index, [a, b]);
    let psnrs: Vec<f64> = expected.iter().zip(&got).enumerate().map(psnr).collect();
    let least = psnrs.iter().copied().fold(f64::INFINITY, f64::min);
    let mean = psnrs.iter().sum::<f64>() / psnrs.len() as f64;
    println!("{precision:?} on {}: {least:.1} dB at least, {mean:.1} dB in the mean of {FRAMES} frames", gpu.info());
    assert!(least >= least_db, "{precision:?}: {psnrs:.1?}");
}

#[tokio::test]
#[ignore = "needs an NVIDIA GPU"]
async fn half_precision_keeps_45_db_of_the_cpus_frames() {
    check_psnr(Precision::Fp16, 45.0).await;
}

#[tokio::test]
#[ignore = "needs an NVIDIA GPU"]
async fn single_precision_keeps_55_db_of_the_cpus_frames() {
    check_psnr(Precision::Fp32, 55.0).await;
}

/// The generator's picture pasted by our kernel and spliced must be, to the byte, the same picture pasted on the CPU and encoded whole.
#[tokio::test]
#[ignore = "needs an NVIDIA GPU"]
async fn the_gpus_planes_make_the_bytes_of_the_cpus_compositor() {
    for precision in [Precision::Fp16, Precision::Fp32] {
        let gpu = cuda_backend(precision);
        // The same batch sizes draw the same pictures, so that only the pasting differs.
        let pixels = frames(&gpu, 1, FrameFormat::Bgr).await;
        let jpegs = frames(&gpu, 1, JPEG).await;
        let avatar = load_demo(&gpu);
        let Pictures::Templates { set, .. } = avatar.pictures() else { panic!("the demo's frames are spliced") };
        let settings = JpegSettings { ..set.settings() };
        let mut encoder = JpegEncoder::new(settings).unwrap();
        let (width, height) = avatar.size_px();
        for (index, (pixels, jpeg)) in pixels.iter().zip(&jpegs).enumerate() {
            let mut whole = Vec::new();
            encoder.encode_to_vec(View::packed(width, height, pixels).unwrap(), &mut whole).unwrap();
            assert!(whole == *jpeg, "{precision:?}, frame {index}: {} bytes, {} expected", jpeg.len(), whole.len());
        }
    }
}
