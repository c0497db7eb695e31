//! The options by which a command is told what devices to work with.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args as ClapArgs;

use super::CommandError;
use super::devices::{Wanted, quarter_of_free_memory};
use crate::backend::cuda::plan::Precision;
use crate::backend::cuda::{CudaBackend, EngineChoice, JpegChoice};
use crate::config::{BackendChoice, GpuConfig};

/// What is wanted of devices, as options of a command that works by itself.
#[derive(Debug, ClapArgs)]
pub(super) struct DeviceArgs {
    /// Where to draw: cpu, cuda, or auto for the best that is there
    #[arg(long, value_enum, default_value_t = BackendChoice::Cpu)]
    backend: BackendChoice,
    /// Threads that one slot's networks use on the CPU
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads_per_slot: u16,
    /// Most memory for what the generator makes of each picture before it hears anything, on the CPU [default: a quarter of what is free]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(..=1 << 30))]
    picture_cache_mib: Option<u64>,
    #[command(flatten)]
    gpu: GpuArgs,
}

/// Options of a command that works on one GPU.
#[derive(Debug, ClapArgs)]
pub(super) struct GpuArgs {
    /// The GPU's number
    #[arg(long, default_value_t = 0, value_name = "N")]
    gpu: u32,
    /// What runs the networks on a GPU
    #[arg(long, value_enum, default_value_t = EngineChoice::Auto)]
    gpu_engine: EngineChoice,
    /// What they compute in on a GPU
    #[arg(long, value_enum, default_value_t = Precision::Fp16)]
    gpu_precision: Precision,
    /// What makes JPEGs of the frames a GPU draws
    #[arg(long, value_enum, default_value_t = JpegChoice::Auto)]
    jpeg: JpegChoice,
    /// Batches in flight [default: 6 on a GPU; on the CPU one per core, at least 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    slots: Option<u16>,
    /// Most frames of a batch [default: 32 on a GPU; 1 on the CPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    max_batch: Option<u16>,
    /// The folder that holds TensorRT's libraries
    #[arg(long, env = "LIPSYNCD_TENSORRT", value_name = "DIR")]
    tensorrt: Option<PathBuf>,
    /// Where TensorRT's plans are kept [default: lipsyncd/plans in the user's cache folder]
    #[arg(long, env = "LIPSYNCD_PLANS", value_name = "DIR")]
    plans: Option<PathBuf>,
    /// ONNX Runtime's shared library
    #[arg(long, env = "LIPSYNCD_ONNXRUNTIME", value_name = "FILE")]
    onnxruntime: Option<PathBuf>,
}

impl DeviceArgs {
    pub(super) fn wanted(&self) -> Wanted {
        Wanted {
            backend: self.backend,
            threads_per_slot: self.threads_per_slot.into(),
            picture_cache_bytes: match self.picture_cache_mib {
                Some(mib) => mib << 20,
                None => quarter_of_free_memory(),
            },
            ..self.gpu.wanted()
        }
    }
}

impl GpuArgs {
    /// Opens the GPU that is named, as it is `wanted`.
    pub(super) fn open(&self, wanted: &Wanted) -> Result<Arc<CudaBackend>, CommandError> {
        wanted.check_paths()?;
        CudaBackend::open(&wanted.cuda(self.gpu)).map(Arc::new).map_err(CommandError::failed)
    }

    pub(super) fn wanted(&self) -> Wanted {
        Wanted {
            backend: BackendChoice::Cuda,
            gpu: GpuConfig {
                gpus: vec![self.gpu],
                engine: self.gpu_engine,
                precision: self.gpu_precision,
                jpeg: self.jpeg,
                max_device_bytes: None,
                tensorrt: self.tensorrt.clone(),
                plans: self.plans.clone(),
            },
            onnxruntime: self.onnxruntime.clone(),
            threads_per_slot: 1,
            picture_cache_bytes: 0,
            slots: self.slots.map(usize::from),
            max_batch: self.max_batch.map(usize::from),
        }
    }
}
