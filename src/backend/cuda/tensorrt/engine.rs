//! TensorRT as an engine: plans read or built when a network is loaded, contexts of them in the lanes.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use trtx::trtx_sys::nvinfer1::Dims64;
use trtx::{CudaEngine, ExecutionContext, LogHandler, Logger, Runtime, Severity};

use super::build::one_line;
use super::{FLAVOUR, Library, Order, OrderTarget, order};
use crate::backend::BackendError;
use crate::backend::cuda::engine::{Buffers, GpuEngine, GpuModel, GpuNetwork, NetworkFile, Port, Ports, bucket_of};
use crate::backend::cuda::plan::{BatchRange, PlanEdges, PlanError, PlanKey, PlanOptions, Precision, read_plan};
use crate::backend::cuda::prepare::prepare;
use crate::backend::cuda::scratch::Scratch;
use crate::cuda::{Gpu, Stream};
use crate::onnxruntime::Element;

/// Scratch memory that tactics may use, MiB.
const WORKSPACE_MIB: u32 = 1024;

/// How long a plan may take to build while an avatar is loaded.
const LONGEST_BUILD: Duration = Duration::from_secs(1800);

/// TensorRT on one GPU.
pub struct TensorRtEngine {
    library: Library,
    gpu: Gpu,
    precision: Precision,
    max_batch: u32,
    plans: PathBuf,
}

/// What a plan for `gpu` on this machine is made for: name, SM and driver.
#[must_use]
pub fn target_of(gpu: &Gpu) -> String {
    let driver = std::fs::read_to_string("/proc/driver/nvidia/version").unwrap_or_default();
    let driver = driver.lines().next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{}, sm_{}, {driver}", gpu.name, gpu.sm)
}

impl TensorRtEngine {
    /// The engine for `gpu`, for batches of up to `max_batch`, with plans kept in `plans`.
    #[must_use]
    pub fn new(library: Library, gpu: Gpu, (precision, max_batch): (Precision, usize), plans: PathBuf) -> Self {
        Self { library, gpu, precision, max_batch: bucket_of(max_batch) as u32, plans }
    }

    /// The plan of `network`, which was prepared as `model`: the one that is kept, for this GPU or ahead of time for its SM, or a new one.
    fn plan(&self, network: NetworkFile<'_>, model: &[u8], options: PlanOptions) -> Result<Vec<u8>, BackendError> {
        let key = |target| PlanKey::new(model, self.library.name(), target, options);
        let own = key(target_of(&self.gpu));
        let path = own.path(&self.plans, network.path);
        for key in [key(format!("sm_{}", self.gpu.sm)), own.clone()] {
            let path = key.path(&self.plans, network.path);
            match read_plan(&path, &key) {
                Ok(plan) => return Ok(plan),
                Err(PlanError::Missing) => {}
                Err(error @ PlanError::Io(_)) => return Err(refused(&path, &error)),
                Err(error) => tracing::warn!(plan = %path.display(), "{error}; building it again"),
            }
        }
        tracing::info!(network = %network.path.display(), plan = %path.display(), "building a {FLAVOUR} plan; this takes a while");
        let made = order(&Order {
            network: network.path,
            plan: &path,
            key: &own,
            target: OrderTarget::Gpu(self.gpu.ordinal),
            tensorrt: &self.library.folder,
            timeout: LONGEST_BUILD,
        });
        let made = made.map_err(|error| refused(network.path, &error))?;
        tracing::info!(network = %network.path.display(), "{made}");
        read_plan(&path, &own).map_err(|error| refused(&path, &error))
    }
}

fn refused(path: &std::path::Path, reason: &dyn std::fmt::Display) -> BackendError {
    BackendError::Engine { path: path.to_owned(), reason: one_line(reason) }
}

impl GpuEngine for TensorRtEngine {
    fn name(&self) -> String {
        self.library.name()
    }

    fn load(&self, network: NetworkFile<'_>) -> Result<Arc<dyn GpuModel>, BackendError> {
        let ports = || network.ports.inputs.iter().chain(&network.ports.outputs);
        let edges = if ports().any(|port| port.element == Element::F16) { PlanEdges::Half } else { PlanEdges::Single };
        // As the process that builds the plan will: for the plan's key, and to know whether it takes more than one item.
        let prepared = prepare(network.content, self.precision, edges.into())
            .map_err(|source| BackendError::Prepare { path: network.path.to_owned(), source })?;
        let one_by_one = prepared.one_by_one.is_some();
        let batch = if one_by_one { BatchRange::only(1) } else { BatchRange::up_to(self.max_batch) };
        let options = PlanOptions { precision: self.precision, edges, batch, workspace_mib: WORKSPACE_MIB };
        let plan = self.plan(network, &prepared.model, options)?;
        let engine = Loaded::deserialize(&plan).map_err(|error| refused(network.path, &error))?;
        Ok(Arc::new(TensorRtModel {
            engine: Arc::new(engine),
            path: network.path.to_owned(),
            ports: network.ports.clone(),
            one_by_one,
        }))
    }
}

