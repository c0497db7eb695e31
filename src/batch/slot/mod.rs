//! The buffers of one batch in flight. A slot moves by value through its states,
//!
//! ```text
//! Free ──stage──▶ Filled ──submit──▶ InFlight ──complete──▶ Ready ──deliver──▶ Free
//! ```
//!
//! and each state lends only what is safe to touch in it: staging fills a `Free` slot, the backend reads a
//! `Filled` one and writes the results of an `InFlight` one, delivery empties a `Ready` one. There is no
//! way to hand a slot back twice or to read a batch that is still running.

use std::sync::Arc;
use std::time::Duration;

use super::policy::BatchKey;
use super::pool::PooledBuf;
use super::work::Work;
use crate::avatar::LoadedAvatar;
use crate::avatar::onnx::FEATURE_LEN;
use crate::backend::{BackendError, FrameFormat, ModelId};
use crate::session::PictureOverride;

mod ready;
mod shape;

pub use shape::{SlotShape, Staging};

/// Nothing staged.
pub struct Free(());

/// Staged: inputs complete, nothing running.
pub struct Filled {
    key: BatchKey,
}

/// The backend is at work on it.
pub struct InFlight {
    key: BatchKey,
}

/// Results are in, or the batch failed.
pub struct Ready {
    outcome: Result<StageTimes, BackendError>,
}

/// One frame to draw.
pub struct FrameJob {
    /// Which picture of the avatar.
    pub avatar_frame: usize,
    /// What to make of the composited frame.
    pub format: FrameFormat,
    /// Replaces the generator's picture input.
    pub picture: Option<PictureOverride>,
}

/// Time a batch spent in its stages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// In the network of the batch.
    pub network: Duration,
    /// Compositing and encoding.
    pub composite: Duration,
}

/// One batch's buffers in state `S`.
pub struct Slot<S> {
    body: Box<Body>,
    state: S,
}

struct Body {
    shape: SlotShape,
    avatar: Option<Arc<LoadedAvatar>>,
    work: Vec<Work>,
    frames: Vec<FrameJob>,
    staged: Box<dyn Staging>,
    stride: usize,
    features: Vec<f32>,
    outputs: Vec<PooledBuf>,
    /// Frames that could not be drawn, and why.
    failed: Vec<(usize, BackendError)>,
}

impl<S> Slot<S> {
    fn with_state<T>(self, state: T) -> Slot<T> {
        Slot { body: self.body, state }
    }

    /// Windows or frames in the batch.
    #[must_use]
    pub fn len(&self) -> usize {
        self.body.work.len()
    }

    /// Whether the batch holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.body.work.is_empty()
    }
}

impl Slot<Free> {
    /// Allocates every buffer the slot will ever use but `staged`, of [`SlotShape::staged_len`] floats.
    #[must_use]
    pub fn new(shape: SlotShape, staged: Box<dyn Staging>) -> Self {
        debug_assert!(staged.len() >= shape.staged_len(), "a slot's staging memory is as long as its shape says");
        let items = shape.max_windows.max(shape.max_frames);
        let body = Body {
            shape,
            avatar: None,
            work: Vec::with_capacity(items),
            frames: Vec::with_capacity(shape.max_frames),
            staged,
            stride: 0,
            features: vec![0.0; shape.max_windows * FEATURE_LEN],
            outputs: Vec::with_capacity(shape.max_frames),
            failed: Vec::with_capacity(shape.max_frames),
        };
        Self { body: Box::new(body), state: Free(()) }
    }

    /// The shape it was made with.
    #[must_use]
    pub fn shape(&self) -> SlotShape {
        self.body.shape
    }

    /// Where the queue puts the batch's work.
    pub(crate) fn work_mut(&mut self) -> &mut Vec<Work> {
        &mut self.body.work
    }

    /// The avatar of the batch's first item: for frames, of all of them.
    pub(crate) fn first_avatar(&self) -> Option<Arc<LoadedAvatar>> {
        self.body.work.first().map(|work| Arc::clone(work.session.avatar()))
    }

