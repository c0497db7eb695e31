//! The devices that a command works with: which backend, and how many batches it has in flight.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::CommandError;
use crate::backend::cuda::{CudaBackend, CudaOptions, CudaUnavailable, EngineChoice};
use crate::backend::{Backend, BackendError, CpuBackend};
use crate::batch::{EngineOptions, Limits};
use crate::config::{BackendChoice, Config, GpuConfig};
use crate::cuda::Driver;
use crate::machine::available_memory;
use crate::onnxruntime::locate;

/// Every device, and how its engine is started; at least one.
pub(super) type Devices = Vec<(Arc<dyn Backend>, EngineOptions)>;

/// Windows an encoder batch may hold on the CPU: enough to amortise a queue visit, few enough to keep frames flowing.
const CPU_WINDOWS: usize = 8;

/// Frames of a batch on a GPU.
const GPU_BATCH: usize = 32;

/// Windows of one: however few frames a batch may hold, sound is encoded many windows at a time.
const GPU_WINDOWS: usize = 32;

/// Batches in flight on a GPU. Each takes memory for what its network computes. Six gave 0.93 of three bare contexts on an H200, four 0.88 to 0.92,
/// eight no more.
const GPU_SLOTS: usize = 6;

/// Bytes that a daemon takes for pictures unless it is told otherwise.
const MOST_FOR_PICTURES: u64 = 1 << 30;

/// How batches are limited on a GPU, with up to `max_batch` frames where something is said of it.
fn gpu_limits(max_batch: Option<usize>) -> Limits {
    Limits { max_windows: GPU_WINDOWS, max_frames: max_batch.unwrap_or(GPU_BATCH), batching_pays: true }
}

/// The largest batch that networks on a GPU are loaded for, likewise: plans depend on it.
pub(super) fn largest_gpu_batch(max_batch: Option<usize>) -> usize {
    let limits = gpu_limits(max_batch);
    limits.max_frames.max(limits.max_windows)
}

/// All of them in one, each once: GPUs without kernels, say, have the same reason.
fn sentences(errors: &[BackendError]) -> String {
    let mut said: Vec<String> = errors.iter().map(ToString::to_string).collect();
    said.dedup();
    said.join("; ")
}

/// Bad input where the `folder` that was set for TensorRT is none.
pub(super) fn check_tensorrt(folder: &Path) -> Result<(), CommandError> {
    if folder.is_dir() {
        return Ok(());
    }
    let folder = folder.display();
    Err(CommandError::input(format!(
        "{folder} is not a folder: correct `tensorrt` (LIPSYNCD_TENSORRT, --tensorrt), which names the one with TensorRT's libraries"
    )))
}

pub(super) fn quarter_of_free_memory() -> u64 {
    available_memory().unwrap_or(0) / 4
}

/// What is wanted of devices.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub backend: BackendChoice,
    pub gpu: GpuConfig,
    pub onnxruntime: Option<PathBuf>,
    pub threads_per_slot: usize,
    pub picture_cache_bytes: u64,
    pub slots: Option<usize>,
    pub max_batch: Option<usize>,
}

impl Wanted {
    pub(super) fn by(config: &Config) -> Self {
        Self {
            backend: config.backend,
            gpu: config.gpu.clone(),
            onnxruntime: config.onnxruntime.clone(),
            threads_per_slot: config.threads_per_slot,
            picture_cache_bytes: config
                .picture_cache_bytes
                .unwrap_or_else(|| quarter_of_free_memory().min(MOST_FOR_PICTURES)),
            slots: config.slots,
            max_batch: config.max_batch,
        }
    }

    /// Opens the GPUs, or the CPU where none can be used and none was insisted on, which is said in one line.
    pub(super) fn open(&self) -> Result<Devices, CommandError> {
        if self.backend == BackendChoice::Cpu {
            return self.open_cpu();
        }
        if self.backend == BackendChoice::Cuda {
            self.check_paths()?;
        }
        match self.open_gpus() {
            Ok(devices) => Ok(devices),
            Err(refused) if self.backend == BackendChoice::Cuda => {
                Err(CommandError::failed(format!("backend = \"cuda\" was asked for: {}", sentences(&refused))))
            }
            Err(refused) => {
                tracing::info!("serving on the CPU: {}", sentences(&refused));
                self.open_cpu()
            }
        }
    }

