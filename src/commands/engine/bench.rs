//! `lipsyncd engine bench`: what a GPU carries, in a table, and as one JSON line last.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args as ClapArgs;
use serde::Serialize;

use crate::avatar::{Bundle, Keep, LoadedAvatar, TemplateOptions};
use crate::backend::cuda::CudaBackend;
use crate::backend::cuda::measure::StepTimes;
use crate::backend::{Backend, FrameFormat};
use crate::batch::{Engine, EngineOptions};
use crate::commands::device_args::GpuArgs;
use crate::commands::numbers::seconds;
use crate::commands::stdout::say;
use crate::commands::{CommandError, progress};
use crate::load::voice::voice;
use crate::picture::Quality;
use crate::picture::template::OnDemandTemplates;
use crate::session::{Event, FrameReader, Intake, SessionOptions};
use crate::telemetry::WorkClass;

/// Sound that each session is given at a time, seconds.
const BLOCK_SECONDS: usize = 2;

/// Batches of a lane after which it is warm: some of windows, and more than are run before a batch size is captured.
const WARM_BATCHES: u64 = 16;

/// What that may take: an engine may look for the fastest way to run each layer, for each lane.
const LONGEST_WARM_UP: Duration = Duration::from_secs(120);

/// What `lipsyncd engine bench` takes.
#[derive(Debug, ClapArgs)]
pub(in crate::commands) struct Args {
    /// The bundle's folder
    #[arg(long, value_name = "DIR")]
    avatar: PathBuf,
    /// Batch sizes to measure
    #[arg(long, value_delimiter = ',', default_value = "1,2,4,8,16,32", value_parser = clap::value_parser!(u16).range(1..=64))]
    batches: Vec<u16>,
    /// Contexts side by side
    #[arg(long, value_delimiter = ',', default_value = "1,2,3", value_parser = clap::value_parser!(u16).range(1..=16))]
    contexts: Vec<u16>,
    /// Sessions that keep the whole pipeline busy
    #[arg(long, default_value_t = 96, value_parser = clap::value_parser!(u16).range(1..=4096))]
    sessions: u16,
    /// Seconds that the whole pipeline is measured, for each batch size
    #[arg(long, default_value_t = 3.0, value_name = "SECONDS", value_parser = seconds)]
    seconds: f64,
    #[command(flatten)]
    gpu: GpuArgs,
}

/// Frames a second of the generator alone.
#[derive(Debug, Serialize)]
struct Bare {
    batch: u16,
    contexts: u16,
    frames_per_second: f64,
}

/// Frames a second from sound to JPEG.
#[derive(Debug, Serialize)]
struct Pipeline {
    max_batch: u16,
    slots: usize,
    frames_per_second: f64,
    mean_batch: f64,
    /// Of the generator alone, at this batch size: for each number of contexts that was measured.
    of_bare: Vec<Share>,
}

/// Of the generator alone in so many contexts.
#[derive(Debug, Serialize)]
struct Share {
    contexts: u16,
    share: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    backend: String,
    gpu: String,
    bare: Vec<Bare>,
    stages: Vec<StepTimes>,
    pipeline: Vec<Pipeline>,
    /// Bytes that are free on the GPU before and after the pipelines ran.
    free_bytes: [u64; 2],
}

pub(in crate::commands) fn run(args: &Args) -> Result<(), CommandError> {
    let bundle = Bundle::open(&args.avatar).map_err(|error| CommandError::of_load(error.into()))?;
    let mut wanted = args.gpu.wanted();
    // Networks are loaded for as many frames as any row has.
    wanted.max_batch = wanted.max_batch.max(args.batches.iter().copied().max().map(usize::from));
    let backend = args.gpu.open(&wanted)?;
    let avatar = load(&bundle, &backend)?;
    say(backend.info())?;
    let bare = bare(args, &backend, &avatar)?;
    let stages = stages(args, &backend, &avatar)?;
    let free = || {
        backend.look();
        backend.memory().map_or(0, |memory| memory.free_bytes)
    };
    let (mut pipeline, mut free_before) = (Vec::new(), 0);
    for &batch in &args.batches {
        let mut options = wanted.gpu_engine();
        options.limits.max_frames = batch.into();
        let row = whole(args, &backend, &avatar, options, &bare)?;
        let mut line = format!(
            "pipeline   batch {batch:>2}  {:>8.0} frames/s  {:>5.1} items a batch  of the generator alone:",
            row.frames_per_second, row.mean_batch
        );
        for Share { contexts, share } in &row.of_bare {
            line.push_str(&format!("  {share:.2} with {contexts} context(s)"));
        }
        say(line)?;
        pipeline.push(row);
        if free_before == 0 {
            free_before = free();
        }
    }
    let report = Report {
        backend: backend.info().to_string(),
        gpu: backend.gpu().name.clone(),
        bare,
        stages,
        pipeline,
        free_bytes: [free_before, free()],
    };
    say(serde_json::to_string(&report).map_err(CommandError::failed)?)
}

