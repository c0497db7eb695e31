//! TensorRT as an engine: plans read or built when a network is loaded, contexts of them in the lanes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use trtx::ExecutionContext;
use trtx::trtx_sys::nvinfer1::Dims64;

use super::build::one_line;
use super::loaded::{Loaded, Owned, explain};
use super::{FLAVOUR, Library, Order, OrderTarget, order};
use crate::backend::BackendError;
use crate::backend::cuda::engine::{BUCKETS, Buffers, GpuEngine, GpuModel, GpuNetwork, NetworkFile, Port, Ports};
use crate::backend::cuda::plan::{PlanError, PlanFile, Plans, read_plan};
use crate::backend::cuda::scratch::Scratch;
use crate::cuda::{DeviceBuf, Driver, Gpu, Stream};

/// How long a plan may take to build while an avatar is loaded.
const LONGEST_BUILD: Duration = Duration::from_secs(1800);

/// TensorRT on one GPU.
pub struct TensorRtEngine {
    library: Library,
    gpu: Gpu,
    plans: Plans,
}

/// The plans that a network is looked up in, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// The one made on this GPU, which is built where neither is there.
    pub own: PlanFile,
    /// The one made ahead of time for its SM.
    pub ahead: PlanFile,
    /// Whether the network takes one item at a time.
    pub one_by_one: bool,
}

/// What a plan for `gpu` on this machine is made for: name, SM and driver.
#[must_use]
pub fn target_of(gpu: &Gpu) -> String {
    format!("{}, sm_{}, {}", gpu.name, gpu.sm, driver_name())
}

/// The kernel module's release or, where that is hidden, the CUDA of the driver's library, which few releases share.
fn driver_name() -> String {
    let module = std::fs::read_to_string("/proc/driver/nvidia/version").unwrap_or_default();
    let words = module.lines().next().unwrap_or_default().split_whitespace().collect::<Vec<_>>();
    match Driver::load() {
        Ok(driver) if words.is_empty() => format!("CUDA {}", driver.version()),
        _ => words.join(" "),
    }
}

/// What a plan is made for ahead of time, for every GPU of one SM.
#[must_use]
pub fn target_of_sm(sm: u32) -> String {
    format!("sm_{sm}")
}

impl TensorRtEngine {
    /// The engine for `gpu`, with its plans.
    #[must_use]
    pub fn new(library: Library, gpu: Gpu, plans: Plans) -> Self {
        Self { library, gpu, plans }
    }

    /// Where the plan of `network` is looked for when it is loaded.
    ///
    /// # Errors
    /// [`BackendError::Prepare`].
    pub fn lookup(&self, network: NetworkFile<'_>) -> Result<Lookup, BackendError> {
        // As the process that builds the plan will: for the plan's key, and to know whether it takes more than one item.
        let wanted = self.plans.wanted(network);
        let wanted = wanted.map_err(|source| BackendError::Prepare { path: network.path.to_owned(), source })?;
        Ok(Lookup {
            // What was made and timed on the GPU itself comes first.
            own: wanted.for_target(target_of(&self.gpu)),
            ahead: wanted.for_target(target_of_sm(self.gpu.sm)),
            one_by_one: wanted.one_by_one,
        })
    }

    /// The engine of a plan of `network`: of one that is kept, or of a new one.
    fn engine(&self, network: NetworkFile<'_>, Lookup { own, ahead, .. }: &Lookup) -> Result<Loaded, BackendError> {
        for PlanFile { key, path } in [own, ahead] {
            let why = match read_plan(path, key) {
                Ok(plan) => match deserialize(path, &plan) {
                    Ok(engine) => return Ok(engine),
                    Err(full) if full.is_device_full() => return Err(full),
                    Err(error) => error.to_string(),
                },
                Err(PlanError::Missing) => continue,
                Err(error @ PlanError::Io(_)) => return Err(refused(path, &error)),
                Err(error) => error.to_string(),
            };
            tracing::warn!(plan = %path.display(), "{why}; building it again");
        }
        let PlanFile { key, path } = own;
        tracing::info!(network = %network.path.display(), plan = %path.display(), "building a {FLAVOUR} plan; this takes a while");
        let made = order(&Order {
            network: network.path,
            content: network.content,
            plan: path,
            key,
            target: OrderTarget::Gpu(self.gpu.ordinal),
            tensorrt: &self.library.folder,
            timeout: LONGEST_BUILD,
        });
        let made = made.map_err(|error| refused(network.path, &error))?;
        tracing::info!(network = %network.path.display(), "{made}");
        let plan = read_plan(path, key).map_err(|error| refused(path, &error))?;
        deserialize(path, &plan)
    }
}

