//! One slot's worth of GPU: three streams joined by events, the networks bound to its buffers, and the host's part of drawing.
//!
//! ```text
//! upload    ──staged inputs──▶┐
//! compute                     └▶ [gather, picture, network, paste] ──▶┐      (one CUDA graph per batch size)
//! readback                                                            └▶ planes or features ──▶ done
//! ```
//! The lane's thread enqueues all of it, sleeps until `done`, then hands the strips to the encoders' threads, while other lanes have the GPU.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bound::BoundNetwork;
use super::buffers::LaneBuffers;
use super::encoders::Tally;
use super::engine::bucket_of;
use super::generator::{BoundGenerator, GeneratorPool};
use super::scratch::Scratch;
use super::shared::Shared;
use crate::avatar::onnx::FEATURE_LEN;
use crate::backend::draw::Easel;
use crate::backend::{BackendError, Lane, ModelId};
use crate::batch::policy::BatchKey;
use crate::batch::slot::{SlotShape, StageTimes, Staging};
use crate::batch::{Filled, InFlight, Ready, Slot};
use crate::cuda::memory::upload;
use crate::cuda::{CudaError, Event, PinnedUp, Priority, Stream, Timing};

/// The streams of a lane and the events between them.
pub(super) struct Streams {
    pub upload: Stream,
    pub compute: Arc<Stream>,
    pub readback: Stream,
    /// The staged inputs are on the GPU.
    pub uploaded: Event,
    /// The networks begin, and the results are on the GPU.
    pub began: Event,
    pub computed: Event,
    /// The results are on the host.
    pub done: Event,
}

impl Streams {
    fn new(shared: &Shared) -> Result<Self, CudaError> {
        let context = &shared.context;
        Ok(Self {
            upload: Stream::new(context, Priority::High)?,
            compute: Arc::new(Stream::new(context, Priority::Normal)?),
            readback: Stream::new(context, Priority::High)?,
            uploaded: Event::new(context, Timing::Off)?,
            began: Event::new(context, Timing::On)?,
            computed: Event::new(context, Timing::On)?,
            done: Event::new(context, Timing::Off)?,
        })
    }

    /// Waits for whatever was enqueued, so that its buffers can be used again. What fails has failed before.
    fn drain(&self) {
        for stream in [&self.upload, &*self.compute, &self.readback] {
            if let Err(error) = stream.synchronize() {
                tracing::debug!("{error}");
            }
        }
    }
}

struct BoundEncoder {
    id: ModelId,
    network: BoundNetwork,
}

/// One slot's worth of GPU.
pub(super) struct CudaLane {
    // Networks first: they refer to buffers and streams.
    encoders: Vec<BoundEncoder>,
    generators: GeneratorPool,
    shared: Arc<Shared>,
    epoch: u64,
    shape: SlotShape,
    streams: Streams,
    buffers: LaneBuffers,
    scratch: Scratch,
    tally: Arc<Tally>,
    easel: Easel,
    /// Why the batch in flight is not.
    refused: Option<BackendError>,
    /// The thread has the context as its own.
    is_bound: bool,
}

impl CudaLane {
    pub(super) fn new(shared: Arc<Shared>, shape: SlotShape) -> Result<Self, BackendError> {
        let streams = Streams::new(&shared)?;
        let buffers = LaneBuffers::new(&shared.context, shape)?;
        // Given back when the lane goes.
        shared.encoders.reserve(shape.max_frames);
        Ok(Self {
            scratch: Scratch::new(&shared.context),
            tally: Tally::new(shape.max_frames),
            encoders: Vec::new(),
            generators: GeneratorPool::default(),
            epoch: shared.table.epoch(),
            shared,
            shape,
            streams,
            buffers,
            easel: Easel::default(),
            refused: None,
            is_bound: false,
        })
    }

    /// Makes the context current on the lane's thread.
    fn be_current(&mut self) -> Result<(), CudaError> {
        if !self.is_bound {
            self.shared.context.bind()?;
            self.is_bound = true;
        }
        Ok(())
    }

    /// Lets go of networks that were unloaded since the last batch. Nothing of this lane is in flight now.
    fn forget_unloaded(&mut self) {
        let epoch = self.shared.table.epoch();
        if self.epoch != epoch {
            self.epoch = epoch;
            let table = &self.shared.table;
            self.encoders.retain(|bound| table.find_encoder(bound.id).is_some());
            self.generators.retain(|id| table.find_generator(id).is_some());
            self.scratch.trim();
        }
    }

    fn start(&mut self, slot: &Slot<InFlight>) -> Result<(), BackendError> {
        self.be_current()?;
        self.forget_unloaded();
        match slot.key() {
            BatchKey::Encode(id) => self.start_encode(id, slot),
            BatchKey::Render(id) => self.start_render(id, slot),
        }
    }

