//! `lipsyncd engine build`: the plans that a daemon looks up, one for each network and SM, each made in a process of its own.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use crate::backend::cuda::plan::Precision;
use crate::commands::numbers::decibels;

/// What `lipsyncd engine build` takes.
#[derive(Debug, ClapArgs)]
pub(in crate::commands) struct Args {
    /// The bundle's folder
    #[arg(long, value_name = "DIR")]
    avatar: PathBuf,
    /// Where the plans go [default: lipsyncd/plans in the user's cache folder]
    #[arg(long, env = "LIPSYNCD_PLANS", value_name = "DIR")]
    out: Option<PathBuf>,
    /// What the engine computes in
    #[arg(long, value_enum, default_value = "fp16")]
    precision: Precision,
    /// Most frames of a batch, as the daemon's max_batch [default: 32]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    max_batch: Option<u16>,
    /// Build for these SMs, such as 89,120, in place of this machine's GPU (TensorRT-RTX only)
    #[arg(long, value_delimiter = ',', value_name = "SM")]
    sm: Vec<u32>,
    /// Build plans that are already there, too
    #[arg(long)]
    force: bool,
    /// Refuse plans that stay below so many decibels of the CPU's picture
    #[arg(long, default_value_t = 40.0, value_name = "DB", value_parser = decibels)]
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
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::check::{Verdict, compare};
    use super::Args;
    use crate::avatar::Bundle;
    use crate::backend::cuda::engine::NetworkFile;
    use crate::backend::cuda::plan::{PlanError, PlanFile, read_plan};
    use crate::backend::cuda::ports::{encoder_ports, generator_ports};
    use crate::backend::cuda::tensorrt::{FLAVOUR, Library, Order, OrderTarget, knows, order, target_of, target_of_sm};
    use crate::backend::cuda::{CudaBackend, CudaOptions, EngineChoice};
    use crate::backend::read_network;
    use crate::commands::devices::{check_tensorrt, largest_gpu_batch};
    use crate::commands::stderr;
    use crate::commands::stdout::say;
    use crate::commands::{CommandError, progress};
    use crate::cuda::Driver;

    /// The GPU that plans are built on and measured with where none is built ahead of time.
    const GPU: u32 = 0;

    /// A plan that is there now.
    #[derive(Debug)]
    struct Plan {
        path: PathBuf,
        /// Made in this run.
        is_new: bool,
    }