fn load(bundle: &Bundle, backend: &Arc<CudaBackend>) -> Result<Arc<LoadedAvatar>, CommandError> {
    let id = "bench".parse().map_err(CommandError::input)?;
    let on_demand = Arc::new(OnDemandTemplates::new(0));
    let keep = Keep::Templates(TemplateOptions { quality: Quality::DEFAULT, cache_dir: None, on_demand });
    let bar = progress::bar("loading", bundle.frames.len());
    let backend = Arc::clone(backend) as Arc<dyn Backend>;
    let avatar = LoadedAvatar::load(id, bundle, backend, &keep, &|done| bar.set_position(done as u64));
    bar.finish_and_clear();
    Ok(Arc::new(avatar.map_err(CommandError::of_load)?))
}

fn bare(args: &Args, backend: &CudaBackend, avatar: &LoadedAvatar) -> Result<Vec<Bare>, CommandError> {
    let mut rows = Vec::new();
    for &batch in &args.batches {
        let mut line = format!("generator  batch {batch:>2}");
        for &contexts in &args.contexts {
            let batches = backend.bare_batches_per_second(avatar, batch.into(), contexts.into());
            let frames_per_second = batches.map_err(CommandError::failed)? * f64::from(batch);
            line.push_str(&format!("  {frames_per_second:>8.0} frames/s with {contexts} context(s)"));
            rows.push(Bare { batch, contexts, frames_per_second });
        }
        say(line)?;
    }
    Ok(rows)
}

fn stages(args: &Args, backend: &CudaBackend, avatar: &LoadedAvatar) -> Result<Vec<StepTimes>, CommandError> {
    let mut rows = Vec::new();
    for &batch in &args.batches {
        let row = backend.step_times(avatar, batch.into()).map_err(CommandError::failed)?;
        say(format_args!(
            "stages     batch {batch:>2}  encode {:.0} us, upload {:.0}, gather {:.0}, picture {:.0}, network {:.0}, paste {:.0}, readback {:.0}",
            row.encode_us, row.upload_us, row.gather_us, row.picture_us, row.network_us, row.paste_us, row.readback_us
        ))?;
        rows.push(row);
    }
    Ok(rows)
}

/// The whole pipeline, from sound to JPEG, kept busy by sessions that take frames as fast as they come.
fn whole(
    args: &Args,
    backend: &Arc<CudaBackend>,
    avatar: &Arc<LoadedAvatar>,
    options: EngineOptions,
    bare: &[Bare],
) -> Result<Pipeline, CommandError> {
    let engine = Engine::start(Arc::clone(backend) as Arc<dyn Backend>, options).map_err(CommandError::failed)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().map_err(CommandError::failed)?;
    let frames = Arc::new(AtomicU64::new(0));
    let sound: Arc<[f32]> = voice(1, BLOCK_SECONDS * avatar.sample_rate_hz() as usize, avatar.sample_rate_hz()).into();
    for _ in 0..args.sessions {
        let session = SessionOptions {
            outbox_frames: SessionOptions::BULK_OUTBOX,
            ..SessionOptions::new(FrameFormat::Jpeg(Quality::DEFAULT), avatar.sample_rate_hz())
        };
        let ends = engine.open_session(Arc::clone(avatar), session).map_err(CommandError::failed)?;
        runtime.spawn(speak(ends.0, Arc::clone(&sound)));
        runtime.spawn(watch(ends.1, Arc::clone(&frames)));
    }
    warm_up(&engine, Duration::from_secs_f64(args.seconds / 2.0));
    let done = || (engine.device_recorder().batches(), engine.device_recorder().items(WorkClass::Window));
    let (begun, before, (batches, windows)) = (Instant::now(), frames.load(Ordering::Relaxed), done());
    std::thread::sleep(Duration::from_secs_f64(args.seconds));
    let elapsed = begun.elapsed().as_secs_f64();
    let drawn = frames.load(Ordering::Relaxed) - before;
    let now = done();
    let (batches, windows) = (now.0 - batches, now.1 - windows);
    // Its threads hold the avatar, and with it the GPU, until they have ended.
    drop(runtime);
    if engine.is_broken() {
        return Err(CommandError::failed(
            "the GPU failed while the pipeline was measured; look at `nvidia-smi` and dmesg",
        ));
    }
    let frames_per_second = drawn as f64 / elapsed;
    let max_batch = options.limits.max_frames as u16;
    let share =
        |row: &Bare| Share { contexts: row.contexts, share: frames_per_second / row.frames_per_second.max(1.0) };
    Ok(Pipeline {
        max_batch,
        slots: options.slots,
        frames_per_second,
        mean_batch: (drawn + windows) as f64 / batches.max(1) as f64,
        of_bare: bare.iter().filter(|row| row.batch == max_batch).map(share).collect(),
    })
}

/// Waits for so long, and for every lane to have bound its networks and begun in earnest.
fn warm_up(engine: &Engine, least: Duration) {
    let begun = Instant::now();
    let is_cold = || engine.device_recorder().least_batches() < WARM_BATCHES && begun.elapsed() < LONGEST_WARM_UP;
    while !engine.is_broken() && (begun.elapsed() < least || is_cold()) {
        std::thread::sleep(Duration::from_millis(20));
    }
}

async fn speak(mut intake: Intake, sound: Arc<[f32]>) {
    while intake.push(&sound).await.is_ok() {}
}

async fn watch(mut reader: FrameReader, frames: Arc<AtomicU64>) {
    while let Some(Ok(event)) = reader.next().await {
        if let Event::Frame(_) = event {
            frames.fetch_add(1, Ordering::Relaxed);
        }
    }
}
