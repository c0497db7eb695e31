//! A context: a model bound to buffers, and its launches.

use std::sync::Arc;

use super::arena::Arena;
use super::lower::{Addresses, Choice, Lowering};
use super::model::{NativeModel, Ways};
use super::program::Program;
use crate::cuda::{Context, CudaError, DeviceBuf, Event, Priority, Stream, Timing};

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

impl Beside {
    fn new(context: &Arc<Context>) -> Result<Self, CudaError> {
        let stream = Stream::new(context, Priority::Normal)?;
        Ok(Self { stream, begun: Event::new(context, Timing::Off)?, done: Event::new(context, Timing::Off)? })
    }
}

impl NativeNetwork {
    pub(super) fn new(
        model: &Arc<NativeModel>,
        arena: Arena,
        addresses: Addresses,
        slab: Arc<DeviceBuf>,
        ways: Ways,
    ) -> Result<Self, CudaError> {
        let beside = model.branch().map(|_| Beside::new(model.kernels().context())).transpose()?;
        Ok(Self { model: Arc::clone(model), arena, addresses, slab, ways, beside, overlap: model.overlaps() })
    }

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
        assert_eq!((self.ways, choices.len()), (Ways::All, self.model.program().ops.len()));
        // SAFETY: promised by the caller.
        unsafe { self.run(|index| choices[index], batch, stream) }
    }

    /// # Safety
    /// As [`Self::enqueue`].
    unsafe fn run(&self, choice: impl Fn(usize) -> Choice, batch: usize, stream: &Stream) -> Result<(), CudaError> {
        let model = &self.model;
        let count = model.program().ops.len();
        let is_beside = |index: usize| model.branch().is_some_and(|branch| branch.beside[index]);
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
        let join = model.branch().map_or(count, |branch| branch.join);
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
        let (program, weights, kernels) = (self.model.program(), self.model.weights(), self.model.kernels());
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
        let mut choices = self.model.program().ops[index].choices();
        choices.retain(|&choice| self.model.kernels().can(choice));
        choices
    }

    /// The network it runs.
    #[must_use]
    pub fn program(&self) -> &Program {
        self.model.program()
    }

    /// The memory that the context has for itself, and where each buffer starts in it once multiplied by its batch.
    #[must_use]
    pub fn memory(&self) -> (&DeviceBuf, &Arena) {
        (&self.slab, &self.arena)
    }
}
