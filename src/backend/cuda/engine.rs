//! What runs the networks on the GPU. The lanes know engines by these traits alone.

use std::path::Path;
use std::sync::Arc;

use super::CudaError;
use super::scratch::Scratch;
use crate::backend::BackendError;
use crate::cuda::{DevicePtr, Stream};
use crate::onnxruntime::Element;

/// Largest batch of any lane; a batch runs in the smallest of [`BUCKETS`] that holds it.
pub const MAX_BATCH: usize = 64;

/// Batch sizes that networks are bound, captured and planned for.
pub const BUCKETS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];

/// The bucket that `len` items, at least 1, run in.
#[must_use]
pub fn bucket_of(len: usize) -> usize {
    BUCKETS.into_iter().find(|&bucket| bucket >= len).unwrap_or(MAX_BATCH)
}

/// A network's input or output: what the lanes and the engine agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Name in the graph.
    pub name: String,
    /// Shape of one item.
    pub item: Vec<usize>,
    /// Element type.
    pub element: Element,
}

impl Port {
    /// Elements of one item.
    #[must_use]
    pub fn len(&self) -> usize {
        self.item.iter().product()
    }

    /// Whether an item has no elements at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of one item.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.len() * self.element.bytes()
    }
}

/// What a network takes and gives, in the order in which buffers are bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports {
    /// Inputs.
    pub inputs: Vec<Port>,
    /// Outputs.
    pub outputs: Vec<Port>,
}

impl Ports {
    /// Whether any is in half precision, which asks for a network with half-precision edges.
    #[must_use]
    pub fn are_half(&self) -> bool {
        self.inputs.iter().chain(&self.outputs).any(|port| port.element == Element::F16)
    }
}

/// A network to be loaded.
#[derive(Debug, Clone, Copy)]
pub struct NetworkFile<'a> {
    /// Where it came from, for messages and plans.
    pub path: &'a Path,
    /// Its content, as the bundle has it.
    pub content: &'a [u8],
    /// What it takes and gives; half-precision ports ask for a network in half precision.
    pub ports: &'a Ports,
}

/// Buffers on the GPU for a network's ports, with room for `max_batch` items each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buffers {
    /// In the order of [`Ports::inputs`].
    pub inputs: Vec<DevicePtr>,
    /// In the order of [`Ports::outputs`].
    pub outputs: Vec<DevicePtr>,
    /// Items they hold.
    pub max_batch: usize,
}

/// Makes networks ready to run on one GPU.
pub trait GpuEngine: Send + Sync + 'static {
    /// The engine and its version, for people.
    fn name(&self) -> String;

    /// Loads a network: parses, optimises, uploads its weights, reads or builds its plans.
    ///
    /// # Errors
    /// [`BackendError`] naming the file.
    fn load(&self, network: NetworkFile<'_>) -> Result<Arc<dyn GpuModel>, BackendError>;
}

/// A network that lanes can bind.
pub trait GpuModel: Send + Sync + 'static {
    /// A lane's own context for it, reading and writing `buffers`, with what lies between in `scratch`, which is the lane's. Called on the
    /// lane's thread.
    ///
    /// # Safety
    /// `buffers` must be as large as the network's ports say and outlive the result, and so must `stream`. Networks bound with the same
    /// `scratch` must run one after the other, on that stream.
    ///
    /// # Errors
    /// [`BackendError`] when the device has no room for it.
    unsafe fn bind(
        &self,
        stream: &Arc<Stream>,
        buffers: &Buffers,
        scratch: &mut Scratch,
    ) -> Result<Box<dyn GpuNetwork>, BackendError>;
}

/// A network bound to a lane's buffers.
pub trait GpuNetwork: Send {
    /// Enqueues a run over `batch` items, one of [`BUCKETS`], on the stream it was bound for, which may be under capture.
    ///
    /// # Safety
    /// Until the stream has passed the run, the bound buffers must be used by nothing else.
    ///
    /// # Errors
    /// [`BackendError`].
    unsafe fn enqueue(&mut self, batch: usize) -> Result<(), BackendError>;
}

impl From<CudaError> for BackendError {
    fn from(error: CudaError) -> Self {
        Self::Cuda(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_batch_runs_in_the_next_bucket() {
        assert_eq!([1, 2, 3, 5, 9, 17, 32, 33, 64].map(bucket_of), [1, 2, 4, 8, 16, 32, 32, 64, 64]);
    }
}
