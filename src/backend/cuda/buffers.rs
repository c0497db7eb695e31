//! A lane's buffers: what its batches are uploaded to, worked on in, and read back to.

use std::sync::Arc;

use super::avatar::Strips;
use super::engine::{Buffers, MAX_BATCH};
use super::kernels::params::FrameParams;
use crate::avatar::MAX_CONTEXT;
use crate::avatar::onnx::FEATURE_LEN;
use crate::backend::BackendError;
use crate::batch::slot::SlotShape;
use crate::cuda::{Context, DeviceBuf, PinnedDown, PinnedUp, Plain};
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
    pub context_rows: usize,
    pub element: Element,
    pub strips: Option<Strips>,
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
    /// The strips' planes, packed, on the GPU.
    pub planes: Option<DeviceBuf>,
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
            planes: shape.strips.map(|strips| DeviceBuf::new(context, batch * strips.stride)).transpose()?,
        })
    }
}
