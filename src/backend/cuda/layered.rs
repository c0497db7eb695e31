//! Our own engine for the networks it knows, ONNX Runtime's CUDA provider for all others.

use std::sync::Arc;

use super::engine::{GpuEngine, GpuModel, NetworkFile};
use super::native::{NativeEngine, NativeError};
use super::onnx::OnnxEngine;
use crate::backend::BackendError;

/// Two engines on one GPU.
pub(super) struct Layered {
    native: NativeEngine,
    general: OnnxEngine,
}

impl Layered {
    pub(super) fn new(native: NativeEngine, general: OnnxEngine) -> Self {
        Self { native, general }
    }
}

impl GpuEngine for Layered {
    fn name(&self) -> String {
        format!("{}, or {}", self.native.name(), self.general.name())
    }

    fn load(&self, network: NetworkFile<'_>) -> Result<Arc<dyn GpuModel>, BackendError> {
        match self.native.load(network) {
            Err(BackendError::Native { path, source: NativeError::Compile(reason) }) => {
                tracing::info!(network = %path.display(), "runs on {}: {reason}", self.general.name());
                self.general.load(network)
            }
            loaded => loaded,
        }
    }
}
