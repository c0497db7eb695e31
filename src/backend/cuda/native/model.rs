//! A compiled network on one GPU.

use std::sync::{Arc, OnceLock};

use super::NativeError;
use super::arena::Arena;
use super::branch::Branch;
use super::kernels::NativeKernels;
use super::lower::{Addresses, Choice};
use super::network::NativeNetwork;
use super::pack::Weights;
use super::program::Program;
use super::tune::Tuned;
use crate::backend::cuda::engine::BUCKETS;
use crate::cuda::{CudaError, DeviceBuf, DevicePtr};
use crate::onnxruntime::Element;

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

    /// Where its weights lie.
    pub(super) fn weights(&self) -> &Weights {
        &self.weights
    }

    /// What runs beside the rest of it.
    pub(super) fn branch(&self) -> Option<&Branch> {
        self.branch.as_ref()
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
        Ok(NativeNetwork::new(self, arena, addresses, slab, ways)?)
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