    /// Stages a batch of windows of `window_len` floats: `stage` writes each item's window and says
    /// whether the item is still wanted; the others leave the batch.
    pub(crate) fn fill_windows(
        mut self,
        model: ModelId,
        window_len: usize,
        mut stage: impl FnMut(&Work, &mut [f32]) -> bool,
    ) -> Slot<Filled> {
        let Body { work, staged, .. } = &mut *self.body;
        let mut kept = 0;
        work.retain(|item| {
            let wanted = stage(item, &mut staged[kept * window_len..(kept + 1) * window_len]);
            kept += usize::from(wanted);
            wanted
        });
        self.body.stride = window_len;
        self.with_state(Filled { key: BatchKey::Encode(model) })
    }

    /// Stages a batch of frames of `avatar`: `stage` writes each item's context, returning its job and
    /// the buffer for its result, or `None` for an item no longer wanted.
    pub(crate) fn fill_frames(
        mut self,
        avatar: Arc<LoadedAvatar>,
        mut stage: impl FnMut(&Work, &mut [f32]) -> Option<(FrameJob, PooledBuf)>,
    ) -> Slot<Filled> {
        let context_len = avatar.context_len();
        let Body { work, staged, frames, outputs, .. } = &mut *self.body;
        work.retain(|item| {
            let at = frames.len() * context_len;
            let staged = stage(item, &mut staged[at..at + context_len]);
            let wanted = staged.is_some();
            if let Some((job, output)) = staged {
                frames.push(job);
                outputs.push(output);
            }
            wanted
        });
        let key = BatchKey::Render(avatar.models().generator);
        self.body.stride = context_len;
        self.body.avatar = Some(avatar);
        self.with_state(Filled { key })
    }
}

impl Slot<Filled> {
    /// Empties a slot whose every item was cut while it waited.
    #[must_use]
    pub(crate) fn abandon(self) -> Slot<Free> {
        self.with_state(Ready { outcome: Ok(StageTimes::default()) }).recycle()
    }

    /// Hands the slot to the device.
    #[must_use]
    pub fn launch(self) -> Slot<InFlight> {
        let key = self.state.key;
        self.with_state(InFlight { key })
    }
}

impl Slot<InFlight> {
    /// What the batch is.
    #[must_use]
    pub fn key(&self) -> BatchKey {
        self.state.key
    }

    /// The avatar of a batch of frames.
    #[must_use]
    pub fn avatar(&self) -> Option<&Arc<LoadedAvatar>> {
        self.body.avatar.as_ref()
    }

    /// The staged floats of item `index`: its mel window `[1, mels, 16]` or its context.
    #[must_use]
    pub fn staged(&self, index: usize) -> &[f32] {
        &self.body.staged[index * self.body.stride..][..self.body.stride]
    }

    /// All staged floats, `[len, window or context]`, for one upload.
    #[must_use]
    pub fn staged_batch(&self) -> &[f32] {
        &self.body.staged[..self.len() * self.body.stride]
    }

    /// Frame `index` of the batch.
    #[must_use]
    pub fn frame(&self, index: usize) -> &FrameJob {
        &self.body.frames[index]
    }

    /// Frames of the batch; 0 in a batch of windows.
    #[must_use]
    pub fn frames(&self) -> &[FrameJob] {
        &self.body.frames
    }

    /// Where the feature of window `index` goes, 512 floats.
    pub fn feature_mut(&mut self, index: usize) -> &mut [f32] {
        &mut self.body.features[index * FEATURE_LEN..][..FEATURE_LEN]
    }

    /// Where the picture of frame `index` goes.
    pub fn output_mut(&mut self, index: usize) -> &mut PooledBuf {
        &mut self.body.outputs[index]
    }

    /// Where the pictures of all frames go, in order; as many must be there when the slot lands.
    pub(crate) fn outputs_mut(&mut self) -> &mut Vec<PooledBuf> {
        &mut self.body.outputs
    }

    /// Frame `index` could not be drawn, for a reason that is its own: the others of the batch go on.
    pub fn fail_frame(&mut self, index: usize, error: BackendError) {
        self.body.failed.push((index, error));
    }

    /// The results are in, or `outcome` says why there are none.
    #[must_use]
    pub fn land(self, outcome: Result<StageTimes, BackendError>) -> Slot<Ready> {
        self.with_state(Ready { outcome })
    }
}
