//! An avatar's generator in a lane: the steps of a batch of frames, and the drawing of what comes back.

use std::sync::Arc;

use super::avatar::DeviceAvatar;
use super::bound::BoundNetwork;
use super::buffers::{GeneratorBuffers, GeneratorShape, LaneBuffers, room};
use super::encoders::{Encoders, Job, Planes, Tally};
use super::engine::bucket_of;
use super::lane::Streams;
use super::launch::FrameBatch;
use super::readback::Readback;
use super::scratch::Scratch;
use super::shared::{Generator, Shared};
use super::whole::WholeFrames;
use crate::avatar::LoadedAvatar;
use crate::avatar::onnx::FEATURE_LEN;
use crate::backend::draw::{Easel, Patcher, takes_planes};
use crate::backend::{BackendError, FrameFormat, ModelId};
use crate::batch::slot::FrameJob;
use crate::batch::{InFlight, PooledBuf, Slot};
use crate::cuda::memory::upload;
use crate::cuda::{DeviceBuf, PinnedUp, Stream};
use crate::onnxruntime::Element;

/// The generators a lane has met and the buffers they share.
#[derive(Default)]
pub(super) struct GeneratorPool {
    bound: Vec<BoundGenerator>,
    buffers: Vec<Arc<GeneratorBuffers>>,
}

/// One generator, bound.
pub(super) struct BoundGenerator {
    id: ModelId,
    // Before what it refers to.
    network: BoundNetwork,
    buffers: Arc<GeneratorBuffers>,
    avatar: Arc<DeviceAvatar>,
    model: Arc<Generator>,
    readback: Readback,
    patcher: Patcher,
    override_room: Option<OverrideRoom>,
    /// Of avatars whose whole frames are on the GPU.
    nvjpeg: Option<WholeFrames>,
}

/// Where a client's own picture is uploaded from and to, one frame at a time: for the compatible service's `visual_frames`.
struct OverrideRoom {
    up: PinnedUp<f32>,
    floats: DeviceBuf,
}

impl GeneratorPool {
    pub(super) fn find(&self, id: ModelId) -> Option<usize> {
        self.bound.iter().position(|bound| bound.id == id)
    }

    pub(super) fn get_mut(&mut self, at: usize) -> &mut BoundGenerator {
        &mut self.bound[at]
    }

    pub(super) fn retain(&mut self, keep: impl Fn(ModelId) -> bool) {
        self.bound.retain(|bound| keep(bound.id));
        // Held here and by the generators that use them: alone here, nobody does.
        self.buffers.retain(|buffers| Arc::strong_count(buffers) > 1);
    }

    /// Binds generator `id` for batches of up to `most`.
    pub(super) fn bind(
        &mut self,
        id: ModelId,
        shared: &Shared,
        most: usize,
        (stream, scratch): (&Arc<Stream>, &mut Scratch),
    ) -> Result<usize, BackendError> {
        let model = shared.table.find_generator(id).ok_or(BackendError::Unloaded)?;
        let avatar = model.shown().ok_or(BackendError::Unloaded)?;
        let shape = GeneratorShape::of(&model, &avatar);
        let buffers = match self.buffers.iter().find(|buffers| buffers.shape == shape) {
            Some(buffers) => Arc::clone(buffers),
            None => {
                let buffers = Arc::new(GeneratorBuffers::new(&shared.context, most, shape)?);
                self.buffers.push(Arc::clone(&buffers));
                buffers
            }
        };
        let ports = buffers.ports(room(most));
        // SAFETY: the buffers have room for the last bucket of `most`, and `BoundGenerator` keeps them after its network.
        let network = unsafe { model.network.bind(stream, &ports, scratch) }?;
        let readback = Readback::new(&shared.context, room(most), shape)?;
        let nvjpeg = WholeFrames::of(shared, stream, &buffers)?;
        self.bound.push(BoundGenerator {
            id,
            network: BoundNetwork::new(network),
            buffers,
            avatar,
            model,
            readback,
            patcher: Patcher::default(),
            override_room: None,
            nvjpeg,
        });
        Ok(self.bound.len() - 1)
    }
}

