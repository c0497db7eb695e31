//! A compiled network on one GPU, and its contexts.

use std::sync::{Arc, OnceLock};

use super::NativeError;
use super::arena::Arena;
use super::branch::Branch;
use super::kernels::NativeKernels;
use super::lower::{Addresses, Choice, Lowering};
use super::pack::Weights;
use super::program::{Op, Program};
use super::tiles::usual;
use super::tune::Tuned;
use crate::backend::cuda::engine::BUCKETS;
use crate::cuda::{Context, CudaError, DeviceBuf, DevicePtr, Event, Priority, Stream, Timing};
use crate::onnxruntime::Element;

/// Columns of a picture from which on an inverted residual usually runs as one kernel.
const LEAST_WIDTH: usize = 40;

/// Values that the kernels can number in one buffer.
const MOST_VALUES: usize = i32::MAX as usize;

/// A network with its weights on the GPU.
#[derive(Debug)]
pub struct NativeModel {
    program: Program,
    /// Where each weight lies; the bytes themselves are on the GPU only.
    weights: Weights,
    uploaded: DeviceBuf,
    kernels: Arc<NativeKernels>,
    branch: Option<Branch>,
    tuned: OnceLock<Tuned>,
}

/// In which ways a context's operations will run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ways {
    /// As [`NativeNetwork::enqueue`] does: there is memory for nothing else.
    Chosen,
    /// In any.
    All,
}

/// A context: a model bound to buffers, with memory of its own for what lies between.
#[derive(Debug)]
pub struct NativeNetwork {
    model: Arc<NativeModel>,
    arena: Arena,
    addresses: Addresses,
    slab: Arc<DeviceBuf>,
    ways: Ways,
    beside: Option<Beside>,
    overlap: bool,
}

/// The stream of the operations beside the others, and what joins it to theirs.
#[derive(Debug)]
struct Beside {
    stream: Stream,
    begun: Event,
    done: Event,
}

impl NativeModel {
    /// Compiles the ONNX file `onnx` and uploads its weights. Its inputs and output will be of `element`.
    ///
    /// # Errors
    /// [`NativeError`]; with [`NativeError::Compile`] another engine may still run it.
    pub fn load(kernels: &Arc<NativeKernels>, onnx: &[u8], element: Element) -> Result<Arc<Self>, NativeError> {
        Ok(Self::new(kernels, Program::compile(onnx, element)?)?)
    }

    /// Uploads the weights of a compiled network.
    ///
    /// # Errors
    /// [`CudaError`].
    pub fn new(kernels: &Arc<NativeKernels>, program: Program) -> Result<Arc<Self>, CudaError> {
        let branch = Branch::find(&program);
        let mut weights = Weights::new(&program);
        let uploaded = DeviceBuf::from_slice(kernels.context(), &weights.bytes)?;
        weights.bytes = Vec::new();
        Ok(Arc::new(Self { program, weights, uploaded, kernels: Arc::clone(kernels), branch, tuned: OnceLock::new() }))
    }

    /// The network as it was compiled.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The kernels it runs.
    #[must_use]
    pub fn kernels(&self) -> &Arc<NativeKernels> {
        &self.kernels
    }

    pub(super) fn set_tuned(&self, tuned: Tuned) {
        // Two that load at once have measured the same.
        let _ = self.tuned.set(tuned);
    }

    /// How an operation runs over `batch` items: as was measured, or as usual.
    #[must_use]
    pub fn choice(&self, index: usize, batch: usize) -> Choice {
        let tuned = self.tuned.get().and_then(|tuned| tuned.choice(index, batch));
        tuned.unwrap_or_else(|| self.usual_choice(index, batch))
    }

    /// Whether kernels begin before the ones before them have ended: where that was measured to be faster.
    #[must_use]
    pub fn overlaps(&self) -> bool {
        self.tuned.get().is_some_and(|tuned| tuned.overlap)
    }

    /// How an operation runs where nothing was measured.
    #[must_use]
    pub fn usual_choice(&self, index: usize, batch: usize) -> Choice {
        let multiprocessors = self.kernels.context().gpu().multiprocessors as usize;
        self.program.ops[index].usual_choice(batch, multiprocessors, |choice| self.kernels.can(choice))
    }

    /// Whether an operation is run as several kernels at some batch up to `max_batch`.
    fn is_apart(&self, index: usize, max_batch: usize) -> bool {
        let mut batches = BUCKETS.into_iter().filter(|&batch| batch <= max_batch).chain([max_batch]);
        batches.any(|batch| matches!(self.choice(index, batch), Choice::Apart(..)))
    }

