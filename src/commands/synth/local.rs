//! Frames made in this process, without a daemon.

use std::sync::Arc;

use super::output::{Output, Place, Shape};
use super::sound::Speech;
use super::{Args, CommandError, frame_count, progress};
use crate::audio::Pcm;
use crate::avatar::{Bundle, Keep, LoadedAvatar, TemplateOptions};
use crate::backend::{Backend, FrameFormat};
use crate::batch::Engine;
use crate::picture::template::OnDemandTemplates;
use crate::session::{Event, FrameReader, Intake, SessionOptions};

pub(super) fn run(args: &Args, speech: &Speech, place: &Place, format: FrameFormat) -> Result<(), CommandError> {
    let pcm = &speech.pcm;
    let bundle = Bundle::open(&args.avatar).map_err(|error| CommandError::of_load(error.into()))?;
    let Some((backend, options)) = args.devices.wanted().open()?.pop() else {
        return Err(CommandError::failed("there is no device to draw on"));
    };
    let avatar = load(&bundle, &backend, &keep(format))?;
    let engine = Engine::start(backend, options).map_err(CommandError::failed)?;
    let session = SessionOptions {
        start_position: args.start_position,
        outbox_frames: engine.bulk_outbox(),
        ..SessionOptions::new(format, pcm.sample_rate_hz)
    };
    let shape = Shape { size_px: avatar.size_px(), fps: avatar.fps() };
    let mut output = Output::create(place, format, shape, speech)?;
    let bar = progress::bar("frames", frame_count(pcm, shape.fps));
    let (intake, reader) = engine.open_session(avatar, session).map_err(CommandError::input)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(CommandError::failed)?;
    runtime.block_on(speak(intake, reader, pcm, |index, data| {
        bar.inc(1);
        output.write(index, data)
    }))?;
    output.finish()?;
    bar.finish();
    Ok(())
}

/// Pixels for lossless output, templates for JPEG. One run gains nothing from a cache on the disk.
fn keep(format: FrameFormat) -> Keep {
    match format.quality() {
        None => Keep::Pixels,
        Some(quality) => {
            let on_demand = Arc::new(OnDemandTemplates::new(0));
            Keep::Templates(TemplateOptions { quality, cache_dir: None, on_demand })
        }
    }
}

fn load(bundle: &Bundle, backend: &Arc<dyn Backend>, keep: &Keep) -> Result<Arc<LoadedAvatar>, CommandError> {
    // Outside the daemon the avatar is a path; its id only names it in messages.
    let name = bundle.dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let id = name.parse().or_else(|_| "avatar".parse()).map_err(CommandError::input)?;
    let bar = progress::bar("loading", bundle.frames.len());
    let avatar = LoadedAvatar::load(id, bundle, Arc::clone(backend), keep, &|done| bar.set_position(done as u64))
        .map_err(CommandError::of_load)?;
    bar.finish_and_clear();
    Ok(Arc::new(avatar))
}

/// Pushes the whole sound and gives every frame to `write`, in order.
async fn speak(
    intake: Intake,
    mut reader: FrameReader,
    pcm: &Pcm,
    mut write: impl FnMut(u64, &[u8]) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let read = async move {
        while let Some(event) = reader.next().await {
            match event.map_err(CommandError::failed)? {
                Event::Frame(frame) => write(frame.index, &frame.data)?,
                Event::UtteranceDone { .. } | Event::Interrupted(_) => break,
            }
        }
        Ok(())
    };
    // Whatever ends the reading takes the reader with it, and so ends the speech.
    tokio::join!(intake.speak(&pcm.samples), read).1
}
