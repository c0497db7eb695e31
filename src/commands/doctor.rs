//! `lipsyncd doctor`: what this machine offers, and what the daemon would use.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::CommandError;
use crate::onnxruntime::OnnxRuntime;

/// What `lipsyncd doctor` takes.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// ONNX Runtime's shared library
    #[arg(long, env = "LIPSYNCD_ONNXRUNTIME", value_name = "FILE")]
    onnxruntime: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<(), CommandError> {
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    line("lipsyncd", env!("CARGO_PKG_VERSION"));
    line("cpu", &format!("{cores} cores, {}", cpu_name()));
    let runtime = OnnxRuntime::load(args.onnxruntime.as_deref());
    match &runtime {
        Ok(runtime) => {
            line("ONNX Runtime", &runtime.info().path.display().to_string());
            line("", &runtime.info().build);
        }
        Err(error) => line("ONNX Runtime", &format!("missing: {error}")),
    }
    line("gpu", &gpu());
    line("TensorRT", &tensorrt());
    line("ffmpeg", &found_on_path("ffmpeg").unwrap_or_else(|| "missing: .mp4 output needs it, .avi does not".into()));
    match runtime {
        Ok(_) => {
            line("backend", &format!("cpu, {} slots of 1 thread", cores.max(2)));
            Ok(())
        }
        Err(error) => {
            line("backend", "none");
            Err(CommandError::failed(error))
        }
    }
}

fn line(what: &str, value: &str) {
    println!("{what:<14} {value}");
}

fn cpu_name() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name));
    model.unwrap_or("unknown model").to_owned()
}

/// The driver's own word; this build serves on the CPU either way.
fn gpu() -> String {
    match std::fs::read_to_string("/proc/driver/nvidia/version") {
        Ok(version) => {
            let first = version.lines().next().unwrap_or_default();
            format!("{first}; not used: this build has the CPU backend only")
        }
        Err(_) => "none (no NVIDIA driver is loaded)".to_owned(),
    }
}

#[cfg(any(feature = "tensorrt", feature = "tensorrt-rtx"))]
fn tensorrt() -> String {
    let explicit = std::env::var_os("LIPSYNCD_TENSORRT").map(PathBuf::from);
    match crate::backend::cuda::tensorrt::Library::load(explicit.as_deref()) {
        Ok(library) => format!("{} in {}", library.name(), library.folder.display()),
        Err(error) => format!("missing: {error}"),
    }
}

#[cfg(not(any(feature = "tensorrt", feature = "tensorrt-rtx")))]
fn tensorrt() -> String {
    "not in this build (features tensorrt, tensorrt-rtx)".to_owned()
}

fn found_on_path(program: &str) -> Option<String> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
        .map(|path| path.display().to_string())
}
