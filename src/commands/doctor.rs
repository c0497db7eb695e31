//! `lipsyncd doctor`: what this machine offers, and what the daemon would use.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use super::CommandError;
use super::devices::Wanted;
use super::stdout::say;
use crate::backend::Backend;
use crate::backend::cuda::CudaBackend;
use crate::backend::cuda::kernels::{KernelImage, Origin, Target, Unit};
use crate::backend::cuda::nvjpeg::Library;
use crate::backend::cuda::onnx::find_cudnn;
use crate::batch::EngineOptions;
use crate::config::Config;
use crate::cuda::{Driver, DriverMissing};
use crate::onnxruntime::OnnxRuntime;

/// What `lipsyncd doctor` takes.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// The TOML file that `serve` is to be given; without it LIPSYNCD_<KEY> in the environment and the defaults
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// ONNX Runtime's shared library, before `onnxruntime` and LIPSYNCD_ONNXRUNTIME
    #[arg(long, value_name = "FILE")]
    onnxruntime: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<(), CommandError> {
    let mut config = Config::load(args.config.as_deref()).map_err(CommandError::input)?;
    if args.onnxruntime.is_some() {
        config.onnxruntime.clone_from(&args.onnxruntime);
    }
    let wanted = Wanted::by(&config);
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    line("lipsyncd", env!("CARGO_PKG_VERSION"))?;
    settings(args.config.as_deref(), &config)?;
    line("cpu", &format!("{cores} cores, {}", cpu_name()))?;
    let runtime = OnnxRuntime::load(wanted.onnxruntime.as_deref());
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
    line("TensorRT", &tensorrt(&wanted))?;
    line("kernels", &kernels(&driver))?;
    line("nvJPEG", &nvjpeg(&driver))?;
    line("ffmpeg", &found_on_path("ffmpeg").unwrap_or_else(|| "missing: .mp4 output needs it, .avi does not".into()))?;
    backends(&wanted, &driver)
}

/// Where the settings come from, and what was written that is none.
fn settings(file: Option<&Path>, config: &Config) -> Result<(), CommandError> {
    match file {
        Some(file) => line("settings", &format!("{}, and LIPSYNCD_* variables", file.display()))?,
        None => line("settings", "LIPSYNCD_* variables; no file, as --config names none")?,
    }
    config.ignored_variables.iter().try_for_each(|variable| line("", &format!("{variable} is no key, and is ignored")))
}

/// The devices that `serve` would use, opened as it opens them, and GPUs that it would leave out.
fn backends(wanted: &Wanted, driver: &Result<Driver, DriverMissing>) -> Result<(), CommandError> {
    let opened = wanted.open();
    let devices = opened.as_deref().unwrap_or_default();
    for gpu in wanted.gpus(driver.as_ref().ok()) {
        if devices.iter().any(|(backend, _)| backend.info().gpu == Some(gpu)) {
            continue;
        }
        // Opened once more, for the reason.
        if let Err(error) = CudaBackend::open(&wanted.cuda(gpu)) {
            line("backend", &format!("not GPU {gpu}: {error}"))?;
        }
    }
    for (backend, options) in devices {
        line("backend", &described(backend.as_ref(), options, wanted.threads_per_slot))?;
        if !backend.why_not_another().is_empty() {
            line("", &format!("since {}", backend.why_not_another()))?;
        }
    }
    match opened {
        Ok(_) => Ok(()),
        Err(error) => {
            line("backend", "none")?;
            Err(error)
        }
    }
}

fn described(backend: &dyn Backend, options: &EngineOptions, threads: usize) -> String {
    let (info, slots) = (backend.info(), options.slots);
    match info.gpu {
        Some(_) => format!("{info}, {slots} slots of up to {} frames", options.limits.max_frames),
        None if threads == 1 => format!("{info}, {slots} slots of 1 thread"),
        None => format!("{info}, {slots} slots of {threads} threads"),
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
fn tensorrt(wanted: &Wanted) -> String {
    match crate::backend::cuda::tensorrt::Library::load(wanted.gpu.tensorrt.as_deref()) {
        Ok(library) => format!("{} in {}", library.name(), library.folder.display()),
        Err(error) => format!("missing: {error}"),
    }
}

#[cfg(not(any(feature = "tensorrt", feature = "tensorrt-rtx")))]
fn tensorrt(_wanted: &Wanted) -> String {
    "not in this build (features tensorrt, tensorrt-rtx)".to_owned()
}

fn found_on_path(program: &str) -> Option<String> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
        .map(|path| path.display().to_string())
}
