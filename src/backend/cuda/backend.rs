//! The backend itself: a GPU opened, networks loaded, avatars shown, lanes opened.

use std::sync::{Arc, OnceLock};

use super::avatar::DeviceAvatar;
use super::choice::{CudaOptions, CudaUnavailable, JpegChoice, choose, nvjpeg};
use super::encoders::Encoders;
use super::engine::{GpuEngine, NetworkFile};
use super::faults::Faults;
use super::gauge::Gauge;
use super::kernels::{LoadError, Target};
use super::lane::CudaLane;
use super::launch::Kernels;
use super::plan::Precision;
use super::ports::{encoder_ports, generator_element, generator_ports};
use super::shared::{Generator, Shared, memory, none_free};
use crate::avatar::{Bundle, LoadedAvatar};
use crate::backend::budget::Budget;
use crate::backend::table::Table;
use crate::backend::{Backend, BackendError, BackendInfo, DeviceMemory, Lane, Models, read_network};
use crate::batch::health::Health;
use crate::batch::slot::SlotShape;
use crate::cuda::{Context, Driver, Gpu, Priority, Stream};

/// Memory that is left to networks and lanes when nothing is said of how much avatars may take.
const RESERVE_BYTES: u64 = 2 << 30;

/// Threads that splice strips: half of the cores, since the other half has sound, sessions and sockets to serve. One core splices
/// some ten thousand strips a second.
fn encoder_threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    (cores / 2).clamp(1, 16)
}

/// One GPU.
pub struct CudaBackend {
    shared: Arc<Shared>,
    engine: Box<dyn GpuEngine>,
    /// Why that engine and not another, in words.
    why: String,
    precision: Precision,
    memory: Gauge,
}

impl CudaBackend {
    /// Opens the GPU and chooses what runs its networks.
    ///
    /// # Errors
    /// [`BackendError::NoCuda`] saying what is missing and how to get it.
    pub fn open(options: &CudaOptions) -> Result<Self, BackendError> {
        let unavailable = |error: CudaUnavailable| BackendError::NoCuda(Box::new(error));
        let driver = Driver::load().map_err(|error| unavailable(error.into()))?;
        let at_gpu = |source| unavailable(CudaUnavailable::Gpu { gpu: options.gpu, source });
        let context = Context::open(&driver, options.gpu).map_err(at_gpu)?;
        let target = Target { sm: context.gpu().sm, driver: driver.version().number() };
        let kernels = Kernels::load(&context, target).map_err(|error| match error {
            LoadError::Image(error) => unavailable(error.into()),
            LoadError::Cuda(error) => at_gpu(error),
        })?;
        let (engine, why) = choose(&driver, &context, options).map_err(unavailable)?;
        if !why.is_empty() {
            tracing::info!("GPU {}: {}, since {why}", options.gpu, engine.name());
        }
        let (free_bytes, total_bytes) = context.memory().map_err(at_gpu)?;
        let budget = Budget::new(options.max_device_bytes.unwrap_or(free_bytes.saturating_sub(RESERVE_BYTES)));
        let shared = Shared {
            table: Table::new(),
            kernels,
            nvjpeg: nvjpeg(options.jpeg, target.driver).map_err(unavailable)?,
            jpeg: options.jpeg,
            encoders: Encoders::start(encoder_threads())?,
            loader: Arc::new(Stream::new(&context, Priority::Normal).map_err(at_gpu)?),
            faults: Faults::watch(&context)?,
            budget,
            context,
        };
        // The gauge's thread is not waited for: owning more, it could take that down when the process, and the driver in it, have ended.
        let (context, faults) = (Arc::clone(&shared.context), Arc::clone(&shared.faults));
        let memory = Gauge::start(DeviceMemory { free_bytes, total_bytes }, move || memory(&context, &faults))?;
        Ok(Self { shared: Arc::new(shared), engine, why, precision: options.precision, memory })
    }

    /// The GPU.
    #[must_use]
    pub fn gpu(&self) -> &Gpu {
        self.shared.context.gpu()
    }

    /// Bytes of avatars' pictures on it now.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        self.shared.budget.used()
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    fn load_generator(&self, bundle: &Bundle) -> Result<Generator, BackendError> {
        let network = &bundle.generator;
        let ports = generator_ports(bundle, self.precision);
        let content = read_network(network)?;
        let file = NetworkFile { path: &network.path, content: &content, ports: &ports };
        Ok(Generator {
            network: self.engine.load(file)?,
            size_px: bundle.manifest.generator.size_px as usize,
            context_rows: bundle.manifest.audio_encoder.context,
            element: generator_element(self.precision),
            avatar: OnceLock::new(),
        })
    }

    fn load_networks(&self, bundle: &Bundle) -> Result<Models, BackendError> {
        self.shared.context.bind()?;
        self.shared.faults.make_room(&self.shared.loader);
        let generator = self.load_generator(bundle)?;
        let (path, ports) = (&bundle.audio_encoder.path, encoder_ports(bundle));
        let encoder = read_network(&bundle.audio_encoder)?;
        let load = |content: &[u8]| self.engine.load(NetworkFile { path, content, ports: &ports });
        self.shared.table.insert(generator, (&encoder, bundle.manifest.audio.mels), load)
    }

    fn upload(&self, avatar: &LoadedAvatar) -> Result<(), BackendError> {
        let generator = self.shared.table.find_generator(avatar.models().generator).ok_or(BackendError::Unloaded)?;
        let Shared { context, loader, budget, jpeg, nvjpeg, .. } = &*self.shared;
        context.bind()?;
        let whole = nvjpeg.is_some() && (*jpeg == JpegChoice::NvJpeg || avatar.templates().is_none());
        let shown = DeviceAvatar::upload(loader, budget, avatar, whole)?;
        // Shown once: each load has a generator of its own.
        let _ = generator.avatar.set(Arc::new(shown));
        Ok(())
    }

    /// What fails beside the lanes may be the first sign of a GPU that is gone: an idle one has no other.
    fn judged<T>(&self, result: Result<T, BackendError>) -> Result<T, BackendError> {
        result.map_err(|error| self.shared.faults.judge(error, &self.shared.loader))
    }
}

impl Backend for CudaBackend {
    fn info(&self) -> BackendInfo {
        let gpu = self.gpu();
        let engine = format!("{} on GPU {}, {}", self.engine.name(), gpu.ordinal, gpu.name);
        BackendInfo { name: "cuda", engine, gpu: Some(gpu.ordinal) }
    }

    fn why_not_another(&self) -> &str {
        &self.why
    }

    fn memory(&self) -> Option<DeviceMemory> {
        // Nothing is to be placed on a GPU that is gone.
        if self.shared.faults.is_lost() { Some(none_free(&self.shared.context)) } else { self.memory.last() }
    }

    fn look(&self) {
        self.memory.look();
    }

    fn load(&self, bundle: &Bundle) -> Result<Models, BackendError> {
        self.judged(self.load_networks(bundle))
    }

    fn unload(&self, models: Models) {
        self.shared.table.remove(models);
    }

    fn show(&self, avatar: &LoadedAvatar) -> Result<(), BackendError> {
        self.judged(self.upload(avatar))
    }

    fn health(&self) -> &Arc<Health> {
        self.shared.faults.health()
    }

    fn open_lane(&self, shape: SlotShape) -> Result<Box<dyn Lane>, BackendError> {
        let lane = self.shared.context.bind().map_err(BackendError::from);
        let lane = self.judged(lane.and_then(|()| CudaLane::new(Arc::clone(&self.shared), shape)))?;
        Ok(Box::new(lane))
    }
}
