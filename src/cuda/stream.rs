//! Streams with priorities, and events that join them.

use std::sync::Arc;
use std::time::Duration;

use cudarc::driver::{result, sys};

use super::context::Context;
use super::error::{CudaError, at};
use super::graph::Graph;

/// Which stream's blocks the GPU starts first when several have some waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Copies and short kernels.
    High,
    /// Networks.
    Normal,
}

/// Work in order. Streams do not wait for the legacy default stream.
#[derive(Debug)]
pub struct Stream {
    raw: sys::CUstream,
    context: Arc<Context>,
}

// SAFETY: streams may be used from any thread whose current context is theirs (CUDA Driver API, stream management).
unsafe impl Send for Stream {}
// SAFETY: as above; the driver orders what several threads enqueue.
unsafe impl Sync for Stream {}

impl Stream {
    /// A stream of `context`.
    ///
    /// # Errors
    /// [`CudaError`].
    pub fn new(context: &Arc<Context>, priority: Priority) -> Result<Self, CudaError> {
        context.bind()?;
        let (least, greatest) = result::stream::get_priority_range().map_err(at("cuCtxGetStreamPriorityRange"))?;
        let priority = match priority {
            Priority::High => greatest,
            Priority::Normal => least,
        };
        let kind = result::stream::StreamKind::NonBlocking;
        let raw = result::stream::create_with_priority(kind, priority).map_err(at("cuStreamCreateWithPriority"))?;
        Ok(Self { raw, context: Arc::clone(context) })
    }

    /// Its context.
    #[must_use]
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// The driver's handle, for libraries that enqueue on it. It is the runtime API's `cudaStream_t` too.
    #[must_use]
    pub fn raw(&self) -> sys::CUstream {
        self.raw
    }

    /// What is enqueued from now on waits for what `event` recorded last.
    ///
    /// # Errors
    /// [`CudaError`].
    pub fn wait(&self, event: &Event) -> Result<(), CudaError> {
        let flags = sys::CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT;
        // SAFETY: both are alive.
        unsafe { result::stream::wait_event(self.raw, event.raw, flags) }.map_err(at("cuStreamWaitEvent"))
    }

    /// Waits on the host for everything enqueued so far.
    ///
    /// # Errors
    /// [`CudaError`], also of work that failed earlier.
    pub fn synchronize(&self) -> Result<(), CudaError> {
        // SAFETY: the stream is alive.
        self.context.waiting(|| unsafe { result::stream::synchronize(self.raw) }).map_err(at("cuStreamSynchronize"))
    }

    /// Records what `enqueue` puts on this stream instead of running it. Libraries may allocate meanwhile, which is not recorded.
    /// When `enqueue` or the capture fails, the stream is usable as before.
    ///
    /// # Errors
    /// What `enqueue` returns, or [`CudaError`].
    pub fn capture<E: From<CudaError>>(&self, enqueue: impl FnOnce() -> Result<(), E>) -> Result<Graph, E> {
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED;
        // SAFETY: the stream is alive.
        unsafe { result::stream::begin_capture(self.raw, mode) }.map_err(at("cuStreamBeginCapture"))?;
        let enqueued = enqueue();
        // Ended in any case: a stream left capturing refuses all work.
        // SAFETY: the stream is alive; without a capture under way this is an error, not a fault.
        let graph = unsafe { result::stream::end_capture(self.raw) }.map_err(at("cuStreamEndCapture"));
        let graph = match (enqueued, graph) {
            (Ok(()), graph) => graph?,
            (Err(error), graph) => {
                if let Ok(graph) = graph {
                    discard(graph);
                }
                return Err(error);
            }
        };
        // SAFETY: the graph came from this capture.
        let ready = unsafe { Graph::instantiate(graph, &self.context) };
        discard(graph);
        Ok(ready?)
    }
}

/// Destroys a captured graph, to which its executable form does not refer.
fn discard(graph: sys::CUgraph) {
    // SAFETY: the graph came from a capture, and nobody else has it.
    if let Err(error) = unsafe { result::graph::destroy(graph) }.map_err(at("cuGraphDestroy")) {
        tracing::debug!("{error}");
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Work that is still enqueued runs to its end, and then the stream goes.
        // SAFETY: created in `new`, destroyed once.
        self.context.release(|| unsafe { result::stream::destroy(self.raw) }.map_err(at("cuStreamDestroy")));
    }
}

/// Whether an event can measure time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    /// It can, at some cost.
    On,
    /// It only joins streams or wakes the host.
    Off,
}

/// A place in a stream.
#[derive(Debug)]
pub struct Event {
    raw: sys::CUevent,
    context: Arc<Context>,
}

// SAFETY: events may be used from any thread whose current context is theirs (CUDA Driver API, event management).
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}

impl Event {
    /// An event of `context`. Host threads that wait for it sleep.
    ///
    /// # Errors
    /// [`CudaError`].
    pub fn new(context: &Arc<Context>, timing: Timing) -> Result<Self, CudaError> {
        context.bind()?;
        let mut flags = sys::CUevent_flags::CU_EVENT_BLOCKING_SYNC as u32;
        if timing == Timing::Off {
            flags |= sys::CUevent_flags::CU_EVENT_DISABLE_TIMING as u32;
        }
        let mut raw = std::ptr::null_mut();
        // SAFETY: the call writes one handle.
        unsafe { sys::cuEventCreate(&raw mut raw, flags) }.result().map_err(at("cuEventCreate"))?;
        Ok(Self { raw, context: Arc::clone(context) })
    }

    /// Marks what is enqueued on `stream` so far.
    ///
    /// # Errors
    /// [`CudaError`].
    pub fn record(&self, stream: &Stream) -> Result<(), CudaError> {
        // SAFETY: both are alive.
        unsafe { result::event::record(self.raw, stream.raw) }.map_err(at("cuEventRecord"))
    }

    /// Waits on the host until what it marked is done. An event never recorded is done.
    ///
    /// # Errors
    /// [`CudaError`], also of the work it marked.
    pub fn synchronize(&self) -> Result<(), CudaError> {
        // SAFETY: the event is alive.
        self.context.waiting(|| unsafe { result::event::synchronize(self.raw) }).map_err(at("cuEventSynchronize"))
    }

    /// Time on the GPU from `start` to this event, both with timing and both done.
    ///
    /// # Errors
    /// [`CudaError`].
    pub fn since(&self, start: &Event) -> Result<Duration, CudaError> {
        // SAFETY: both are alive.
        let ms = unsafe { result::event::elapsed(start.raw, self.raw) }.map_err(at("cuEventElapsedTime"))?;
        Ok(Duration::from_secs_f64(f64::from(ms.max(0.0)) / 1e3))
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: created in `new`, destroyed once.
        self.context.release(|| unsafe { result::event::destroy(self.raw) }.map_err(at("cuEventDestroy")));
    }
}