/// What TensorRT makes of a plan, the content of the file at `path`.
fn deserialize(path: &Path, plan: &[u8]) -> Result<Loaded, BackendError> {
    Loaded::deserialize(plan).map_err(|said| refused(path, &said))
}

fn refused(path: &Path, reason: &dyn std::fmt::Display) -> BackendError {
    BackendError::Engine { path: path.to_owned(), reason: one_line(reason) }
}

impl GpuEngine for TensorRtEngine {
    fn name(&self) -> String {
        self.library.name()
    }

    fn load(&self, network: NetworkFile<'_>) -> Result<Arc<dyn GpuModel>, BackendError> {
        let lookup = self.lookup(network)?;
        let engine = self.engine(network, &lookup)?;
        Ok(Arc::new(TensorRtModel {
            engine: Arc::new(engine),
            path: network.path.to_owned(),
            ports: network.ports.clone(),
            one_by_one: lookup.one_by_one,
            max_batch: lookup.own.key.options.batch.max as usize,
        }))
    }
}

struct TensorRtModel {
    engine: Arc<Loaded>,
    path: PathBuf,
    ports: Ports,
    one_by_one: bool,
    /// The largest batch of the plan.
    max_batch: usize,
}

impl GpuModel for TensorRtModel {
    unsafe fn bind(
        &self,
        stream: &Arc<Stream>,
        buffers: &Buffers,
        scratch: &mut Scratch,
    ) -> Result<Box<dyn GpuNetwork>, BackendError> {
        // The largest first, whose memory does for the others.
        let shapes: Vec<_> = if self.one_by_one {
            (0..buffers.max_batch).map(|first| (1, first)).collect()
        } else {
            let most = self.max_batch.min(buffers.max_batch);
            BUCKETS.into_iter().rev().filter(|&batch| batch <= most).map(|batch| (batch, 0)).collect()
        };
        // SAFETY: promised by the caller.
        let contexts = shapes.into_iter().map(|shape| unsafe { self.shaped(shape, stream, buffers, scratch) });
        Ok(Box::new(TensorRtNetwork {
            contexts: contexts.collect::<Result<_, _>>()?,
            path: self.path.clone(),
            one_by_one: self.one_by_one,
            stream: Arc::clone(stream),
            _engine: Arc::clone(&self.engine),
        }))
    }
}

impl TensorRtModel {
    fn refused(&self, error: &trtx::Error) -> BackendError {
        refused(&self.path, &explain(error))
    }

    /// A context for `batch` items from `first` on.
    ///
    /// # Safety
    /// As [`GpuModel::bind`].
    unsafe fn shaped(
        &self,
        (batch, first): (usize, usize),
        stream: &Stream,
        buffers: &Buffers,
        scratch: &mut Scratch,
    ) -> Result<Shaped, BackendError> {
        let _turn = self.engine.turn();
        let mut context = self.engine.context().map_err(|error| self.refused(&error))?;
        // SAFETY: promised by the caller.
        let set = unsafe { self.set(&mut context, (batch, first), buffers) };
        set.map_err(|error| self.refused(&error))?;
        let bytes = context.update_device_memory_size_for_shapes();
        let slab = scratch.take(bytes)?;
        let memory = std::ptr::with_exposed_provenance_mut(slab.ptr().0 as usize);
        // SAFETY: the slab has so many bytes at least, goes after the context, and networks of one scratch run one after the other.
        unsafe { context.set_device_memory_v2(memory, i64::try_from(slab.bytes()).unwrap_or(i64::MAX)) };
        let mut shaped = Shaped { batch, first, context: Owned(context), _slab: slab };
        if cfg!(not(feature = "tensorrt")) {
            // SAFETY: promised by the caller.
            unsafe { self.compile(&mut shaped, stream) }?;
        }
        Ok(shaped)
    }

