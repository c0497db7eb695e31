//! The counters and histories of one utterance: what is known, what is queued, what is done.
//!
//! No locks and no threads here: [`super::core`] guards it, the lanes fill it. Windows and frames are
//! queued in order, done in any order, and taken in order.

use std::sync::Arc;

use super::feature_history::FeatureHistory;
use super::mel_history::MelHistory;
use crate::audio::{Context, ContextRow, FrameClock, WINDOW_MEL_FRAMES, Windows};
use crate::avatar::onnx::FEATURE_LEN;

/// Encoder windows a session may run ahead of what its frames need now.
const WINDOWS_AHEAD: usize = 16;

/// Sizes of an utterance's histories, fixed when its session opens.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Frames made ahead of the reader.
    pub outbox_frames: usize,
    /// Mel frames one intake block can add.
    pub block_mel_frames: usize,
}

/// The sound's length, once it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ended {
    mel_frames: usize,
    windows: usize,
    frames: usize,
}

/// One utterance, from its first sample to its last frame; `F` is a finished frame.
pub struct Utterance<F> {
    clock: FrameClock,
    context: Context,
    block_mel_frames: usize,
    mel: MelHistory,
    features: FeatureHistory,
    windows_queued: usize,
    frames_queued: usize,
    /// Finished frames by number, a ring.
    outbox: Vec<Option<F>>,
    frames_taken: usize,
    frames_made: usize,
    /// Frame at which the sound began, or went on after it had run dry.
    heard_from: usize,
    ended: Option<Ended>,
    max_frames: usize,
    fixed_context: Option<Arc<[f32]>>,
}

impl<F> Utterance<F> {
    /// An utterance with all its memory.
    #[must_use]
    pub fn new(clock: FrameClock, context: Context, mels: usize, limits: Limits) -> Self {
        let outbox_frames = limits.outbox_frames.max(1);
        let feature_capacity = Self::feature_capacity(context, outbox_frames);
        // A full feature history, the window after it, and what arrives while it waits.
        let mel_capacity =
            clock.window_start(feature_capacity + 1) + 2 * WINDOW_MEL_FRAMES + 2 * limits.block_mel_frames;
        Self {
            clock,
            context,
            block_mel_frames: limits.block_mel_frames,
            mel: MelHistory::new(mels, mel_capacity),
            features: FeatureHistory::new(feature_capacity),
            windows_queued: 0,
            frames_queued: 0,
            outbox: std::iter::repeat_with(|| None).take(outbox_frames).collect(),
            frames_taken: 0,
            frames_made: 0,
            heard_from: 0,
            ended: None,
            max_frames: usize::MAX,
            fixed_context: None,
        }
    }

    /// Windows such an utterance has queued at most.
    #[must_use]
    pub fn feature_capacity(context: Context, outbox_frames: usize) -> usize {
        outbox_frames + 2 * context.rows() + WINDOWS_AHEAD
    }

    /// Starts anew, keeping the memory: `max_frames` bounds its length, and with `fixed_context` it has
    /// exactly that many frames and needs no sound.
    pub fn reset(&mut self, max_frames: Option<usize>, fixed_context: Option<&Arc<[f32]>>) {
        self.mel.clear();
        self.features.clear();
        self.windows_queued = 0;
        self.frames_queued = 0;
        self.outbox.iter_mut().for_each(|frame| *frame = None);
        self.frames_taken = 0;
        self.frames_made = 0;
        self.heard_from = 0;
        self.ended = None;
        self.max_frames = max_frames.unwrap_or(usize::MAX);
        self.fixed_context = fixed_context.map(Arc::clone);
    }

