//! What a session is opened with.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::backend::FrameFormat;

/// Whether somebody watches the frames as they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Nobody waits for a single frame: the work fills what live sessions leave.
    Whole,
    /// As [`Pace::Whole`], for nobody at all: a new avatar is tried out, and what it does is counted nowhere.
    Rehearsal,
    /// Frame i is due when the sound it depends on could have been there at the earliest, at its natural pace, plus `budget`.
    Live {
        /// Time from the sound to the frame that a viewer does not notice.
        budget: Duration,
    },
}

/// A frame for every tick of the call: while nobody speaks, the avatar with its mouth shut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IdleFrames {
    /// Part of the device's lanes that speech may keep busy; an utterance that would make it more begins later.
    pub utilisation: f64,
}

impl Pace {
    /// Time from the sound to the frame, where frames have a time they are due.
    #[must_use]
    pub fn budget(self) -> Option<Duration> {
        match self {
            Self::Live { budget } => Some(budget),
            Self::Whole | Self::Rehearsal => None,
        }
    }

    /// Whether nobody sees the frames.
    #[must_use]
    pub fn is_unseen(self) -> bool {
        matches!(self, Self::Rehearsal)
    }
}

/// Everything a viewer may choose.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// What each frame is delivered as.
    pub format: FrameFormat,
    /// Place in the avatar's loop of the first frame.
    pub start_position: u64,
    /// Rate of the samples that will come, Hz.
    pub sample_rate_hz: u32,
    /// Whether frames have a time they are due.
    pub pace: Pace,
    /// Whether there are frames while nobody speaks; of live sessions whose frames are JPEGs.
    pub idle_frames: Option<IdleFrames>,
    /// Frames made ahead of the reader at most, 1..=[`Self::MAX_OUTBOX`].
    pub outbox_frames: usize,
    /// Ends each utterance after this many frames.
    pub max_frames: Option<usize>,
    /// Pictures for the generator in place of the avatar's own: `[n, 6, size, size]`, used for frames `0..n`.
    pub pictures: Option<Arc<[f32]>>,
    /// One context for every frame in place of speech; the utterance then is `max_frames` long.
    pub fixed_context: Option<Arc<[f32]>>,
}

impl SessionOptions {
    /// Frames a live session may run ahead of its reader: a third of a second at 25 frames/s.
    pub const LIVE_OUTBOX: usize = 8;
    /// For readers that take everything, such as files: keeps the slots busy while one frame is written.
    pub const BULK_OUTBOX: usize = 32;
    /// Largest outbox a session may ask for.
    pub const MAX_OUTBOX: usize = 256;

    /// Frames of `format` at the given rate from the loop's start, with a live session's outbox.
    #[must_use]
    pub fn new(format: FrameFormat, sample_rate_hz: u32) -> Self {
        Self {
            format,
            start_position: 0,
            sample_rate_hz,
            pace: Pace::Whole,
            idle_frames: None,
            outbox_frames: Self::LIVE_OUTBOX,
            max_frames: None,
            pictures: None,
            fixed_context: None,
        }
    }
}

/// One generator input `[6, size, size]` out of a client's, shared without copying.
#[derive(Debug, Clone)]
pub struct PictureOverride {
    pictures: Arc<[f32]>,
    range: Range<usize>,
}

impl PictureOverride {
    /// Picture `index` of `pictures` with `len` floats each; `None` past the last.
    #[must_use]
    pub fn nth(pictures: &Arc<[f32]>, index: usize, len: usize) -> Option<Self> {
        let start = index.checked_mul(len)?;
        let range = start..start.checked_add(len)?;
        (range.end <= pictures.len()).then(|| Self { pictures: Arc::clone(pictures), range })
    }

    /// The floats, planar.
    #[must_use]
    pub fn as_slice(&self) -> &[f32] {
        &self.pictures[self.range.clone()]
    }
}
