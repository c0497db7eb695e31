//! The keys about GPUs.

use std::path::PathBuf;

use super::error::ConfigError;
use super::values::{Form, Values};
use crate::backend::cuda::plan::Precision;
use crate::backend::cuda::{EngineChoice, JpegChoice};

/// Which GPUs to use, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuConfig {
    /// CUDA ordinals; none is every GPU that is visible.
    pub gpus: Vec<u32>,
    /// What runs the networks.
    pub engine: EngineChoice,
    /// What they compute in.
    pub precision: Precision,
    /// What makes their JPEGs.
    pub jpeg: JpegChoice,
    /// Most bytes of avatars' pictures on each GPU; none is all that is free but a reserve.
    pub max_device_bytes: Option<u64>,
    /// The folder of TensorRT's libraries; none is searched.
    pub tensorrt: Option<PathBuf>,
    /// Where TensorRT's plans are kept; none is the user's cache.
    pub plans: Option<PathBuf>,
}

impl GpuConfig {
    pub(super) fn from_values(values: &Values) -> Result<Self, ConfigError> {
        Ok(Self {
            jpeg: values.word("jpeg")?.unwrap_or_default(),
            gpus: values
                .numbers("gpus", Form::new("a list of GPU numbers such as [0, 1]", "GPU numbers such as 0,1"))?,
            engine: values.word("gpu_engine")?.unwrap_or_default(),
            precision: values.word("gpu_precision")?.unwrap_or(Precision::Fp16),
            max_device_bytes: values.number("max_device_bytes", 1..=i64::MAX as u64)?,
            tensorrt: values.path("tensorrt")?,
            plans: values.path("plans")?,
        })
    }
}
