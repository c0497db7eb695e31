//! How far a GPU's frames lie from the CPU's, on the avatar's own pictures.

use std::sync::Arc;

use crate::avatar::{Bundle, Keep, LoadedAvatar};
use crate::backend::{Backend, FrameFormat};
use crate::batch::{Engine, EngineOptions, Limits};
use crate::commands::CommandError;
use crate::load::voice::voice;
use crate::picture::View;
use crate::session::{Event, SessionOptions};

/// Frames that are compared: more than a context, and some batches.
const FRAMES: usize = 40;

/// PSNR of the boxes, dB.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Accuracy {
    pub least_db: f64,
    pub mean_db: f64,
}

/// Draws the same speech on `gpu` and on `cpu` and compares the boxes.
pub(super) fn measure(bundle: &Bundle, gpu: Arc<dyn Backend>, cpu: Arc<dyn Backend>) -> Result<Accuracy, CommandError> {
    let (avatar, expected) = draw(bundle, cpu, 1)?;
    let (_, got) = draw(bundle, gpu, 8)?;
    let psnr = |(index, (a, b)): (usize, (&Vec<u8>, &Vec<u8>))| box_psnr(&avatar, index, [a, b]);
    if got.len() != expected.len() {
        let (got, expected) = (got.len(), expected.len());
        return Err(CommandError::failed(format!("the GPU drew {got} frames where the CPU drew {expected}")));
    }
    let psnrs = expected.iter().zip(&got).enumerate().map(psnr).collect::<Result<Vec<_>, _>>()?;
    Ok(Accuracy {
        least_db: psnrs.iter().copied().fold(f64::INFINITY, f64::min),
        mean_db: psnrs.iter().sum::<f64>() / psnrs.len().max(1) as f64,
    })
}

fn draw(
    bundle: &Bundle,
    backend: Arc<dyn Backend>,
    batch: usize,
) -> Result<(Arc<LoadedAvatar>, Vec<Vec<u8>>), CommandError> {
    let id = "accuracy".parse().map_err(CommandError::input)?;
    let avatar = LoadedAvatar::load(id, bundle, Arc::clone(&backend), &Keep::Pixels, &|_| {});
    let avatar = Arc::new(avatar.map_err(CommandError::of_load)?);
    let limits = Limits { max_windows: batch, max_frames: batch, batching_pays: batch > 1 };
    let engine = Engine::start(backend, EngineOptions { slots: 2, limits }).map_err(CommandError::failed)?;
    let rate_hz = avatar.sample_rate_hz();
    let options = SessionOptions {
        outbox_frames: SessionOptions::BULK_OUTBOX,
        max_frames: Some(FRAMES),
        ..SessionOptions::new(FrameFormat::Bgr, rate_hz)
    };
    let sound = voice(1, (FRAMES * rate_hz as usize).div_ceil(avatar.fps().max(1) as usize), rate_hz);
    let (intake, mut reader) = engine.open_session(Arc::clone(&avatar), options).map_err(CommandError::failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(CommandError::failed)?;
    let frames = runtime.block_on(async {
        let read = async move {
            let mut frames = Vec::new();
            while let Some(event) = reader.next().await {
                match event.map_err(CommandError::failed)? {
                    Event::Frame(frame) => frames.push(frame.data.to_vec()),
                    Event::UtteranceDone { .. } | Event::Interrupted(_) => break,
                }
            }
            Ok::<_, CommandError>(frames)
        };
        // Whatever ends the reading takes the reader with it, and so ends the speech.
        tokio::join!(intake.speak(&sound), read).1
    })?;
    Ok((avatar, frames))
}

fn box_psnr(avatar: &LoadedAvatar, index: usize, pictures: [&[u8]; 2]) -> Result<f64, CommandError> {
    let (width, height) = avatar.size_px();
    let area = avatar.face_box(avatar.frame_at(index as u64));
    let [a, b] = pictures.map(|pixels| View::packed(width, height, pixels).and_then(|view| view.part(area)));
    let (a, b) = (a.map_err(CommandError::failed)?, b.map_err(CommandError::failed)?);
    let squares = (0..a.height_px()).flat_map(|y| {
        let pairs = a.row(y).iter().zip(b.row(y)).map(|(&p, &q)| (f64::from(p) - f64::from(q)).powi(2));
        pairs.collect::<Vec<_>>()
    });
    let (sum, count) = squares.fold((0.0, 0.0), |(sum, count), square| (sum + square, count + 1.0));
    Ok(10.0 * (255.0 * 255.0 * count / f64::max(sum, 1e-9)).log10())
}
