//! `lipsyncd engine build-one`: the process that builds one plan, of the network that comes on stdin.

use std::io::Read as _;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args as ClapArgs;

use crate::backend::cuda::plan::{PlanKey, write_plan};
use crate::backend::cuda::tensorrt::{Library, Made, build_plan, end_with_its_order};
use crate::commands::CommandError;
use crate::commands::stdout::say;
use crate::cuda::{Context, Driver};

/// What the hidden `lipsyncd engine build-one` takes.
#[derive(Debug, ClapArgs)]
pub(in crate::commands) struct Args {
    #[arg(long)]
    plan: PathBuf,
    /// The plan's key as JSON
    #[arg(long)]
    key: String,
    /// The GPU to build on; none ahead of time
    #[arg(long)]
    gpu: Option<u32>,
    #[arg(long, conflicts_with = "gpu")]
    sm: Option<u32>,
    #[arg(long)]
    tensorrt: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<(), CommandError> {
    let start = Instant::now();
    end_with_its_order();
    // The first to go where memory runs out: whoever waits for it goes on. Where this cannot be said, the kernel chooses.
    let _ = std::fs::write("/proc/self/oom_score_adj", "500");
    let key: PlanKey = serde_json::from_str(&args.key).map_err(CommandError::input)?;
    let mut network = Vec::new();
    std::io::stdin().read_to_end(&mut network).map_err(CommandError::failed)?;
    let library = Library::load(Some(&args.tensorrt)).map_err(CommandError::failed)?;
    if let Some(gpu) = args.gpu {
        let driver = Driver::load().map_err(CommandError::failed)?;
        // Current on this thread, it is the one that TensorRT builds on.
        Context::open(&driver, gpu).map_err(CommandError::failed)?;
    }
    let (plan, half) = build_plan(&library, &network, &key, args.sm).map_err(CommandError::failed)?;
    write_plan(&args.plan, &key, &plan).map_err(CommandError::failed)?;
    let half = half.unwrap_or_default();
    let made = Made {
        bytes: plan.len(),
        seconds: start.elapsed().as_secs_f32(),
        saturated: half.saturated,
        vanished: half.vanished,
    };
    say(serde_json::to_string(&made).map_err(CommandError::failed)?)
}
