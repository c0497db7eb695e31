//! What a session queues, and when it is due.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::{SessionCore, State, is_live};
use super::options::Pace;
use super::picture::Picture;
use crate::batch::Work;
use crate::batch::work::WorkKind;

impl SessionCore {
    /// Queues every window and frame that has become possible. What is exactly silent needs no lane once it is known.
    pub(super) fn pump(self: &Arc<Self>, state: &mut State) {
        let (generation, anchor, queued_at) = (state.generation, state.anchor, Instant::now());
        let work = |kind, due| Work { session: Arc::clone(self), generation, kind, due, queued_at };
        // A window is due one frame before the first frame that sees it.
        let ahead = self.avatar.context().rows() / 2;
        while let Some(index) = state.utterance.next_window() {
            match self.avatar.silence().feature() {
                Some(feature) if state.utterance.window_is_silent(index) => state.utterance.put_feature(index, feature),
                _ => {
                    let due = self.due(anchor, index.saturating_sub(ahead));
                    self.queue.push(work(WorkKind::Window(index), due));
                }
            }
        }
        while let Some(index) = state.utterance.next_frame() {
            match self.silent_pose(state, index).filter(|&pose| self.keeps(pose)) {
                Some(pose) => {
                    state.utterance.put_frame(index, Picture::Silent { pose });
                    self.event.notify_one();
                }
                None => self.queue.push(work(WorkKind::Frame(index), self.due(anchor, index))),
            }
        }
    }

    /// The pose of frame `index`, if nothing is heard in its context and its picture is one that can be kept.
    pub(super) fn silent_pose(&self, state: &State, index: usize) -> Option<usize> {
        let keeps = self.album.is_some() && state.utterance.context_is_silent(index);
        keeps.then(|| self.avatar.frame_at(state.position.wrapping_add(index as u64)))
    }

    /// Whether the silent picture of `pose` is there.
    pub(super) fn keeps(&self, pose: usize) -> bool {
        self.album.as_ref().is_some_and(|album| album.has(pose))
    }

    /// When frame `index` is due, of a live session's utterance that began at `anchor`.
    fn due(&self, anchor: Option<Instant>, index: usize) -> Option<Instant> {
        let Pace::Live { budget } = self.options.pace else { return None };
        // Whole nanoseconds from the anchor, so that no rounding adds up.
        let ns = index as u128 * 1_000_000_000 / u128::from(self.avatar.fps());
        let pts = Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX));
        anchor?.checked_add(self.avatar.lookahead())?.checked_add(pts)?.checked_add(budget)
    }

    /// Notes that the utterance's sound has come so far: sound that is late moves the utterance's clock, sound that is early does
    /// not.
    pub(super) fn heard(&self, state: &mut State) {
        if !is_live(self.options.pace) {
            return;
        }
        let now = Instant::now();
        let ns = u128::from(state.samples) * 1_000_000_000 / u128::from(self.options.sample_rate_hz.max(1));
        let sound = Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX));
        let natural = now.checked_sub(sound).unwrap_or(now);
        state.anchor = Some(state.anchor.map_or(now, |anchor| anchor.max(natural)));
    }
}
