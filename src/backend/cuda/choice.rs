//! Which engine runs the networks, and why not another.

use std::path::PathBuf;
use std::sync::Arc;

use super::engine::GpuEngine;
use super::kernels::KernelError;
use super::layered::Layered;
use super::native::NativeEngine;
use super::nvjpeg::{Library, NvJpeg, NvJpegError};
use super::onnx::OnnxEngine;
use super::plan::Precision;
use crate::backend::BackendError;
use crate::cuda::{Context, CudaError, Driver, DriverMissing};
use crate::onnxruntime::OnnxRuntime;

/// The engine asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum EngineChoice {
    /// The fastest that is there and knows this GPU.
    #[default]
    Auto,
    /// TensorRT.
    #[value(name = "tensorrt")]
    TensorRt,
    /// Our own, for the networks it knows.
    Native,
    /// ONNX Runtime's CUDA provider.
    #[value(name = "onnxruntime")]
    OnnxRuntime,
}

/// What makes JPEGs of the frames a GPU draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum JpegChoice {
    /// Splicing, which is many times faster; nvJPEG where it is there and frames cannot be spliced.
    #[default]
    Auto,
    /// The strip comes down and is spliced on the host.
    Splice,
    /// nvJPEG encodes whole frames on the GPU.
    #[value(name = "nvjpeg")]
    NvJpeg,
}

/// How a GPU is used.
#[derive(Debug, Clone)]
pub struct CudaOptions {
    /// CUDA ordinal.
    pub gpu: u32,
    /// What runs the networks.
    pub engine: EngineChoice,
    /// What they compute in.
    pub precision: Precision,
    /// Largest batch that plans are made for.
    pub max_batch: usize,
    /// Most bytes of avatars' pictures on the GPU; none is all that is free but a reserve.
    pub max_device_bytes: Option<u64>,
    /// What makes its JPEGs.
    pub jpeg: JpegChoice,
    /// ONNX Runtime's library; none is searched.
    pub onnxruntime: Option<PathBuf>,
    /// The folder of TensorRT's libraries; none is searched.
    pub tensorrt: Option<PathBuf>,
    /// Where TensorRT's plans are kept; none is the user's cache.
    pub plans: Option<PathBuf>,
}

impl CudaOptions {
    /// GPU `gpu` with everything as it is by default.
    #[must_use]
    pub fn of_gpu(gpu: u32, onnxruntime: Option<PathBuf>) -> Self {
        Self {
            gpu,
            engine: EngineChoice::Auto,
            precision: Precision::Fp16,
            max_batch: 32,
            max_device_bytes: None,
            jpeg: JpegChoice::Auto,
            onnxruntime,
            tensorrt: None,
            plans: None,
        }
    }
}

