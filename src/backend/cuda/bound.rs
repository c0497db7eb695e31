//! A network in a lane: bound to its buffers, and captured as a graph for each batch size that has been seen.

use std::sync::Arc;

use super::engine::{BUCKETS, GpuNetwork};
use crate::backend::BackendError;
use crate::cuda::{Graph, Stream};

/// How the sequence of a batch size is enqueued.
#[derive(Default)]
enum Form {
    /// Never yet: the first run is enqueued call by call, which sets up what the engines set up lazily.
    #[default]
    New,
    /// Enqueued once: the next is captured.
    Warm,
    /// Replayed.
    Captured(Graph),
    /// It cannot be captured, and is enqueued call by call.
    Plain,
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
        if matches!(form, Form::Warm) {
            *form = match stream.capture(&mut enqueue) {
                Ok(graph) => Form::Captured(graph),
                Err(error) => {
                    tracing::warn!(
                        "batches of {batch} cannot be captured as a CUDA graph and are enqueued call by call: {error}"
                    );
                    Form::Plain
                }
            };
        }
        match form {
            // SAFETY: promised by the caller.
            Form::Captured(graph) => Ok(unsafe { graph.launch(stream) }?),
            Form::New => {
                enqueue()?;
                *form = Form::Warm;
                Ok(())
            }
            Form::Warm | Form::Plain => enqueue(),
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
