//! `lipsyncd synth`: a video, or its frames, from a WAV file, without a daemon.

mod output;

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args as ClapArgs, ValueEnum};

use self::output::Output;
use super::{CommandError, progress};
use crate::audio::{Pcm, read_wav};
use crate::avatar::{Bundle, LoadedAvatar};
use crate::backend::{Backend, CpuBackend};
use crate::batch::{Engine, EngineOptions, Limits};
use crate::picture::Quality;
use crate::session::{Event, FrameReader, SessionOptions};

/// What `lipsyncd synth` takes.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// The avatar's bundle: a folder with an avatar.toml
    #[arg(long, value_name = "DIR")]
    avatar: PathBuf,
    /// WAV file: 8/16/24/32-bit integer or 32-bit float PCM, any rate, up to 8 channels
    #[arg(long, value_name = "IN.wav")]
    audio: PathBuf,
    /// Where to write: a folder for frames (000000.jpg ...), or a file ending in .avi or .mp4
    #[arg(long, value_name = "OUT")]
    out: PathBuf,
    /// What the frames in a folder are: jpg, or png for lossless
    #[arg(long, value_enum, default_value_t = Format::Jpg)]
    format: Format,
    /// JPEG quality
    #[arg(long, default_value_t = 75, value_parser = clap::value_parser!(u32).range(1..=100))]
    quality: u32,
    /// Place in the avatar's loop of the first frame
    #[arg(long, default_value_t = 0, value_name = "N")]
    start_position: u64,
    /// Batches in flight [default: one per core, at least 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    slots: Option<u16>,
    /// Threads that one slot's networks use
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads_per_slot: u16,
    /// ONNX Runtime's shared library
    #[arg(long, env = "LIPSYNCD_ONNXRUNTIME", value_name = "FILE")]
    onnxruntime: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Jpg,
    Png,
}

pub(super) fn run(args: &Args) -> Result<(), CommandError> {
    let quality = Quality::new(args.quality).map_err(CommandError::input)?;
    let pcm = read_wav(&args.audio).map_err(CommandError::input)?;
    let bundle = Bundle::open(&args.avatar).map_err(CommandError::input)?;
    let format = output::frame_format(&args.out, args.format == Format::Png, quality)?;
    let backend: Arc<dyn Backend> = Arc::new(
        CpuBackend::new(args.onnxruntime.as_deref(), args.threads_per_slot.into()).map_err(CommandError::failed)?,
    );
    let avatar = load(&bundle, &backend)?;
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let options = EngineOptions {
        slots: args.slots.map_or(cores.max(2), usize::from),
        limits: Limits { max_windows: 8, max_frames: 1 },
    };
    let engine = Engine::start(backend, options).map_err(CommandError::failed)?;
    let session = SessionOptions {
        start_position: args.start_position,
        outbox_frames: SessionOptions::BULK_OUTBOX,
        ..SessionOptions::new(format, pcm.sample_rate_hz)
    };
    let frames =
        avatar.clock().frames_for_samples(pcm.samples.len(), pcm.sample_rate_hz).map_err(CommandError::input)?;
    let mut output = Output::create(&args.out, format, &avatar, &pcm, &args.audio)?;
    let bar = progress::bar("frames", frames);
    let (intake, reader) = engine.open_session(avatar, session).map_err(CommandError::input)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(CommandError::failed)?;
    runtime.block_on(speak(intake, reader, &pcm, |index, data| {
        bar.inc(1);
        output.write(index, data)
    }))?;
    output.finish()?;
    bar.finish();
    Ok(())
}

fn load(bundle: &Bundle, backend: &Arc<dyn Backend>) -> Result<Arc<LoadedAvatar>, CommandError> {
    // Outside the daemon the avatar is a path; its id only names it in messages.
    let name = bundle.dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let id = name.parse().or_else(|_| "avatar".parse()).map_err(CommandError::input)?;
    let bar = progress::bar("loading", bundle.frames.len());
    let avatar = LoadedAvatar::load(id, bundle, Arc::clone(backend), &|done| bar.set_position(done as u64))
        .map_err(CommandError::input)?;
    bar.finish_and_clear();
    Ok(Arc::new(avatar))
}

/// Pushes the whole sound and gives every frame to `write`, in order.
async fn speak(
    mut intake: crate::session::Intake,
    mut reader: FrameReader,
    pcm: &Pcm,
    mut write: impl FnMut(u64, &[u8]) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let push = async {
        // Ends early only when the reader has failed, and then the reader says why.
        if intake.push(&pcm.samples).await.is_ok() {
            let _ = intake.finish().await;
        }
        std::future::pending::<()>().await;
    };
    let read = async {
        while let Some(event) = reader.next().await {
            match event.map_err(CommandError::failed)? {
                Event::Frame(frame) => write(frame.index, &frame.data)?,
                Event::UtteranceDone { .. } | Event::Interrupted(_) => break,
            }
        }
        Ok(())
    };
    tokio::select! {
        () = push => Ok(()),
        result = read => result,
    }
}
