//! A sequence of launches, captured once and replayed with one call.

use std::sync::Arc;

use cudarc::driver::{result, sys};

use super::context::Context;
use super::error::{CudaError, at};
use super::stream::Stream;

/// An executable graph. It holds addresses: what its launches read and write must outlive it.
#[derive(Debug)]
pub struct Graph {
    exec: sys::CUgraphExec,
    context: Arc<Context>,
}

// SAFETY: a graph may be launched from any thread, one at a time (CUDA Driver API, graph management, thread safety), and `launch`
// takes it exclusively.
unsafe impl Send for Graph {}

impl Graph {
    /// Makes `graph` executable and destroys it.
    ///
    /// # Safety
    /// `graph` must be a valid graph that nothing else owns.
    pub(super) unsafe fn instantiate(graph: sys::CUgraph, context: &Arc<Context>) -> Result<Self, CudaError> {
        let flags = sys::CUgraphInstantiate_flags(0);
        // SAFETY: promised by the caller.
        let exec = unsafe { result::graph::instantiate(graph, flags) }.map_err(at("cuGraphInstantiateWithFlags"));
        // SAFETY: promised by the caller; the executable form does not refer to it.
        let destroyed = unsafe { result::graph::destroy(graph) }.map_err(at("cuGraphDestroy"));
        let graph = Self { exec: exec?, context: Arc::clone(context) };
        destroyed?;
        Ok(graph)
    }

    /// Enqueues everything it holds on `stream`.
    ///
    /// # Safety
    /// The buffers that the captured launches use must be alive and used by nothing else until `stream` has passed this.
    ///
    /// # Errors
    /// [`CudaError`].
    pub unsafe fn launch(&mut self, stream: &Stream) -> Result<(), CudaError> {
        // SAFETY: both are alive, the buffers are promised by the caller.
        unsafe { result::graph::launch(self.exec, stream.raw()) }.map_err(at("cuGraphLaunch"))
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        let gone = self.context.bind();
        // SAFETY: instantiated above, destroyed once; the driver lets a running launch finish.
        let gone =
            gone.and_then(|()| unsafe { result::graph::exec_destroy(self.exec) }.map_err(at("cuGraphExecDestroy")));
        if let Err(error) = gone {
            tracing::debug!("{error}");
        }
    }
}