impl BoundGenerator {
    /// Enqueues the batch in `slot`, from its upload to `done`.
    pub(super) fn start(
        &mut self,
        slot: &Slot<InFlight>,
        shared: &Shared,
        streams: &Streams,
        lane: &mut LaneBuffers,
    ) -> Result<(), BackendError> {
        let (len, batch) = (slot.len(), bucket_of(slot.len()));
        self.put_params(slot, batch, &mut lane.params_up);
        // SAFETY: staged memory is the slot's and the buffers the lane's; none is touched before `done` has been waited for.
        unsafe { upload(slot.staged_batch(), &lane.staged, &streams.upload) }?;
        // SAFETY: as above.
        unsafe { lane.params_up.upload(batch, &lane.params, &streams.upload) }?;
        streams.uploaded.record(&streams.upload)?;
        streams.compute.wait(&streams.uploaded)?;
        streams.began.record(&streams.compute)?;
        if slot.frames().iter().any(|job| job.picture.is_some()) {
            self.enqueue_inputs(shared, &streams.compute, lane, batch)?;
            self.override_pictures(slot, shared, &streams.compute)?;
            // SAFETY: the buffers are the lane's, which has one batch in flight at a time.
            unsafe { self.network.network.enqueue(batch) }?;
            self.enqueue_paste(shared, &streams.compute, lane, batch)?;
        } else {
            self.enqueue(shared, &streams.compute, lane, batch)?;
        }
        streams.computed.record(&streams.compute)?;
        streams.readback.wait(&streams.computed)?;
        let needs_pixels = self.needs_pixels(slot);
        self.readback.start(&self.buffers, len, needs_pixels, &streams.readback)?;
        Ok(streams.done.record(&streams.readback)?)
    }

    /// The whole sequence, which is captured once a size has come some times.
    fn enqueue(
        &mut self,
        shared: &Shared,
        stream: &Arc<Stream>,
        lane: &LaneBuffers,
        batch: usize,
    ) -> Result<(), BackendError> {
        // Taken out for the call: the closure needs the rest of `self`.
        let mut sequences = std::mem::take(&mut self.network.sequences);
        // SAFETY: all buffers are the lane's or this generator's; it has one batch in flight at a time.
        let enqueued = unsafe {
            sequences.run(batch, stream, || {
                self.enqueue_inputs(shared, stream, lane, batch)?;
                self.network.network.enqueue(batch)?;
                self.enqueue_paste(shared, stream, lane, batch)
            })
        };
        self.network.sequences = sequences;
        enqueued
    }

    fn frames(&self, lane: &LaneBuffers, batch: usize) -> FrameBatch {
        let size_px = self.model.size_px;
        FrameBatch { params: lane.params.ptr(), batch, geometry: self.avatar.geometry(), size_px }
    }

    fn enqueue_inputs(
        &self,
        shared: &Shared,
        stream: &Stream,
        lane: &LaneBuffers,
        batch: usize,
    ) -> Result<(), BackendError> {
        let Generator { element, context_rows, .. } = *self.model;
        let gather = [lane.staged.ptr(), lane.rows.ptr(), self.buffers.context.ptr()];
        let kernels = &shared.kernels;
        // SAFETY: `rows` names rows of `staged` only, and the context has room for the bucket.
        unsafe { kernels.gather_context(stream, element, gather, (batch, context_rows, FEATURE_LEN)) }?;
        // SAFETY: the parameters name the avatar's pictures, which `self` keeps; the picture has room for the bucket.
        Ok(unsafe { kernels.picture_input(stream, element, self.frames(lane, batch), self.buffers.picture.ptr()) }?)
    }

    fn enqueue_paste(
        &self,
        shared: &Shared,
        stream: &Stream,
        lane: &LaneBuffers,
        batch: usize,
    ) -> Result<(), BackendError> {
        // SAFETY: as above; each frame's planes have their own stride.
        Ok(unsafe { self.buffers.paste(&shared.kernels, stream, self.frames(lane, batch)) }?)
    }

    /// Tells the kernels of the batch's frames; those that only fill the bucket repeat the last, with planes of their own.
    fn put_params(&self, slot: &Slot<InFlight>, batch: usize, params: &mut [super::kernels::params::FrameParams]) {
        let stride = self.avatar.strips().map_or(0, |strips| strips.stride);
        let last = slot.len().saturating_sub(1);
        for (index, params) in params.iter_mut().enumerate().take(batch) {
            let picture = slot.frame(index.min(last)).avatar_frame;
            *params = self.avatar.frame(picture, index * stride);
        }
    }