    /// Has TensorRT-RTX compile the kernels for the shape, which it does when they are first run and may take seconds: now, and not while
    /// somebody waits for a frame.
    ///
    /// # Safety
    /// As [`GpuModel::bind`].
    unsafe fn compile(&self, shaped: &mut Shaped, stream: &Stream) -> Result<(), BackendError> {
        // SAFETY: the stream is alive, and the caller promises the buffers, of which whatever is in them will do.
        let enqueued = unsafe { shaped.context.0.enqueue_v3(stream.raw().cast()) };
        enqueued.map_err(|error| self.refused(&error))?;
        stream.synchronize()?;
        self.engine.keep_compiled();
        Ok(())
    }

    /// Sets shapes and addresses.
    ///
    /// # Safety
    /// As [`GpuModel::bind`].
    unsafe fn set(
        &self,
        context: &mut ExecutionContext<'static>,
        (batch, first): (usize, usize),
        buffers: &Buffers,
    ) -> Result<(), trtx::Error> {
        let dims = |port: &Port| {
            let item = port.item.iter().map(|&dim| dim as i64);
            std::iter::once(batch as i64).chain(item).collect::<Vec<_>>()
        };
        for port in &self.ports.inputs {
            context.set_input_shape(&port.name, &Dims64::from_slice(&dims(port)))?;
        }
        let inputs = self.ports.inputs.iter().zip(&buffers.inputs);
        for (port, at) in inputs.chain(self.ports.outputs.iter().zip(&buffers.outputs)) {
            let address = at.offset(first * port.bytes()).0;
            let pointer = std::ptr::with_exposed_provenance_mut(address as usize);
            // SAFETY: the caller promised buffers for every item, which outlive this.
            unsafe { context.set_tensor_address(&port.name, pointer) }?;
        }
        Ok(())
    }
}

/// A context whose shapes and addresses never change: a captured run is good only for as long as its context's do not (TensorRT
/// documentation, CUDA graphs).
struct Shaped {
    batch: usize,
    /// The first item.
    first: usize,
    context: Owned<ExecutionContext<'static>>,
    _slab: Arc<DeviceBuf>,
}

struct TensorRtNetwork {
    // Before the engine they are of.
    contexts: Vec<Shaped>,
    path: PathBuf,
    one_by_one: bool,
    stream: Arc<Stream>,
    _engine: Arc<Loaded>,
}

impl TensorRtNetwork {
    fn run(&mut self, batch: usize, first: usize) -> Result<(), BackendError> {
        let shaped = self.contexts.iter_mut().find(|shaped| (shaped.batch, shaped.first) == (batch, first));
        let Some(shaped) = shaped else {
            return Err(refused(&self.path, &format!("its plan is not for batches of {batch}")));
        };
        // SAFETY: the stream is alive, and the buffers are promised by `enqueue`'s caller.
        let enqueued = unsafe { shaped.context.0.enqueue_v3(self.stream.raw().cast()) };
        enqueued.map_err(|error| refused(&self.path, &explain(&error)))
    }
}

impl GpuNetwork for TensorRtNetwork {
    unsafe fn enqueue(&mut self, batch: usize) -> Result<(), BackendError> {
        let (runs, each) = if self.one_by_one { (0..batch, 1) } else { (0..1, batch) };
        runs.into_iter().try_for_each(|first| self.run(each, first))
    }
}
