//! A lane's buffers: what its batches are uploaded to, worked on in, and read back to.

use std::sync::Arc;

use super::avatar::{DeviceAvatar, Strips};
use super::engine::{Buffers, MAX_BATCH};
use super::kernels::params::FrameParams;
use super::launch::{FrameBatch, Kernels};
use super::shared::Generator;
use crate::avatar::MAX_CONTEXT;
use crate::avatar::onnx::FEATURE_LEN;
use crate::backend::BackendError;
use crate::batch::slot::SlotShape;
use crate::cuda::{Context, CudaError, DeviceBuf, PinnedDown, PinnedUp, Plain, Stream};
use crate::onnxruntime::Element;

// SAFETY: addresses and integers, without padding: its size is asserted where it is declared.
unsafe impl Plain for FrameParams {}

/// Buffers that every batch of a lane uses.
pub(super) struct LaneBuffers {
    /// Windows or contexts as they were staged.
    pub staged: DeviceBuf,
    /// What the kernels are told of the frames, on the host and on the GPU.
    pub params_up: PinnedUp<FrameParams>,
    pub params: DeviceBuf,
    /// Row `i` of the contexts is row `i` of what was staged.
    pub rows: DeviceBuf,
    /// Features, on the GPU and on the host.
    pub features: DeviceBuf,
    pub features_down: PinnedDown<f32>,
}

impl LaneBuffers {
    pub(super) fn new(context: &Arc<Context>, shape: SlotShape) -> Result<Self, BackendError> {
        let staged_rows = shape.max_frames * MAX_CONTEXT;
        // Frames that only fill the last bucket have no row: they are drawn from silence and dropped.
        let rows = (0..room(shape.max_frames) * MAX_CONTEXT).map(|row| if row < staged_rows { row as i32 } else { -1 });
        let rows: Vec<i32> = rows.collect();
        let windows = room(shape.max_windows) * shape.window_len;
        let features = room(shape.max_windows) * FEATURE_LEN;
        Ok(Self {
            staged: DeviceBuf::new(context, shape.staged_len().max(windows) * size_of::<f32>())?,
            params_up: PinnedUp::new(context, room(shape.max_frames))?,
            params: DeviceBuf::new(context, room(shape.max_frames) * size_of::<FrameParams>())?,
            rows: DeviceBuf::from_slice(context, &rows)?,
            features: DeviceBuf::new(context, features * size_of::<f32>())?,
            features_down: PinnedDown::new(context, features)?,
        })
    }
}

impl LaneBuffers {
    /// What an audio encoder reads and writes: windows as they were staged, features.
    pub(super) fn of_encoder(&self, shape: SlotShape) -> Buffers {
        let (inputs, outputs) = (vec![self.staged.ptr()], vec![self.features.ptr()]);
        Buffers { inputs, outputs, max_batch: room(shape.max_windows) }
    }
}

/// Items that a buffer of a lane with batches of `most` has room for: the last bucket's.
pub(super) fn room(most: usize) -> usize {
    super::engine::bucket_of(most.min(MAX_BATCH))
}

/// What tells whether two generators can work in the same buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GeneratorShape {
    pub size_px: usize,
    pub crop_side_px: usize,
    pub context_rows: usize,
    pub element: Element,
    pub strips: Option<Strips>,
}

impl GeneratorShape {
    pub(super) fn of(model: &Generator, avatar: &DeviceAvatar) -> Self {
        let Generator { size_px, context_rows, element, .. } = *model;
        let crop_side_px = avatar.geometry().crop_side_px();
        Self { size_px, crop_side_px, context_rows, element, strips: avatar.strips() }
    }
}

/// Buffers that a lane's generators of one shape share: it runs one at a time.
pub(super) struct GeneratorBuffers {
    pub shape: GeneratorShape,
    /// `[batch, 6, size, size]`.
    pub picture: DeviceBuf,
    /// `[batch, context * 512]`.
    pub context: DeviceBuf,
    /// `[batch, 3, size, size]`.
    pub generated: DeviceBuf,
    /// Where the GPU pastes.
    pub pasted: Option<Pasted>,
}

impl GeneratorBuffers {
    pub(super) fn new(context: &Arc<Context>, most: usize, shape: GeneratorShape) -> Result<Self, BackendError> {
        let (batch, plane) = (room(most), shape.size_px * shape.size_px);
        let elements = |each: usize| DeviceBuf::new(context, batch * each * shape.element.bytes());
        Ok(Self {
            shape,
            picture: elements(6 * plane)?,
            context: elements(shape.context_rows * FEATURE_LEN)?,
            generated: elements(3 * plane)?,
            pasted: shape.strips.map(|strips| Pasted::new(context, batch, shape.crop_side_px, strips)).transpose()?,
        })
    }

    /// What a generator reads and writes in batches of up to `max_batch`.
    pub(super) fn ports(&self, max_batch: usize) -> Buffers {
        let (inputs, outputs) = (vec![self.picture.ptr(), self.context.ptr()], vec![self.generated.ptr()]);
        Buffers { inputs, outputs, max_batch }
    }
}

/// What becomes of generated pictures on the GPU.
pub(super) struct Pasted {
    /// Crops with the pictures in them, `[batch, side, side, 4]` bytes.
    pub patched: DeviceBuf,
    /// The strips' planes, packed.
    pub planes: DeviceBuf,
    /// Width and height that no strip exceeds.
    pub largest_px: (usize, usize),
}

impl Pasted {
    fn new(context: &Arc<Context>, batch: usize, side_px: usize, strips: Strips) -> Result<Self, CudaError> {
        Ok(Self {
            patched: DeviceBuf::new(context, batch * side_px * side_px * 4)?,
            planes: DeviceBuf::new(context, batch * strips.stride)?,
            largest_px: strips.largest_px,
        })
    }
}

impl GeneratorBuffers {
    /// Enqueues the pasting of what was generated for `frames`.
    ///
    /// # Safety
    /// As [`Kernels::paste_planes`]: the parameters name pictures that live, and planes of the shape's stride.
    pub(super) unsafe fn paste(&self, kernels: &Kernels, stream: &Stream, frames: FrameBatch) -> Result<(), CudaError> {
        let Some(pasted) = &self.pasted else { return Ok(()) };
        let stages = [self.generated.ptr(), pasted.patched.ptr(), pasted.planes.ptr()];
        // SAFETY: promised by the caller.
        unsafe { kernels.paste_planes(stream, self.shape.element, frames, stages, pasted.largest_px) }
    }
}
