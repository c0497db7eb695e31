//! The loaded library: one per process, whoever asks first.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ort::environment::Environment;
use ort::ep::CUDA;
use ort::logging::LogLevel;
use ort::session::Session;

use super::network::one_line;
use super::{OnnxError, allocator, locate};

/// What was loaded, for `doctor` and the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeInfo {
    /// The shared library's file.
    pub path: PathBuf,
    /// ONNX Runtime's own build line: branch, commit, build type.
    pub build: String,
}

/// ONNX Runtime, ready to load networks. Cheap to clone.
#[derive(Clone)]
pub struct OnnxRuntime {
    pub(super) environment: Environment,
    info: Arc<RuntimeInfo>,
}

/// The library that holds the CUDA provider, in the folder of ONNX Runtime's own.
const CUDA_PROVIDER: &str = "libonnxruntime_providers_cuda.so";

/// ONNX Runtime allows one environment per process; the mutex also keeps two threads from both loading.
static LOADED: Mutex<Option<OnnxRuntime>> = Mutex::new(None);

impl OnnxRuntime {
    /// Loads the library that [`locate()`] finds, or returns the one this process already loaded.
    ///
    /// # Errors
    /// Those of [`locate()`], and [`OnnxError::Unusable`] when the file is no ONNX Runtime or too old.
    pub fn load(explicit: Option<&Path>) -> Result<Self, OnnxError> {
        let mut loaded = LOADED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(runtime) = loaded.as_ref() {
            return Ok(runtime.clone());
        }
        let path = locate(explicit)?;
        let unusable = |reason: String| OnnxError::Unusable { path: path.clone(), reason };
        let environment = ort::init_from(&path)
            .map_err(|error| unusable(error.to_string()))?
            .with_name("lipsyncd")
            .with_telemetry(false)
            .with_logger(Arc::new(|level, category, _id, _location, message| forward(level, category, message)))
            .build()
            .and_then(|environment| allocator::register(&environment).map(|()| environment))
            .map_err(|error| unusable(error.to_string()))?;
        let runtime =
            Self { environment, info: Arc::new(RuntimeInfo { path: path.clone(), build: ort::info().to_owned() }) };
        *loaded = Some(runtime.clone());
        Ok(runtime)
    }

    /// Whether it can run networks on a GPU: loads its CUDA provider and all that needs.
    ///
    /// # Errors
    /// [`OnnxError::NoCuda`] with the loader's own words.
    pub fn check_cuda(&self) -> Result<(), OnnxError> {
        let provider = self.info.path.with_file_name(CUDA_PROVIDER);
        if !provider.exists() {
            let reason = format!("there is no {CUDA_PROVIDER} beside it");
            return Err(OnnxError::NoCuda { path: self.info.path.clone(), reason });
        }
        let load = || {
            let builder = Session::builder(&self.environment)?;
            builder.with_execution_providers([CUDA::default().build().error_on_failure()]).map_err(ort::Error::from)
        };
        load().map(drop).map_err(|error: ort::Error| OnnxError::NoCuda { path: provider, reason: one_line(&error) })
    }

    /// Where the library lies and what it says of its build.
    #[must_use]
    pub fn info(&self) -> &RuntimeInfo {
        &self.info
    }
}

/// ONNX Runtime calls information what we call debugging: hundreds of lines per network.
fn forward(level: LogLevel, category: &str, message: &str) {
    match level {
        LogLevel::Verbose => tracing::trace!(target: "onnxruntime", category, "{message}"),
        LogLevel::Info => tracing::debug!(target: "onnxruntime", category, "{message}"),
        LogLevel::Warning => tracing::warn!(target: "onnxruntime", category, "{message}"),
        LogLevel::Error | LogLevel::Fatal => tracing::error!(target: "onnxruntime", category, "{message}"),
    }
}