    fn start_encode(&mut self, id: ModelId, slot: &Slot<InFlight>) -> Result<(), BackendError> {
        let at = match self.encoders.iter().position(|bound| bound.id == id) {
            Some(at) => at,
            None => {
                let model = self.shared.table.find_encoder(id).ok_or(BackendError::Unloaded)?;
                let buffers = self.buffers.of_encoder(self.shape);
                // SAFETY: the buffers are the lane's, as large as its largest batch of windows, and go after its networks.
                let network = unsafe { model.bind(&self.streams.compute, &buffers, &mut self.scratch) }?;
                self.encoders.push(BoundEncoder { id, network: BoundNetwork::new(network) });
                self.encoders.len() - 1
            }
        };
        let Self { encoders, streams, buffers, .. } = self;
        // SAFETY: staged memory is the slot's and the buffer the lane's; neither is touched before `settle` has seen `done`.
        unsafe { upload(slot.staged_batch(), &buffers.staged, &streams.upload) }?;
        streams.uploaded.record(&streams.upload)?;
        streams.compute.wait(&streams.uploaded)?;
        streams.began.record(&streams.compute)?;
        // SAFETY: the buffers are the lane's, and it has one batch in flight at a time.
        unsafe { encoders[at].network.run(bucket_of(slot.len()), &streams.compute) }?;
        streams.computed.record(&streams.compute)?;
        streams.readback.wait(&streams.computed)?;
        let floats = slot.len() * FEATURE_LEN;
        // SAFETY: as for the upload; the features are read after `done`.
        unsafe { buffers.features_down.download(floats, &buffers.features, &streams.readback) }?;
        Ok(streams.done.record(&streams.readback)?)
    }

    fn start_render(&mut self, id: ModelId, slot: &Slot<InFlight>) -> Result<(), BackendError> {
        let Some(avatar) = slot.avatar() else { return Err(BackendError::Unloaded) };
        let at = match self.generators.find(id) {
            Some(at) => at,
            None => {
                self.easel.fit(avatar);
                let lane = (&self.streams.compute, &mut self.scratch);
                self.generators.bind(id, &self.shared, self.shape.max_frames, lane)?
            }
        };
        let Self { generators, streams, buffers, shared, .. } = self;
        generators.get_mut(at).start(slot, shared, streams, buffers)
    }

    fn finish(&mut self, slot: &mut Slot<InFlight>) -> Result<StageTimes, BackendError> {
        let network = self.streams.computed.since(&self.streams.began)?;
        let start = Instant::now();
        let composite = match slot.key() {
            BatchKey::Encode(_) => {
                for index in 0..slot.len() {
                    let feature = &self.buffers.features_down[index * FEATURE_LEN..][..FEATURE_LEN];
                    slot.feature_mut(index).copy_from_slice(feature);
                }
                Duration::ZERO
            }
            BatchKey::Render(id) => {
                let at = self.generators.find(id).ok_or(BackendError::Unloaded)?;
                let generator: &mut BoundGenerator = self.generators.get_mut(at);
                generator.draw(slot, &mut self.easel, (&self.shared.encoders, &self.tally))?;
                start.elapsed()
            }
        };
        Ok(StageTimes { network, composite })
    }

    /// Takes note of a failure and leaves the lane ready for the next batch.
    fn fail(&mut self, error: BackendError) -> BackendError {
        self.streams.drain();
        self.shared.faults.judge(error, &self.streams.compute)
    }
}

impl Drop for CudaLane {
    fn drop(&mut self) {
        self.shared.encoders.release(self.shape.max_frames);
    }
}

impl Lane for CudaLane {
    fn rest(&mut self) {
        if self.be_current().is_ok() {
            self.forget_unloaded();
        }
    }

    fn staging(&mut self, floats: usize) -> Result<Box<dyn Staging>, BackendError> {
        Ok(Box::new(PinnedUp::<f32>::new(&self.shared.context, floats)?))
    }

    fn submit(&mut self, slot: Slot<Filled>) -> Slot<InFlight> {
        let slot = slot.launch();
        self.refused = match self.start(&slot) {
            Ok(()) => None,
            Err(error) => Some(self.fail(error)),
        };
        slot
    }

    fn settle(&mut self, _slot: &Slot<InFlight>) -> bool {
        if self.refused.is_none()
            && let Err(error) = self.streams.done.synchronize()
        {
            self.refused = Some(self.fail(error.into()));
        }
        true
    }

    fn complete(&mut self, mut slot: Slot<InFlight>) -> Slot<Ready> {
        // Cheap when it has been called already.
        self.settle(&slot);
        let outcome = match self.refused.take() {
            Some(error) => Err(error),
            None => self.finish(&mut slot).map_err(|error| self.fail(error)),
        };
        slot.land(outcome)
    }
}