    /// A context that reads `inputs`, in the program's order, and writes `output`, each of `max_batch` items, with memory of its own.
    ///
    /// # Safety
    /// The buffers must be as large as the program's edges say, aligned to 16 bytes, and outlive the context's use.
    ///
    /// # Errors
    /// [`NativeError::Cuda`] when the GPU has no room for it, [`NativeError::TooLarge`].
    pub unsafe fn bind(
        self: &Arc<Self>,
        inputs: &[DevicePtr],
        output: DevicePtr,
        max_batch: usize,
        ways: Ways,
    ) -> Result<NativeNetwork, NativeError> {
        self.check_size(max_batch)?;
        let slab = Arc::new(DeviceBuf::new(self.kernels.context(), self.slab_bytes(max_batch, ways))?);
        // SAFETY: promised by the caller; nobody else has the slab.
        unsafe { self.bind_in((inputs, output), max_batch, ways, slab) }
    }

    /// The same with what lies between its layers in `slab`, of [`Self::slab_bytes`] at least.
    ///
    /// # Safety
    /// As [`Self::bind`], and whatever else is in `slab` must be used at other times.
    ///
    /// # Errors
    /// [`NativeError::TooLarge`], [`NativeError::Cuda`].
    pub unsafe fn bind_in(
        self: &Arc<Self>,
        (inputs, output): (&[DevicePtr], DevicePtr),
        max_batch: usize,
        ways: Ways,
        slab: Arc<DeviceBuf>,
    ) -> Result<NativeNetwork, NativeError> {
        self.check_size(max_batch)?;
        let addresses = Addresses {
            inputs: inputs.iter().map(|input| input.0).collect(),
            output: output.0,
            weights: self.uploaded.ptr().0,
            arena: slab.ptr().0,
            max_batch,
        };
        let arena = self.arena(max_batch, ways);
        let beside = self.branch.as_ref().map(|_| Beside::new(self.kernels.context())).transpose()?;
        Ok(NativeNetwork { model: Arc::clone(self), arena, addresses, slab, ways, beside, overlap: self.overlaps() })
    }

    /// Bytes of what lies between the layers of `max_batch` items.
    #[must_use]
    pub fn slab_bytes(&self, max_batch: usize, ways: Ways) -> usize {
        self.arena(max_batch, ways).bytes * max_batch
    }

    fn arena(&self, max_batch: usize, ways: Ways) -> Arena {
        let is_apart = |index| ways == Ways::All || self.is_apart(index, max_batch);
        Arena::new(&self.program, self.branch.as_ref(), is_apart)
    }

    fn check_size(&self, max_batch: usize) -> Result<(), NativeError> {
        let edges = self.program.inputs.iter().chain([&self.program.output]).map(super::program::Edge::len);
        let largest = self.program.buffers.iter().copied().chain(edges).max().unwrap_or(0);
        match largest.checked_mul(max_batch) {
            Some(0..=MOST_VALUES) => Ok(()),
            _ => Err(NativeError::TooLarge { values: largest, batch: max_batch }),
        }
    }
}

impl Beside {
    fn new(context: &Arc<Context>) -> Result<Self, CudaError> {
        let stream = Stream::new(context, Priority::Normal)?;
        Ok(Self { stream, begun: Event::new(context, Timing::Off)?, done: Event::new(context, Timing::Off)? })
    }
}

impl NativeNetwork {
    /// Enqueues a run over the first `batch` items: launches only, so that it may be captured.
    ///
    /// # Safety
    /// Until `stream` has passed the run, the bound buffers must be used by nothing else, and `self` must not run on another stream.
    ///
    /// # Errors
    /// [`CudaError`].
    pub unsafe fn enqueue(&mut self, batch: usize, stream: &Stream) -> Result<(), CudaError> {
        let model = Arc::clone(&self.model);
        // SAFETY: promised by the caller.
        unsafe { self.run(|index| model.choice(index, batch), batch, stream) }
    }

    /// As [`Self::enqueue`], each operation in the way given.
    ///
    /// # Safety
    /// As [`Self::enqueue`].
    ///
    /// # Panics
    /// When the context was not bound for all ways, or there are not as many choices as operations.
    ///
    /// # Errors
    /// [`CudaError`].
    pub unsafe fn enqueue_as(&mut self, choices: &[Choice], batch: usize, stream: &Stream) -> Result<(), CudaError> {
        assert_eq!((self.ways, choices.len()), (Ways::All, self.model.program.ops.len()));
        // SAFETY: promised by the caller.
        unsafe { self.run(|index| choices[index], batch, stream) }
    }