    /// Puts clients' own pictures where the avatar's were made.
    fn override_pictures(
        &mut self,
        slot: &Slot<InFlight>,
        shared: &Shared,
        stream: &Arc<Stream>,
    ) -> Result<(), BackendError> {
        let floats = 6 * self.model.size_px * self.model.size_px;
        for (index, job) in slot.frames().iter().enumerate() {
            let Some(picture) = &job.picture else { continue };
            let room = match &mut self.override_room {
                Some(room) => room,
                none => none.insert(OverrideRoom {
                    up: PinnedUp::new(&shared.context, floats)?,
                    floats: DeviceBuf::new(&shared.context, floats * size_of::<f32>())?,
                }),
            };
            // The picture before has been uploaded when the stream has passed it.
            stream.synchronize()?;
            room.up.copy_from_slice(picture.as_slice());
            let element = self.model.element;
            let to = self.buffers.picture.ptr().offset(index * floats * element.bytes());
            // SAFETY: both are this generator's, and the stream is waited for before they are used again.
            unsafe { room.up.upload(floats, &room.floats, stream) }?;
            match element {
                // SAFETY: the picture has room for the bucket, of which this is item `index`.
                Element::F16 => unsafe { shared.kernels.override_picture(stream, room.floats.ptr(), to, floats) }?,
                // SAFETY: as above.
                Element::F32 => unsafe { room.floats.copy_to(floats * size_of::<f32>(), to, stream) }?,
            }
        }
        Ok(())
    }

    fn needs_pixels(&self, slot: &Slot<InFlight>) -> bool {
        let Some(avatar) = slot.avatar() else { return false };
        let is_done =
            |job: &FrameJob| self.is_whole(job.format) || self.has_planes(avatar, job.avatar_frame, job.format);
        !slot.frames().iter().all(is_done)
    }

    /// Whether nvJPEG makes this frame, on the GPU.
    fn is_whole(&self, format: FrameFormat) -> bool {
        self.nvjpeg.is_some() && matches!(format, FrameFormat::Jpeg(_))
    }

    /// Whether the strip's planes are all that the host needs.
    fn has_planes(&self, avatar: &LoadedAvatar, picture: usize, format: FrameFormat) -> bool {
        self.avatar.strips().is_some_and(|strips| !strips.whole) && takes_planes(avatar, picture, format)
    }

    /// Draws every frame of the batch, which has come back: strips on the encoders' threads, all else here.
    pub(super) fn draw(
        &mut self,
        slot: &mut Slot<InFlight>,
        easel: &mut Easel,
        (encoders, tally): (&Encoders, &Arc<Tally>),
    ) -> Result<(), BackendError> {
        let Some(avatar) = slot.avatar().map(Arc::clone) else { return Err(BackendError::Unloaded) };
        let len = slot.len();
        for index in 0..len {
            let (picture, format) = (slot.frame(index).avatar_frame, slot.frame(index).format);
            let drawn = if let (FrameFormat::Jpeg(quality), Some(nvjpeg)) = (format, &mut self.nvjpeg) {
                nvjpeg.encode(index, quality, slot.output_mut(index))
            } else if !self.has_planes(&avatar, picture, format) {
                let (generated, to) = (self.readback.generated(index), (format, slot.output_mut(index)));
                easel.draw_generated(&avatar, &mut self.patcher, picture, generated, to)
            } else {
                continue;
            };
            match drawn {
                Ok(()) => {}
                // It may be that no frame can be made any more.
                Err(error) if error.driver_error().is_some() => return Err(error),
                Err(error) => slot.fail_frame(index, error),
            }
        }
        let Some((planes, stride)) = self.readback.planes() else { return Ok(()) };
        let mut outputs = std::mem::take(slot.outputs_mut());
        let job = |(index, output): (usize, PooledBuf)| {
            let FrameJob { avatar_frame: picture, format, .. } = *slot.frame(index);
            if !self.has_planes(&avatar, picture, format) {
                tally.add(index, output, Ok(()));
                return None;
            }
            let (avatar, planes, tally) = (Arc::clone(&avatar), Arc::clone(planes) as Arc<Planes>, Arc::clone(tally));
            Some(Job { avatar, picture, format, planes, from: index * stride, output, index, tally })
        };
        encoders.encode(outputs.drain(..).enumerate().filter_map(job));
        tally.collect(len, &mut outputs, |index, error| slot.fail_frame(index, error));
        *slot.outputs_mut() = outputs;
        Ok(())
    }
}
