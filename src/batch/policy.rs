//! Which waiting work makes the next batch. A pure function of what waits and of the limits: no clock,
//! no locks, no buffers, so that another policy replaces this file alone.
//!
//! Today's policy: windows before frames, because frames wait for windows and windows are cheap;
//! among equals, first come, first served; a batch holds one network's work only.

use crate::backend::ModelId;

/// What may share a batch: the same kind of work for the same network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BatchKey {
    /// Mel windows for this audio encoder, whichever avatars they are for.
    Encode(ModelId),
    /// Frames of the avatar with this generator.
    Render(ModelId),
}

/// How much fits in one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Mel windows per batch, at least 1.
    pub max_windows: usize,
    /// Frames per batch, at least 1.
    pub max_frames: usize,
}

/// The next batch: the first `len` waiting items whose key is `key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchPlan {
    /// Kind and network.
    pub key: BatchKey,
    /// 1 to the limit of the kind.
    pub len: usize,
}

/// The next batch of what waits, oldest first in each of the two lists; `None` when nothing waits.
pub fn next_batch(
    windows: impl Iterator<Item = ModelId> + Clone,
    frames: impl Iterator<Item = ModelId> + Clone,
    limits: &Limits,
) -> Option<BatchPlan> {
    if let Some(model) = windows.clone().next() {
        let len = windows.filter(|&m| m == model).take(limits.max_windows.max(1)).count();
        return Some(BatchPlan { key: BatchKey::Encode(model), len });
    }
    let model = frames.clone().next()?;
    let len = frames.filter(|&m| m == model).take(limits.max_frames.max(1)).count();
    Some(BatchPlan { key: BatchKey::Render(model), len })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { max_windows: 4, max_frames: 2 };

    fn plan(windows: &[u64], frames: &[u64]) -> Option<BatchPlan> {
        let ids = |list: &[u64]| list.iter().map(|&id| ModelId(id)).collect::<Vec<_>>();
        let (windows, frames) = (ids(windows), ids(frames));
        next_batch(windows.iter().copied(), frames.iter().copied(), &LIMITS)
    }

    #[test]
    fn batches_are_first_come_first_served_of_one_network() {
        let encode = |id, len| Some(BatchPlan { key: BatchKey::Encode(ModelId(id)), len });
        let render = |id, len| Some(BatchPlan { key: BatchKey::Render(ModelId(id)), len });
        assert_eq!(plan(&[], &[]), None);
        assert_eq!(plan(&[], &[7]), render(7, 1));
        assert_eq!(plan(&[], &[7, 8, 7, 7]), render(7, 2), "skips the other avatar, stops at the limit");
        assert_eq!(plan(&[1], &[7, 7]), encode(1, 1), "windows first");
        assert_eq!(plan(&[1, 1, 2, 1, 1, 1], &[]), encode(1, 4));
    }
}