    fn open_cpu(&self) -> Result<Devices, CommandError> {
        let backend = CpuBackend::new(self.onnxruntime.as_deref(), self.threads_per_slot);
        let backend = backend.map_err(CommandError::of_runtime)?.keep_pictures(self.picture_cache_bytes);
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        let slots = self.slots.unwrap_or(cores.max(2));
        tracing::info!("backend: {}, {slots} slots of {} thread(s)", backend.info(), self.threads_per_slot);
        let max_frames = self.max_batch.unwrap_or(1);
        let limits = Limits { max_windows: CPU_WINDOWS, max_frames, batching_pays: false };
        Ok(vec![(Arc::new(backend), EngineOptions { slots, limits })])
    }

    /// Bad input where an engine was insisted on and nothing is at the path that was set for it.
    pub(super) fn check_paths(&self) -> Result<(), CommandError> {
        match (self.gpu.engine, &self.onnxruntime, &self.gpu.tensorrt) {
            (EngineChoice::OnnxRuntime, Some(path), _) => locate(Some(path)).map(drop).map_err(CommandError::input),
            (EngineChoice::TensorRt, _, Some(folder)) => check_tensorrt(folder),
            _ => Ok(()),
        }
    }

    /// Of the GPUs that are named, or else of all, those that can be used, at least one. Else why not, GPU by GPU. Where they were insisted on by name it is
    /// all of them or none.
    fn open_gpus(&self) -> Result<Devices, Vec<BackendError>> {
        let driver = Driver::load().map_err(|error| vec![Box::new(CudaUnavailable::from(error)).into()])?;
        let all_or_none = self.backend == BackendChoice::Cuda && !self.gpu.gpus.is_empty();
        let (mut devices, mut refused) = (Vec::new(), Vec::new());
        for gpu in self.gpus(Some(&driver)) {
            match self.open_gpu(gpu) {
                Ok(device) => devices.push(device),
                Err(error) if all_or_none => return Err(vec![error]),
                Err(error) => refused.push((gpu, error)),
            }
        }
        if devices.is_empty() {
            return Err(refused.into_iter().map(|(_, error)| error).collect());
        }
        refused.iter().for_each(|(gpu, error)| tracing::warn!("GPU {gpu} is left out: {error}"));
        Ok(devices)
    }

    /// The GPUs that are to be opened, where any are.
    pub(super) fn gpus(&self, driver: Option<&Driver>) -> Vec<u32> {
        match driver {
            _ if self.backend == BackendChoice::Cpu => Vec::new(),
            _ if !self.gpu.gpus.is_empty() => self.gpu.gpus.clone(),
            driver => (0..driver.map_or(0, Driver::gpus)).collect(),
        }
    }

    fn open_gpu(&self, gpu: u32) -> Result<(Arc<dyn Backend>, EngineOptions), BackendError> {
        let backend = CudaBackend::open(&self.cuda(gpu))?;
        let options = self.gpu_engine();
        let (slots, batch) = (options.slots, options.limits.max_frames);
        tracing::info!("backend: {}, {slots} slots of up to {batch} frames", backend.info());
        Ok((Arc::new(backend), options))
    }

    /// How GPU `gpu` is opened.
    pub(super) fn cuda(&self, gpu: u32) -> CudaOptions {
        CudaOptions {
            gpu,
            engine: self.gpu.engine,
            precision: self.gpu.precision,
            max_batch: largest_gpu_batch(self.max_batch),
            jpeg: self.gpu.jpeg,
            max_device_bytes: self.gpu.max_device_bytes,
            onnxruntime: self.onnxruntime.clone(),
            tensorrt: self.gpu.tensorrt.clone(),
            plans: self.gpu.plans.clone(),
        }
    }

    /// How an engine on a GPU is started.
    pub(super) fn gpu_engine(&self) -> EngineOptions {
        EngineOptions { slots: self.slots.unwrap_or(GPU_SLOTS), limits: gpu_limits(self.max_batch) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_loaded_for_frames_and_for_windows() {
        let largest = [None, Some(1), Some(32), Some(33), Some(64)].map(largest_gpu_batch);
        assert_eq!(largest, [32, 32, 32, 33, 64]);
    }
}
