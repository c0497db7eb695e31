//! `lipsyncd engine build`: one plan for each network and batch, each in a process of its own.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use crate::backend::cuda::plan::Precision;

/// What `lipsyncd engine build` takes.
#[derive(Debug, ClapArgs)]
pub(in crate::commands) struct Args {
    /// The bundle's folder
    #[arg(long, value_name = "DIR")]
    avatar: PathBuf,
    /// Where the plans go [default: lipsyncd/plans in the user's cache folder]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// What the engine computes in
    #[arg(long, value_enum, default_value = "fp16")]
    precision: Precision,
    /// Batch sizes: "32" makes one plan for 1 to 32, "1,2,4" one plan for each
    #[arg(long, value_delimiter = ',', default_value = "32", value_parser = clap::value_parser!(u32).range(1..=64))]
    batches: Vec<u32>,
    /// Scratch memory the engine may use, MiB
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(16..=65536))]
    workspace_mib: u32,
    /// Build for these SMs, such as 89,120, in place of this machine's GPU (TensorRT-RTX only)
    #[arg(long, value_delimiter = ',', value_name = "SM")]
    sm: Vec<u32>,
    /// Build plans that are already there, too
    #[arg(long)]
    force: bool,
    /// Refuse plans that stay below so many decibels of the CPU's picture
    #[arg(long, default_value_t = 40.0, value_name = "DB")]
    min_psnr: f64,
    /// ONNX Runtime's shared library, for the CPU's picture
    #[arg(long, env = "LIPSYNCD_ONNXRUNTIME", value_name = "FILE")]
    onnxruntime: Option<PathBuf>,
    /// Seconds one plan may take
    #[arg(long, default_value_t = 1800)]
    timeout: u64,
    /// The folder that holds TensorRT's libraries
    #[arg(long, env = "LIPSYNCD_TENSORRT", value_name = "DIR")]
    tensorrt: Option<PathBuf>,
}

#[cfg(not(any(feature = "tensorrt", feature = "tensorrt-rtx")))]
pub(super) fn run(_args: &Args) -> Result<(), crate::commands::CommandError> {
    Err(crate::commands::CommandError::failed(
        "this build has no TensorRT; build lipsyncd with --features tensorrt (data-centre GPUs) or --features tensorrt-rtx (workstations)",
    ))
}

#[cfg(any(feature = "tensorrt", feature = "tensorrt-rtx"))]
pub(super) use with_tensorrt::run;

#[cfg(any(feature = "tensorrt", feature = "tensorrt-rtx"))]
mod with_tensorrt {
    use std::path::{Path, PathBuf};
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::check::compare;
    use super::Args;
    use crate::avatar::Bundle;
    use crate::backend::cuda::plan::{BatchRange, PlanEdges, PlanError, PlanKey, PlanOptions, read_plan};
    use crate::backend::cuda::prepare::prepare;
    use crate::backend::cuda::tensorrt::{Library, Order, OrderTarget, order, target_of};
    use crate::backend::cuda::{CudaBackend, CudaOptions, EngineChoice};
    use crate::commands::error::FileError;
    use crate::commands::stdout::say;
    use crate::commands::{CommandError, progress};
    use crate::cuda::Driver;
    use crate::paths::cache_folder;

    /// The GPU that plans are built on and measured with where none is built ahead of time.
    const GPU: u32 = 0;

