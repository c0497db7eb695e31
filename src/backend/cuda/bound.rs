//! A network in a lane: bound to its buffers, and captured as a graph for each batch size that has been seen.

use std::sync::Arc;

use super::engine::{BUCKETS, GpuNetwork};
use crate::backend::BackendError;
use crate::cuda::{Graph, Stream};

/// Runs before the capture: engines set up lazily, and ONNX Runtime plans its memory anew in the second run of a shape.
const WARM_RUNS: u32 = 3;

/// How the sequence of a batch size is enqueued.
enum Form {
    /// Call by call, so many times so far.
    New(u32),
    /// Replayed.
    Captured(Graph),
    /// It cannot be captured, and is enqueued call by call.
    Plain,
}

impl Default for Form {
    fn default() -> Self {
        Self::New(0)
    }
}

/// Sequences by bucket.
#[derive(Default)]
pub(super) struct Sequences {
    forms: [Form; BUCKETS.len()],
}

impl Sequences {
    /// Enqueues the sequence that `enqueue` puts on `stream`, or replays it where it was captured. It must be the same each time for
    /// one `batch`: the same kernels on the same buffers.
    ///
    /// # Safety
    /// The buffers that `enqueue` uses must outlive these sequences, and be used by nothing else until the stream has passed the
    /// sequence.
    pub(super) unsafe fn run(
        &mut self,
        batch: usize,
        stream: &Stream,
        mut enqueue: impl FnMut() -> Result<(), BackendError>,
    ) -> Result<(), BackendError> {
        let Some(at) = BUCKETS.iter().position(|&bucket| bucket == batch) else { return enqueue() };
        let form = &mut self.forms[at];
        match form {
            Form::New(runs) if *runs < WARM_RUNS => {
                enqueue()?;
                *runs += 1;
                return Ok(());
            }
            Form::New(_) => match capture(batch, stream, &mut enqueue) {
                Some(mut graph) if graph.runs_once() => {
                    tracing::debug!("batches of {batch} call back to the host, and are enqueued call by call");
                    *form = Form::Plain;
                    // SAFETY: promised by the caller; its first launch, and its last.
                    return Ok(unsafe { graph.launch(stream) }?);
                }
                Some(graph) => *form = Form::Captured(graph),
                None => *form = Form::Plain,
            },
            Form::Captured(_) | Form::Plain => {}
        }
        match form {
            // SAFETY: promised by the caller.
            Form::Captured(graph) => Ok(unsafe { graph.launch(stream) }?),
            Form::New(_) | Form::Plain => enqueue(),
        }
    }
}

fn capture(batch: usize, stream: &Stream, enqueue: &mut impl FnMut() -> Result<(), BackendError>) -> Option<Graph> {
    match stream.capture(&mut *enqueue) {
        Ok(graph) => Some(graph),
        Err(error) => {
            tracing::warn!(
                "batches of {batch} cannot be captured as a CUDA graph, and are enqueued call by call: {error}"
            );
            // CUDA's runtime hands the capture's error to the next call that asks for one, whosever it is.
            let _ = enqueue();
            None
        }
    }
}

/// A bound network and its sequences.
pub(super) struct BoundNetwork {
    // Declared first: a graph refers to what the network holds.
    pub sequences: Sequences,
    pub network: Box<dyn GpuNetwork>,
}

impl BoundNetwork {
    pub(super) fn new(network: Box<dyn GpuNetwork>) -> Self {
        Self { sequences: Sequences::default(), network }
    }

    /// Enqueues the network alone.
    ///
    /// # Safety
    /// As [`GpuNetwork::enqueue`], and the buffers must outlive `self`.
    pub(super) unsafe fn run(&mut self, batch: usize, stream: &Arc<Stream>) -> Result<(), BackendError> {
        let Self { sequences, network } = self;
        // SAFETY: promised by the caller.
        unsafe { sequences.run(batch, stream, || network.enqueue(batch)) }
    }
}