    /// Whether one more block of sound fits.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.mel.end() - self.oldest_mel() + self.block_mel_frames <= self.mel.capacity()
    }

    /// The oldest mel frame that a window, queued or to come, may read.
    fn oldest_mel(&self) -> usize {
        let by_windows = self.clock.window_start(self.features.end());
        // If the sound ends now, the last windows slide back this far.
        by_windows.min(self.mel.end().saturating_sub(WINDOW_MEL_FRAMES))
    }

    /// Adds mel frames `[n, mels]`; the caller has seen [`Self::has_room`].
    pub fn push_mel(&mut self, frames: &[f32]) {
        self.mel.push(frames);
    }

    /// The sound is complete; it covers `frames` video frames. With a fixed context there is no sound to
    /// count by, and the utterance is as long as it may be.
    pub fn finish(&mut self, frames: usize) {
        let frames = if self.fixed_context.is_some() { self.max_frames } else { frames };
        let windows = self.clock.window_count(self.mel.end());
        self.ended = Some(Ended { mel_frames: self.mel.end(), windows, frames });
    }

    /// The next window to queue, each given once.
    pub fn next_window(&mut self) -> Option<usize> {
        if self.fixed_context.is_some() {
            return None;
        }
        let known = match self.ended {
            Some(ended) => ended.windows,
            None => self.clock.windows_ready(self.mel.end()),
        };
        let room = self.context.oldest_window(self.frames_taken) + self.features.capacity();
        let next = self.windows_queued;
        if next >= known.min(room) {
            return None;
        }
        self.windows_queued += 1;
        Some(next)
    }

    /// The next frame to queue, each given once: its features are in and the outbox has room for it.
    pub fn next_frame(&mut self) -> Option<usize> {
        let room = self.frames_taken + self.outbox.len();
        let next = self.frames_queued;
        if next >= room.min(self.frames_known()) {
            return None;
        }
        self.frames_queued += 1;
        Some(next)
    }

    /// Frames, from the first, whose context is certain.
    fn frames_known(&self) -> usize {
        let total = self.total();
        if self.fixed_context.is_some() { total } else { total.min(self.context.frames_ready(self.windows())) }
    }

    fn windows(&self) -> Windows {
        match self.ended {
            Some(Ended { windows, .. }) => Windows::All { count: windows, done: self.features.end() },
            None => Windows::SoFar(self.features.end()),
        }
    }

    /// The first mel frame of window `index`.
    fn window_start(&self, index: usize) -> usize {
        match self.ended {
            Some(ended) => self.clock.window_start_in(index, ended.mel_frames),
            None => self.clock.window_start(index),
        }
    }

    /// Whether window `index`, queued and not yet done, is exactly silent: its feature is then that of every such window.
    #[must_use]
    pub fn window_is_silent(&self, index: usize) -> bool {
        self.mel.is_silent(self.window_start(index))
    }

    /// Writes window `index` as the encoder takes it, `[mels, 16]`. `scratch` is `16 * mels` long.
    pub fn stage_window(&self, index: usize, scratch: &mut [f32], window: &mut [f32]) {
        self.mel.window(self.window_start(index), scratch, window);
    }

    /// Takes the feature of window `index`.
    pub fn put_feature(&mut self, index: usize, feature: &[f32]) {
        let is_silent = self.window_is_silent(index);
        self.features.put(index, feature, is_silent, self.windows_queued);
    }

    /// Writes the context of frame `index`, `[rows, 512]`.
    pub fn stage_context(&self, index: usize, context: &mut [f32]) {
        if let Some(fixed) = &self.fixed_context {
            context.copy_from_slice(fixed);
            return;
        }
        let windows = self.windows();
        for (row, slot) in context.chunks_exact_mut(FEATURE_LEN).enumerate() {
            match self.context.row(index, row, windows) {
                ContextRow::Window(window) => slot.copy_from_slice(self.features.feature(window)),
                ContextRow::Zero | ContextRow::NotYet => slot.fill(0.0),
            }
        }
    }

    /// Whether frame `index` sees nothing but exact silence: its picture is then that of every such frame of its pose.
    #[must_use]
    pub fn context_is_silent(&self, index: usize) -> bool {
        let windows = self.windows();
        let silent =
            |row| matches!(self.context.row(index, row, windows), ContextRow::Window(w) if self.features.is_silent(w));
        self.fixed_context.is_none() && (0..self.context.rows()).all(silent)
    }

    /// Whether the next frame to take is there or being made.
    #[must_use]
    pub fn next_is_known(&self) -> bool {
        self.frames_queued > self.frames_taken
    }

    /// Whether windows or frames are queued or being made.
    #[must_use]
    pub fn awaits_device(&self) -> bool {
        self.frames_queued > self.frames_made || self.windows_queued > self.features.end()
    }

    /// Whether a frame can be queued, or there will be none.
    #[must_use]
    pub fn can_begin(&self) -> bool {
        self.frames_known() > 0
    }

    /// Frames of speech before frame `index`, since the sound began or last ran dry, and after it, as far as is known.
    #[must_use]
    pub fn place_of(&self, index: usize) -> (usize, usize) {
        let after = self.ended.map_or(usize::MAX - 1, |_| self.total().saturating_sub(index + 1));
        (index.saturating_sub(self.heard_from), after)
    }

    /// Notes that the sound has run dry, so that what comes next begins anew.
    pub fn run_dry(&mut self) {
        self.heard_from = self.frames_taken;
    }

    /// Whether nothing has been taken since the sound began, or since it was noted that it has run dry.
    #[must_use]
    pub fn is_dry(&self) -> bool {
        self.heard_from == self.frames_taken
    }

    /// Writes what the frame `ahead` of the next to take hears, or, as far as the sound is not there, the last that is known.
    pub fn stage_ahead(&self, ahead: usize, context: &mut [f32]) {
        let last = self.frames_known().saturating_sub(1);
        self.stage_context((self.frames_taken + ahead).min(last), context);
    }

    /// Puts finished frame `index` where the reader will find it.
    pub fn put_frame(&mut self, index: usize, frame: F) {
        self.frames_made += 1;
        let at = index % self.outbox.len();
        self.outbox[at] = Some(frame);
    }

    /// The next frame in order, once it is there.
    pub fn take_frame(&mut self) -> Option<(usize, F)> {
        let index = self.frames_taken;
        let at = index % self.outbox.len();
        let frame = self.outbox[at].take()?;
        self.frames_taken += 1;
        Some((index, frame))
    }

    /// Whether no frame more can be made before one is taken.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.outbox.iter().all(Option::is_some)
    }

    /// Frames taken so far.
    #[must_use]
    pub fn frames_taken(&self) -> usize {
        self.frames_taken
    }

    /// Frames it has, or may have at most while its end is not known.
    fn total(&self) -> usize {
        self.ended.map_or(self.max_frames, |ended| ended.frames.min(self.max_frames))
    }

    /// Whether every frame has been taken.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.frames_taken >= self.total()
    }

    /// Whether every frame has been made.
    #[must_use]
    pub fn is_drawn(&self) -> bool {
        self.frames_made >= self.total()
    }
}
