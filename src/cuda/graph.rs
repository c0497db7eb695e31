//! A sequence of launches, captured once and replayed with one call.

use std::ptr;
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
    runs_once: bool,
}

// SAFETY: a graph may be launched from any thread, one at a time (CUDA Driver API, graph management, thread safety), and `launch`
// takes it exclusively.
unsafe impl Send for Graph {}

impl Graph {
    /// Makes `graph` executable.
    ///
    /// # Safety
    /// `graph` must be a valid graph.
    pub(super) unsafe fn instantiate(graph: sys::CUgraph, context: &Arc<Context>) -> Result<Self, CudaError> {
        // SAFETY: promised by the caller.
        let runs_once = unsafe { calls_the_host(graph) }?;
        let flags = sys::CUgraphInstantiate_flags(0);
        // SAFETY: promised by the caller.
        let exec = unsafe { result::graph::instantiate(graph, flags) }.map_err(at("cuGraphInstantiateWithFlags"))?;
        Ok(Self { exec, context: Arc::clone(context), runs_once })
    }

    /// Whether it may be launched only once: it calls back to the host, and what it calls may have been meant for one run. ONNX Runtime
    /// gives back in such a call what the run has used.
    #[must_use]
    pub fn runs_once(&self) -> bool {
        self.runs_once
    }

    /// Enqueues everything it holds on `stream`.
    ///
    /// # Safety
    /// The buffers that the captured launches use must be alive and used by nothing else until `stream` has passed this. A graph that
    /// [`runs_once`](Self::runs_once) must not have been launched before.
    ///
    /// # Errors
    /// [`CudaError`].
    pub unsafe fn launch(&mut self, stream: &Stream) -> Result<(), CudaError> {
        // SAFETY: both are alive, the buffers are promised by the caller.
        unsafe { result::graph::launch(self.exec, stream.raw()) }.map_err(at("cuGraphLaunch"))
    }
}

/// Whether a node of `graph` calls a function on the host.
///
/// # Safety
/// `graph` must be a valid graph.
unsafe fn calls_the_host(graph: sys::CUgraph) -> Result<bool, CudaError> {
    let mut count = 0;
    // SAFETY: without room for nodes the call counts them.
    unsafe { sys::cuGraphGetNodes(graph, ptr::null_mut(), &raw mut count) }.result().map_err(at("cuGraphGetNodes"))?;
    let mut nodes = vec![ptr::null_mut(); count];
    // SAFETY: there is room for `count` nodes.
    unsafe { sys::cuGraphGetNodes(graph, nodes.as_mut_ptr(), &raw mut count) }
        .result()
        .map_err(at("cuGraphGetNodes"))?;
    for node in nodes {
        // A number: newer drivers have kinds that the enum lacks.
        let mut kind = 0_u32;
        // SAFETY: a node of the graph; the enum is as wide as its number.
        unsafe { sys::cuGraphNodeGetType(node, (&raw mut kind).cast()) }.result().map_err(at("cuGraphNodeGetType"))?;
        if kind == sys::CUgraphNodeType::CU_GRAPH_NODE_TYPE_HOST as u32 {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: instantiated above, destroyed once; the driver lets a running launch finish.
        self.context.release(|| unsafe { result::graph::exec_destroy(self.exec) }.map_err(at("cuGraphExecDestroy")));
    }
}
