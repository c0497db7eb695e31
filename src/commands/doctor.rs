//! `lipsyncd doctor`: what this machine offers, and what the daemon would use.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::CommandError;
use super::stdout::say;
use crate::backend::Backend as _;
use crate::backend::cuda::kernels::{KernelImage, Origin, Target, Unit};
use crate::backend::cuda::nvjpeg::Library;
use crate::backend::cuda::onnx::find_cudnn;
use crate::backend::cuda::{CudaBackend, CudaOptions};
use crate::cuda::{Driver, DriverMissing};
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
    line("lipsyncd", env!("CARGO_PKG_VERSION"))?;
    line("cpu", &format!("{cores} cores, {}", cpu_name()))?;
    let runtime = OnnxRuntime::load(args.onnxruntime.as_deref());
    match &runtime {
        Ok(runtime) => {
            line("ONNX Runtime", &runtime.info().path.display().to_string())?;
            line("", &runtime.info().build)?;
        }
        Err(error) => line("ONNX Runtime", &format!("missing: {error}"))?,
    }
    let driver = Driver::load();
    gpus(&driver)?;
    if let Ok(runtime) = &runtime {
        let provider = match runtime.check_cuda().map(|()| find_cudnn(runtime)) {
            Ok(Ok(())) => "usable".to_owned(),
            Ok(Err(error)) => {
                format!("there, but no cuDNN, which it opens for its first network ({error}); install cuDNN 9")
            }
            Err(error) => format!("missing: {error}"),
        };
        line("CUDA provider", &provider)?;
    }
    line("TensorRT", &tensorrt())?;
    line("kernels", &kernels(&driver))?;
    line("nvJPEG", &nvjpeg(&driver))?;
    line("ffmpeg", &found_on_path("ffmpeg").unwrap_or_else(|| "missing: .mp4 output needs it, .avi does not".into()))?;
    let mut usable = false;
    if let Ok(driver) = &driver {
        for gpu in 0..driver.gpus() {
            match CudaBackend::open(&CudaOptions::of_gpu(gpu, args.onnxruntime.clone())) {
                Ok(backend) => {
                    usable = true;
                    line("backend", &backend.info().to_string())?;
                    if !backend.why_not_another().is_empty() {
                        line("", &format!("since {}", backend.why_not_another()))?;
                    }
                }
                Err(error) => line("backend", &format!("not GPU {gpu}: {error}"))?,
            }
        }
    }
    match runtime {
        _ if usable => Ok(()),
        Ok(_) => line("backend", &format!("cpu, {} slots of 1 thread", cores.max(2))),
        Err(error) => {
            line("backend", "none")?;
            Err(CommandError::failed(error))
        }
    }
}

/// Every GPU, or why there is none.
fn gpus(driver: &Result<Driver, DriverMissing>) -> Result<(), CommandError> {
    let driver = match driver {
        Ok(driver) => driver,
        Err(missing) => return line("gpu", &format!("none: {missing}")),
    };
    line("driver", &format!("CUDA {}; {}", driver.version(), kernel_module()))?;
    for ordinal in 0..driver.gpus() {
        match driver.gpu(ordinal) {
            Ok(gpu) => line(
                &format!("gpu {ordinal}"),
                &format!("{}, sm_{}, {} SMs, {} MiB", gpu.name, gpu.sm, gpu.multiprocessors, gpu.memory_bytes >> 20),
            ),
            Err(error) => line(&format!("gpu {ordinal}"), &format!("cannot be described: {error}")),
        }?;
    }
    Ok(())
}

/// The kernel module's own word, which has the driver's release.
fn kernel_module() -> String {
    let version = std::fs::read_to_string("/proc/driver/nvidia/version").unwrap_or_default();
    let line = version.lines().next().unwrap_or("no kernel module is loaded");
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn kernels(driver: &Result<Driver, DriverMissing>) -> String {
    let Ok(driver) = driver else { return "not needed without a GPU".to_owned() };
    let Ok(gpu) = driver.gpu(0) else { return "not needed without a GPU".to_owned() };
    match KernelImage::load(Unit::Frames, Target { sm: gpu.sm, driver: driver.version().number() }) {
        Ok(image) => match image.origin() {
            Origin::BuiltIn(cuda) => format!("built in, by nvcc {cuda}"),
            Origin::Compiled { nvrtc } => format!("compiled by {nvrtc}"),
            Origin::Cached(path) => format!("compiled earlier, {}", path.display()),
        },
        Err(error) => format!("missing: {error}"),
    }
}

fn nvjpeg(driver: &Result<Driver, DriverMissing>) -> String {
    let Ok(driver) = driver else { return "not needed without a GPU".to_owned() };
    match Library::load(driver.version().number(), None) {
        Ok(library) => format!("{} in {}", library.version(), library.path().display()),
        Err(error) => format!("missing: {error}"),
    }
}

fn line(what: &str, value: &str) -> Result<(), CommandError> {
    say(format_args!("{what:<14} {value}"))
}

fn cpu_name() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name));
    model.unwrap_or("unknown model").to_owned()
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