    /// # Safety
    /// As [`Self::enqueue`].
    unsafe fn run(&self, choice: impl Fn(usize) -> Choice, batch: usize, stream: &Stream) -> Result<(), CudaError> {
        let model = &self.model;
        let count = model.program.ops.len();
        let is_beside = |index: usize| model.branch.as_ref().is_some_and(|branch| branch.beside[index]);
        if let Some(Beside { stream: beside, begun, done }) = &self.beside {
            begun.record(stream)?;
            beside.wait(begun)?;
            // The first on a stream waits for whatever was before.
            let mut early = false;
            for index in (0..count).filter(|&index| is_beside(index)) {
                // SAFETY: promised by the caller; the stream has joined the caller's.
                unsafe { self.launch(index, choice(index), batch, early, beside) }?;
                early = self.overlap;
            }
            done.record(beside)?;
        }
        let join = model.branch.as_ref().map_or(count, |branch| branch.join);
        let mut early = false;
        for index in 0..=count {
            if let Some(beside) = self.beside.as_ref().filter(|_| index == join) {
                stream.wait(&beside.done)?;
                early = false;
            }
            if index < count && !is_beside(index) {
                // SAFETY: promised by the caller.
                unsafe { self.launch(index, choice(index), batch, early, stream) }?;
                early = self.overlap;
            }
        }
        Ok(())
    }

    /// Whether kernels begin before the ones before them have ended: for measurements.
    pub fn set_overlap(&mut self, overlap: bool) {
        self.overlap = overlap;
    }

    /// Enqueues one operation, the way it is told to: for measurements and tests.
    ///
    /// # Safety
    /// As [`Self::enqueue`].
    ///
    /// # Panics
    /// When the context was not bound for all ways.
    ///
    /// # Errors
    /// [`CudaError`].
    pub unsafe fn enqueue_op(
        &mut self,
        index: usize,
        choice: Choice,
        batch: usize,
        stream: &Stream,
    ) -> Result<(), CudaError> {
        assert_eq!(self.ways, Ways::All);
        // SAFETY: promised by the caller.
        unsafe { self.launch(index, choice, batch, false, stream) }
    }

    /// # Safety
    /// As [`Self::enqueue`].
    unsafe fn launch(
        &self,
        index: usize,
        choice: Choice,
        batch: usize,
        mut early: bool,
        stream: &Stream,
    ) -> Result<(), CudaError> {
        let batch = batch.min(self.addresses.max_batch);
        let NativeModel { program, weights, kernels, .. } = &*self.model;
        let lowering = Lowering { program, weights, arena: &self.arena, addresses: &self.addresses };
        for launch in lowering.launches(index, choice, batch).iter().flatten() {
            // SAFETY: promised by the caller; what lies between is this context's own.
            unsafe { kernels.enqueue(launch, early, stream) }?;
            early = self.overlap;
        }
        Ok(())
    }

    /// How an operation runs where nothing was measured.
    #[must_use]
    pub fn usual_choice(&self, index: usize, batch: usize) -> Choice {
        self.model.usual_choice(index, batch)
    }

    /// All the ways in which an operation may run on this GPU.
    #[must_use]
    pub fn choices(&self, index: usize) -> Vec<Choice> {
        let mut choices = self.model.program.ops[index].choices();
        choices.retain(|&choice| self.model.kernels.can(choice));
        choices
    }

    /// The network it runs.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.model.program
    }

    /// The memory that the context has for itself, and where each buffer starts in it once multiplied by its batch.
    #[must_use]
    pub fn memory(&self) -> (&DeviceBuf, &Arena) {
        (&self.slab, &self.arena)
    }
}

impl Op {
    /// How it runs over `batch` items on a GPU of so many multiprocessors, where nothing was measured; `can` says what runs there.
    #[must_use]
    pub fn usual_choice(&self, batch: usize, multiprocessors: usize, can: impl Fn(Choice) -> bool) -> Choice {
        let tile = |conv: &super::program::Conv| usual(batch * conv.to.pixels(), conv.to.channels, multiprocessors);
        match self {
            Self::Conv(op) => Choice::Conv(tile(op)),
            Self::Block(op) => {
                // The kernel that takes it whole cuts pictures 16 columns wide: small ones would be mostly padding.
                let large = op.project.to.width >= LEAST_WIDTH;
                let whole = super::block_tiles::fitting(op).map(Choice::Whole).filter(|&choice| large && can(choice));
                whole.last().unwrap_or_else(|| Choice::Apart(tile(&op.expand), tile(&op.project)))
            }
            _ => Choice::Plain,
        }
    }

    /// All the ways in which it may run.
    #[must_use]
    pub fn choices(&self) -> Vec<Choice> {
        let fitting = |channels: usize| super::tiles::fitting(channels);
        match self {
            Self::Conv(op) => fitting(op.to.channels).map(Choice::Conv).collect(),
            Self::Block(op) => {
                let lasts = || fitting(op.project.to.channels);
                let apart = fitting(op.expand.to.channels)
                    .flat_map(|first| lasts().map(move |last| Choice::Apart(first, last)));
                super::block_tiles::fitting(op).map(Choice::Whole).chain(apart).collect()
            }
            _ => vec![Choice::Plain],
        }
    }
}
