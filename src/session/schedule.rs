//! What a session queues, and when it is due.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::{SessionCore, State, is_live};
use super::feed::Feed;
use super::picture::Picture;
use crate::batch::Work;
use crate::batch::work::WorkKind;

impl SessionCore {
    /// Queues every window and frame that has become possible. What is exactly silent needs no lane once it is known.
    pub(super) fn pump(self: &Arc<Self>, state: &mut State) {
        let now = Instant::now();
        while let Some(index) = state.utterance.next_window() {
            state.first.window_queued(now);
            match self.avatar.silence().feature() {
                Some(feature) if state.utterance.window_is_silent(index) => {
                    state.utterance.put_feature(index, feature);
                    state.first.window_done(now, now, Duration::ZERO);
                }
                _ => self.push(state, WorkKind::Window(index), self.window_due(state, index, now), now),
            }
        }
        if !self.has_turn(state, now) {
            return;
        }
        while let Some(index) = state.utterance.next_frame() {
            match self.silent_pose(state, index).filter(|&pose| self.keeps(pose)) {
                Some(pose) => {
                    if index == 0 {
                        state.first.drawn(now, now, Duration::ZERO, Duration::ZERO);
                    }
                    state.utterance.put_frame(index, Picture::Silent { pose });
                    self.event.notify_one();
                }
                None => self.push(state, WorkKind::Frame(index), self.frame_due(state, index), now),
            }
        }
        if state.utterance.is_drawn() {
            self.end_turn(state);
        }
        self.speaker.set_awaits_device(state.utterance.awaits_device());
    }

    pub(super) fn push(self: &Arc<Self>, state: &State, kind: WorkKind, due: Option<Instant>, queued_at: Instant) {
        self.queue.push(Work { session: Arc::clone(self), generation: state.generation, kind, due, queued_at });
    }

    /// Whether the utterance's frames may be drawn. With idle frames it waits for a turn, and then its first frame gets its tick; who
    /// cannot wait takes its turn.
    fn has_turn(&self, state: &mut State, now: Instant) -> bool {
        if state.has_turn || !is_live(self.options.pace) || state.utterance.is_drawn() {
            return true;
        }
        if !state.utterance.can_begin() {
            return false;
        }
        let lanes = self.queue.lanes_per_stream(&self.avatar).unwrap_or_default();
        match (self.options.idle_frames, &mut state.feed) {
            (Some(idle), Some(feed)) => {
                let most = idle.utilisation * self.queue.lanes() as f64;
                if !self.queue.turns().ask(&self.speaker, lanes, most, now) {
                    return false;
                }
                if feed.begins_at().is_none() {
                    feed.begin(now, self.options.pace.budget().unwrap_or_default());
                }
                self.place(state);
            }
            _ => self.queue.turns().take(&self.speaker, lanes, now),
        }
        state.has_turn = true;
        true
    }

    /// Puts the utterance where the feed has it.
    pub(super) fn place(&self, state: &mut State) {
        if let Some(begins_at) = state.feed.as_ref().and_then(Feed::begins_at) {
            state.position = self.options.start_position.wrapping_add(begins_at);
        }
    }

    /// Gives the turn to the next.
    pub(super) fn end_turn(&self, state: &mut State) {
        if std::mem::take(&mut state.has_turn) {
            self.queue.turns().end(&self.speaker);
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

    /// When frame `index` is due, of a live session: with idle frames at its tick, and otherwise by the sound alone.
    fn frame_due(&self, state: &State, index: usize) -> Option<Instant> {
        match &state.feed {
            Some(feed) => Some(feed.due(feed.begins_at()? + index as u64)),
            None => self.sound_due(state, index),
        }
    }

    /// When window `index` is due: one frame before the first frame that sees it.
    fn window_due(&self, state: &State, index: usize, now: Instant) -> Option<Instant> {
        let frame = index.saturating_sub(self.avatar.context().rows() / 2);
        match &state.feed {
            // Until the utterance has its turn nothing waits for it but the turn itself.
            Some(_) if !state.has_turn => now.checked_add(self.options.pace.budget()?),
            Some(_) => self.frame_due(state, frame),
            None => self.sound_due(state, frame),
        }
    }

    fn sound_due(&self, state: &State, index: usize) -> Option<Instant> {
        state.clock.due(self.natural_delay(index))?.checked_add(self.options.pace.budget()?)
    }

    /// From the utterance's first sample to the last that frame `index` depends on.
    fn natural_delay(&self, index: usize) -> Duration {
        // Whole nanoseconds from the first, so that no rounding adds up.
        let ns = index as u128 * 1_000_000_000 / u128::from(self.avatar.fps());
        self.avatar.lookahead().saturating_add(Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX)))
    }

    /// Notes that the utterance's sound so far had come by `came`.
    pub(super) fn heard(&self, state: &mut State, came: Instant) {
        let ns = u128::from(state.samples) * 1_000_000_000 / u128::from(self.options.sample_rate_hz.max(1));
        state.clock.heard(came, Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX)));
    }

    /// Notes that the reader has now made room for one more frame, which nothing but the reader was in the way of.
    pub(super) fn made_room(&self, state: &mut State) {
        let next = state.utterance.frames_taken() + self.options.outbox_frames.max(1) - 1;
        state.clock.made_room(Instant::now(), self.natural_delay(next));
    }
}