    pub(in super::super) fn run(args: &Args) -> Result<(), CommandError> {
        let bundle = Bundle::open(&args.avatar).map_err(|error| CommandError::of_load(error.into()))?;
        args.tensorrt.as_deref().map_or(Ok(()), check_tensorrt)?;
        let library = Library::load(args.tensorrt.as_deref()).map_err(CommandError::failed)?;
        let options = options(args, &library);
        let wishes = library.plans(&options);
        let wishes = wishes.ok_or_else(|| CommandError::input("no cache folder: set HOME, or say --out"))?;
        for sm in args.sm.iter().filter(|&&sm| !knows(sm)) {
            say(format_args!(
                "sm_{sm}: {FLAVOUR} is not supported there; plans for it are used where gpu_engine is \"tensorrt\", not \"auto\""
            ))?;
        }
        let networks = [
            (&bundle.generator.path, read_network(&bundle.generator), generator_ports(&bundle, args.precision)),
            (&bundle.audio_encoder.path, read_network(&bundle.audio_encoder), encoder_ports(&bundle)),
        ];
        let targets = targets(&args.sm)?;
        let bar = progress::bar("plans", networks.len() * targets.len());
        let mut plans = Vec::new();
        for (path, content, ports) in networks {
            let content = content.map_err(|error| CommandError::of_load(error.into()))?;
            let network = NetworkFile { path, content: &content, ports: &ports };
            let wanted = wishes.wanted(network);
            let wanted = wanted.map_err(|error| CommandError::input(format!("{}: {error}", path.display())))?;
            for (target, name) in &targets {
                let file = wanted.for_target(name.clone());
                let (is_new, line) = make(args, &library, network, *target, &file)?;
                bar.suspend(|| say(format_args!("{}: {}, {line}", file.path.display(), file.key.options.batch)))?;
                plans.push(Plan { path: file.path, is_new });
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        check(args, &bundle, &options, &plans)
    }

    /// A GPU as a daemon uses it: it makes the plans' keys, and so the plans built here are those that are measured.
    fn options(args: &Args, library: &Library) -> CudaOptions {
        CudaOptions {
            engine: EngineChoice::TensorRt,
            precision: args.precision,
            max_batch: largest_gpu_batch(args.max_batch.map(usize::from)),
            tensorrt: Some(library.folder.clone()),
            plans: args.out.clone(),
            ..CudaOptions::of_gpu(GPU, args.onnxruntime.clone())
        }
    }

    /// What plans are built for, by the names that a daemon looks them up under.
    fn targets(sms: &[u32]) -> Result<Vec<(OrderTarget, String)>, CommandError> {
        if !sms.is_empty() {
            let mut sms = sms.to_vec();
            sms.sort_unstable();
            sms.dedup();
            return Ok(sms.into_iter().map(|sm| (OrderTarget::Sm(sm), target_of_sm(sm))).collect());
        }
        let nowhere = |error: &dyn std::fmt::Display| {
            CommandError::failed(format!("{error}; run this on the GPU's machine, or name SMs with --sm"))
        };
        let driver = Driver::load().map_err(|error| nowhere(&error))?;
        let gpu = driver.gpu(GPU).map_err(|error| nowhere(&error))?;
        Ok(vec![(OrderTarget::Gpu(GPU), target_of(&gpu))])
    }

    /// Makes one plan, unless it is there, and says whether it did, and what there is in a line.
    fn make(
        args: &Args,
        library: &Library,
        network: NetworkFile<'_>,
        target: OrderTarget,
        PlanFile { key, path }: &PlanFile,
    ) -> Result<(bool, String), CommandError> {
        let found = read_plan(path, key);
        if let (false, Ok(plan)) = (args.force, &found) {
            return Ok((false, format!("there already, {} bytes", plan.len())));
        }
        if let Err(error @ (PlanError::Corrupt { .. } | PlanError::Foreign { .. })) = &found {
            stderr::say(format_args!("{}: {error}; building it again", path.display()));
        }
        let made = order(&Order {
            network: network.path,
            content: network.content,
            plan: path,
            key,
            target,
            tensorrt: &library.folder,
            timeout: Duration::from_secs(args.timeout),
        })
        .map_err(CommandError::failed)?;
        // Read back through the same door the daemon will use.
        read_plan(path, key).map_err(CommandError::failed)?;
        Ok((true, made.to_string()))
    }

    /// Compares plans for this machine's GPU with the CPU.
    fn check(args: &Args, bundle: &Bundle, options: &CudaOptions, plans: &[Plan]) -> Result<(), CommandError> {
        if !args.sm.is_empty() {
            return say(
                "accuracy: not measured here; `lipsyncd engine check` measures it on the GPU the plans are for",
            );
        }
        let gpu = Arc::new(CudaBackend::open(options).map_err(CommandError::failed)?);
        match compare(bundle, gpu, args.onnxruntime.clone(), args.min_psnr)? {
            Verdict::Close(line) => say(line),
            Verdict::Far(line) => Err(CommandError::failed(refuse(line, plans))),
        }
    }

    /// What was made in this run is not left for the daemon to find. What was there before may be in use, and was not asked for: it is
    /// only named.
    fn refuse(mut line: String, plans: &[Plan]) -> String {
        let (new, old): (Vec<_>, Vec<_>) = plans.iter().partition(|plan| plan.is_new);
        for Plan { path, .. } in new {
            match std::fs::remove_file(path) {
                Ok(()) => line.push_str(&format!("; deleted {}", path.display())),
                Err(error) => line.push_str(&format!("; {} cannot be deleted: {error}", path.display())),
            }
        }
        for Plan { path, .. } in old {
            line.push_str(&format!("; {} was there before and stays", path.display()));
        }
        line
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn plans_that_are_too_far_go_and_those_of_before_stay() {
            let folder = tempfile::tempdir().unwrap();
            let [new, old] = ["new.plan", "old.plan"].map(|name| folder.path().join(name));
            let plans = [(&new, true), (&old, false)].map(|(path, is_new)| {
                std::fs::write(path, "plan").unwrap();
                Plan { path: path.clone(), is_new }
            });
            let line = refuse("39.0 dB".to_owned(), &plans);
            assert_eq!((new.exists(), old.exists()), (false, true));
            let (new, old) = (new.display(), old.display());
            assert_eq!(line, format!("39.0 dB; deleted {new}; {old} was there before and stays"));
        }
    }
}