/// Errors and warnings of the runtime go to the log.
struct Traced;

impl LogHandler for Traced {
    fn log(&self, severity: Severity, message: &str) {
        match severity {
            Severity::InternalError | Severity::Error => tracing::error!(target: "tensorrt", "{message}"),
            Severity::Warning => tracing::warn!(target: "tensorrt", "{message}"),
            _ => tracing::debug!(target: "tensorrt", "{message}"),
        }
    }
}

/// A deserialised plan. Its logger lives as long as the process, which is how long TensorRT may refer to it.
struct Loaded {
    // Before the runtime that made it.
    engine: Mutex<Owned<CudaEngine<'static>>>,
    _runtime: Runtime<'static>,
}

/// An object of TensorRT's that moves between threads.
struct Owned<T>(T);

// SAFETY: TensorRT ties no object to a thread; what it asks for is that one thread at a time uses it (TensorRT documentation, "thread
// safety"), which the mutex around the engine and `&mut` on the context see to.
unsafe impl<T> Send for Owned<T> {}

// SAFETY: the runtime is only kept, never used, after the engine was made.
unsafe impl Sync for Loaded {}

impl Loaded {
    fn deserialize(plan: &[u8]) -> Result<Self, trtx::Error> {
        // A few hundred bytes a network, and nothing to say when nobody refers to it any more.
        let logger: &'static Logger = Box::leak(Box::new(Logger::new(Traced)?));
        let mut runtime = Runtime::new(logger)?;
        let engine = runtime.deserialize_cuda_engine(plan)?;
        Ok(Self { engine: Mutex::new(Owned(engine)), _runtime: runtime })
    }

    fn context(&self) -> Result<ExecutionContext<'static>, trtx::Error> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner).0.create_execution_context()
    }
}

struct TensorRtModel {
    engine: Arc<Loaded>,
    path: PathBuf,
    ports: Ports,
    one_by_one: bool,
}

impl GpuModel for TensorRtModel {
    unsafe fn bind(
        &self,
        stream: &Arc<Stream>,
        buffers: &Buffers,
        _scratch: &mut Scratch,
    ) -> Result<Box<dyn GpuNetwork>, BackendError> {
        let context = self.engine.context().map_err(|error| refused(&self.path, &error))?;
        Ok(Box::new(TensorRtNetwork {
            context: Owned(context),
            path: self.path.clone(),
            ports: self.ports.clone(),
            buffers: buffers.clone(),
            one_by_one: self.one_by_one,
            shape: None,
            stream: Arc::clone(stream),
            _engine: Arc::clone(&self.engine),
        }))
    }
}

struct TensorRtNetwork {
    // Before the engine it is of.
    context: Owned<ExecutionContext<'static>>,
    path: PathBuf,
    ports: Ports,
    buffers: Buffers,
    one_by_one: bool,
    /// Batch and first item that the context is set to.
    shape: Option<(usize, usize)>,
    stream: Arc<Stream>,
    _engine: Arc<Loaded>,
}

impl TensorRtNetwork {
    /// Sets shapes and addresses for `batch` items from `first` on, where they are not.
    fn set(&mut self, batch: usize, first: usize) -> Result<(), trtx::Error> {
        if self.shape == Some((batch, first)) {
            return Ok(());
        }
        let dims = |port: &Port| {
            let item = port.item.iter().map(|&dim| dim as i64);
            std::iter::once(batch as i64).chain(item).collect::<Vec<_>>()
        };
        for port in &self.ports.inputs {
            self.context.0.set_input_shape(&port.name, &Dims64::from_slice(&dims(port)))?;
        }
        let inputs = self.ports.inputs.iter().zip(&self.buffers.inputs);
        for (port, at) in inputs.chain(self.ports.outputs.iter().zip(&self.buffers.outputs)) {
            let address = at.offset(first * port.bytes()).0;
            let pointer = std::ptr::with_exposed_provenance_mut(address as usize);
            // SAFETY: `bind`'s caller promised buffers for every item, which outlive this.
            unsafe { self.context.0.set_tensor_address(&port.name, pointer) }?;
        }
        self.shape = Some((batch, first));
        Ok(())
    }

    fn run(&mut self, batch: usize, first: usize) -> Result<(), trtx::Error> {
        self.set(batch, first)?;
        // SAFETY: the stream is alive, and the buffers are promised by `enqueue`'s caller.
        unsafe { self.context.0.enqueue_v3(self.stream.raw().cast()) }
    }
}

impl GpuNetwork for TensorRtNetwork {
    unsafe fn enqueue(&mut self, batch: usize) -> Result<(), BackendError> {
        let runs = if self.one_by_one { 0..batch } else { 0..1 };
        let each = if self.one_by_one { 1 } else { batch };
        for first in runs {
            self.run(each, first).map_err(|error| refused(&self.path, &error))?;
        }
        Ok(())
    }
}
