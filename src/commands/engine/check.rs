//! `lipsyncd engine check`: a GPU's frames against the CPU's.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args as ClapArgs;

use super::accuracy;
use crate::avatar::Bundle;
use crate::backend::cuda::CudaBackend;
use crate::backend::{Backend, CpuBackend};
use crate::commands::CommandError;
use crate::commands::device_args::GpuArgs;
use crate::commands::numbers::decibels;
use crate::commands::stdout::say;

/// What `lipsyncd engine check` takes.
#[derive(Debug, ClapArgs)]
pub(in crate::commands) struct Args {
    /// The bundle's folder
    #[arg(long, value_name = "DIR")]
    avatar: PathBuf,
    /// Fail below so many decibels of the CPU's picture
    #[arg(long, default_value_t = 40.0, value_name = "DB", value_parser = decibels)]
    min_psnr: f64,
    #[command(flatten)]
    gpu: GpuArgs,
}

pub(in crate::commands) fn run(args: &Args) -> Result<(), CommandError> {
    let bundle = Bundle::open(&args.avatar).map_err(|error| CommandError::of_load(error.into()))?;
    let wanted = args.gpu.wanted();
    match compare(&bundle, args.gpu.open(&wanted)?, wanted.onnxruntime, args.min_psnr)? {
        Verdict::Close(line) => say(line),
        Verdict::Far(line) => Err(CommandError::failed(line)),
    }
}

/// What a comparison came to, in a line.
pub(super) enum Verdict {
    Close(String),
    /// Below what was asked for, which is no failure to compare.
    Far(String),
}

/// The accuracy of `gpu`, against `min_psnr`.
pub(super) fn compare(
    bundle: &Bundle,
    gpu: Arc<CudaBackend>,
    onnxruntime: Option<PathBuf>,
    min_psnr: f64,
) -> Result<Verdict, CommandError> {
    let cpu = Arc::new(CpuBackend::new(onnxruntime.as_deref(), 1).map_err(CommandError::of_runtime)?);
    let info = gpu.info();
    let accuracy = accuracy::measure(bundle, gpu, cpu)?;
    let line = format!(
        "accuracy: {:.1} dB at least, {:.1} dB in the mean, against the CPU; {info}",
        accuracy.least_db, accuracy.mean_db
    );
    if accuracy.least_db < min_psnr {
        return Ok(Verdict::Far(format!(
            "{line}: below {min_psnr} dB; where it computes in fp16, gpu_precision = \"fp32\" is nearer"
        )));
    }
    Ok(Verdict::Close(line))
}
