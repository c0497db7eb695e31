//! How much a slot holds, and the memory it is staged in.

use std::ops::DerefMut;

/// What a slot holds room for, fixed when the engine starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotShape {
    /// Windows per batch.
    pub max_windows: usize,
    /// Frames per batch.
    pub max_frames: usize,
    /// Floats of the largest mel window.
    pub window_len: usize,
    /// Floats of the largest context.
    pub context_len: usize,
}

impl SlotShape {
    /// Floats that inputs are staged in: windows or contexts, whichever take more.
    #[must_use]
    pub fn staged_len(&self) -> usize {
        (self.max_windows * self.window_len).max(self.max_frames * self.context_len)
    }
}

/// Host memory that inputs are staged in. A GPU's lanes give pinned memory, which is for writing only.
pub trait Staging: DerefMut<Target = [f32]> + Send {}

impl<T: DerefMut<Target = [f32]> + Send> Staging for T {}