    pub(in super::super) fn run(args: &Args) -> Result<(), CommandError> {
        let bundle = Bundle::open(&args.avatar).map_err(CommandError::input)?;
        let library = Library::load(args.tensorrt.as_deref()).map_err(CommandError::failed)?;
        let out = match &args.out {
            Some(out) => out.clone(),
            None => cache_folder()
                .ok_or_else(|| CommandError::input("no cache folder: set HOME, or say --out"))?
                .join("plans"),
        };
        let networks = [(&bundle.generator.path, PlanEdges::Half), (&bundle.audio_encoder.path, PlanEdges::Single)];
        let ranges = ranges(&args.batches);
        let bar = progress::bar("plans", networks.len() * ranges.len());
        let mut plans = Vec::new();
        for (network, edges) in networks {
            for &batch in &ranges {
                let (plan, line) = one(args, &library, &out, (network, edges), batch)?;
                bar.suspend(|| say(format_args!("{}: {batch}, {line}", plan.display())))?;
                plans.push(plan);
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        check(args, &bundle, &library, &out).inspect_err(|_| {
            // Not left for the daemon to find.
            for plan in &plans {
                let _ = std::fs::remove_file(plan);
            }
        })
    }

    /// Compares plans for this machine's GPU with the CPU.
    fn check(args: &Args, bundle: &Bundle, library: &Library, plans: &Path) -> Result<(), CommandError> {
        let [most] = *args.batches else {
            return say("accuracy: not measured, since the daemon takes one plan for all batches; see --batches");
        };
        if !args.sm.is_empty() {
            return say(
                "accuracy: not measured here; `lipsyncd engine check` measures it on the GPU the plans are for",
            );
        }
        let options = CudaOptions {
            engine: EngineChoice::TensorRt,
            precision: args.precision,
            max_batch: most as usize,
            tensorrt: Some(library.folder.clone()),
            plans: Some(plans.to_owned()),
            ..CudaOptions::of_gpu(GPU, args.onnxruntime.clone())
        };
        let gpu = Arc::new(CudaBackend::open(&options).map_err(CommandError::failed)?);
        say(compare(bundle, gpu, args.onnxruntime.clone(), args.min_psnr)?)
    }

    /// One batch size means all up to it, several mean each alone.
    fn ranges(batches: &[u32]) -> Vec<BatchRange> {
        match batches {
            [most] => vec![BatchRange::up_to(*most)],
            each => each.iter().map(|&batch| BatchRange::only(batch)).collect(),
        }
    }

    /// Makes one plan, unless it is there, and says so in a line.
    fn one(
        args: &Args,
        library: &Library,
        out: &Path,
        (network, edges): (&Path, PlanEdges),
        batch: BatchRange,
    ) -> Result<(PathBuf, String), CommandError> {
        let bytes = std::fs::read(network).map_err(FileError::at(network)).map_err(CommandError::input)?;
        let options = PlanOptions { precision: args.precision, edges, batch, workspace_mib: args.workspace_mib };
        let prepared = prepare(&bytes, args.precision, edges.into())
            .map_err(|error| CommandError::input(format!("{}: {error}", network.display())))?;
        let key = PlanKey::new(&prepared.model, library.name(), target(&args.sm)?, options);
        let path = key.path(out, network);
        let found = read_plan(&path, &key);
        if let (false, Ok(plan)) = (args.force, &found) {
            let line = format!("there already, {} bytes", plan.len());
            return Ok((path, line));
        }
        if let Err(error @ (PlanError::Corrupt { .. } | PlanError::Foreign { .. })) = &found {
            eprintln!("{}: {error}; building it again", path.display());
        }
        let made = order(&Order {
            network,
            plan: &path,
            key: &key,
            target: if args.sm.is_empty() { OrderTarget::Gpu(GPU) } else { OrderTarget::Sms(&args.sm) },
            tensorrt: &library.folder,
            timeout: Duration::from_secs(args.timeout),
        })
        .map_err(CommandError::failed)?;
        // Read back through the same door the daemon will use.
        read_plan(&path, &key).map_err(CommandError::failed)?;
        Ok((path, made.to_string()))
    }

    fn target(sms: &[u32]) -> Result<String, CommandError> {
        if !sms.is_empty() {
            let mut sms = sms.to_vec();
            sms.sort_unstable();
            sms.dedup();
            return Ok(sms.iter().map(|sm| format!("sm_{sm}")).collect::<Vec<_>>().join(" "));
        }
        let nowhere = |error: &dyn std::fmt::Display| {
            CommandError::failed(format!("{error}; run this on the GPU's machine, or name SMs with --sm"))
        };
        let driver = Driver::load().map_err(|error| nowhere(&error))?;
        driver.gpu(GPU).map(|gpu| target_of(&gpu)).map_err(|error| nowhere(&error))
    }
}