/// Why there is no CUDA backend: what is missing, and how to get it.
#[derive(Debug, thiserror::Error)]
pub enum CudaUnavailable {
    /// No driver, or no GPU.
    #[error(transparent)]
    Driver(#[from] DriverMissing),
    /// The GPU cannot be opened.
    #[error("GPU {gpu} cannot be used: {source}")]
    Gpu {
        /// CUDA ordinal.
        gpu: u32,
        /// The driver's words.
        source: CudaError,
    },
    /// There is code for it neither in this program nor to be compiled.
    #[error(transparent)]
    Kernels(#[from] KernelError),
    /// nvJPEG was asked for and cannot be used.
    #[error("jpeg = \"nvjpeg\" was asked for: {0}")]
    NvJpeg(#[from] NvJpegError),
    /// None of the engines can be used.
    #[error("GPU {gpu} ({name}) is there, but nothing to run networks on it: {reasons}")]
    Engines {
        /// CUDA ordinal.
        gpu: u32,
        /// The GPU's name.
        name: String,
        /// Why not, engine by engine.
        reasons: String,
    },
}

/// The engine for `context`'s GPU, and in words why it and not another.
///
/// # Errors
/// [`CudaUnavailable::Engines`] with every engine's reason.
pub(super) fn choose(
    driver: &Driver,
    context: &Arc<Context>,
    options: &CudaOptions,
) -> Result<(Box<dyn GpuEngine>, String), CudaUnavailable> {
    let mut reasons = Vec::new();
    if matches!(options.engine, EngineChoice::Auto | EngineChoice::TensorRt) {
        match tensorrt(context, options) {
            Ok(engine) => return Ok((engine, String::new())),
            Err(reason) => reasons.push(reason),
        }
    }
    let native = match options.engine {
        EngineChoice::Auto | EngineChoice::Native => native(driver, context, options),
        EngineChoice::TensorRt | EngineChoice::OnnxRuntime => Err(String::new()),
    };
    let general = match options.engine {
        EngineChoice::Auto | EngineChoice::OnnxRuntime => onnxruntime(options).map_err(|error| error.to_string()),
        EngineChoice::TensorRt | EngineChoice::Native => Err(String::new()),
    };
    let why = |reasons: &[String]| reasons.join("; ");
    match (native, general) {
        (Ok(native), Ok(general)) => return Ok((Box::new(Layered::new(native, general)), why(&reasons))),
        (Ok(native), Err(missing)) => {
            if !missing.is_empty() {
                tracing::debug!("networks that our own engine does not know cannot be loaded: {missing}");
            }
            return Ok((Box::new(native), why(&reasons)));
        }
        (Err(missing), Ok(general)) => {
            reasons.extend(Some(missing).filter(|missing| !missing.is_empty()));
            return Ok((Box::new(general), why(&reasons)));
        }
        (Err(native), Err(general)) => {
            reasons.extend([native, general].into_iter().filter(|reason| !reason.is_empty()));
        }
    }
    let gpu = context.gpu();
    Err(CudaUnavailable::Engines { gpu: gpu.ordinal, name: gpu.name.clone(), reasons: reasons.join("; ") })
}

#[cfg(not(any(feature = "tensorrt", feature = "tensorrt-rtx")))]
fn tensorrt(_context: &Arc<Context>, _options: &CudaOptions) -> Result<Box<dyn GpuEngine>, String> {
    Err("TensorRT is not in this build (features tensorrt, tensorrt-rtx)".to_owned())
}

#[cfg(any(feature = "tensorrt", feature = "tensorrt-rtx"))]
fn tensorrt(context: &Arc<Context>, options: &CudaOptions) -> Result<Box<dyn GpuEngine>, String> {
    use super::tensorrt::{FLAVOUR, Library, TensorRtEngine, knows};
    let gpu = context.gpu();
    // Asked for by name it is tried all the same.
    if !knows(gpu.sm) && options.engine == EngineChoice::Auto {
        return Err(not_supported(FLAVOUR, gpu.sm));
    }
    let library = Library::load(options.tensorrt.as_deref()).map_err(|error| error.to_string())?;
    let plans = library.plans(options).ok_or("there is no cache folder for TensorRT's plans: set HOME, or `plans`")?;
    Ok(Box::new(TensorRtEngine::new(library, gpu.clone(), plans)))
}

/// `scripts/gpu-check.sh` looks for it.
#[cfg(any(test, feature = "tensorrt", feature = "tensorrt-rtx"))]
fn not_supported(flavour: &str, sm: u32) -> String {
    format!("{flavour} is not supported on sm_{sm}; gpu_engine = \"tensorrt\" tries it all the same")
}

fn native(driver: &Driver, context: &Arc<Context>, options: &CudaOptions) -> Result<NativeEngine, String> {
    if options.precision == Precision::Fp32 {
        return Err("our own engine computes in half precision".to_owned());
    }
    NativeEngine::open(driver, context).map_err(|error| error.to_string())
}

fn onnxruntime(options: &CudaOptions) -> Result<OnnxEngine, BackendError> {
    let runtime = OnnxRuntime::load(options.onnxruntime.as_deref())?;
    runtime.check_cuda()?;
    Ok(OnnxEngine::new(runtime, options.precision))
}

/// nvJPEG for the current context, where `choice` may want it and it is there.
///
/// # Errors
/// [`CudaUnavailable::NvJpeg`] when it was asked for by name.
pub(super) fn nvjpeg(choice: JpegChoice, driver: u32) -> Result<Option<Arc<NvJpeg>>, CudaUnavailable> {
    if choice == JpegChoice::Splice {
        return Ok(None);
    }
    match Library::load(driver, None).and_then(NvJpeg::new) {
        Ok(nvjpeg) => Ok(Some(Arc::new(nvjpeg))),
        Err(error) if choice == JpegChoice::NvJpeg => Err(error.into()),
        Err(error) => {
            tracing::debug!("frames that cannot be spliced are encoded on the CPU: {error}");
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gpu_check_finds_what_is_said_of_a_gpu_that_tensorrt_does_not_support() {
        let script = include_str!("../../../scripts/gpu-check.sh");
        let (_, rest) = script.split_once("doctor | grep -q \"").unwrap();
        let (words, _) = rest.split_once('"').unwrap();
        assert!(not_supported("TensorRT-RTX", 90).contains(words), "{words}");
    }
}
