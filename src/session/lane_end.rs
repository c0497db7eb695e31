//! What lanes do with a session: stage its work, and bring back what was made. Each holds its lock for a moment.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::closing::{fade, weight};
use super::core::{SessionCore, State};
use super::options::PictureOverride;
use super::picture::Picture;
use super::reader::SessionError;
use crate::backend::BackendError;
use crate::batch::slot::{FrameJob, StageTimes};
use crate::batch::{PooledBuf, Work};

impl SessionCore {
    /// Stages the window of `work`; false when it is no longer wanted.
    pub(crate) fn stage_window(&self, work: &Work, index: usize, scratch: &mut [f32], window: &mut [f32]) -> bool {
        let state = self.lock();
        let wanted = state.generation == work.generation;
        if wanted {
            state.utterance.stage_window(index, scratch, window);
        }
        wanted
    }

    /// Stages the context of `work` and says how to draw the frame; `None` when it is no longer wanted.
    pub(crate) fn stage_frame(&self, work: &Work, index: usize, context: &mut [f32]) -> Option<(FrameJob, PooledBuf)> {
        let position = {
            let state = self.lock();
            if state.generation != work.generation {
                return None;
            }
            state.utterance.stage_context(index, context);
            if let (Some(_), Some(silent)) = (&state.feed, self.avatar.silence().feature()) {
                let (before, after) = state.utterance.place_of(index);
                let weight = weight(before, after);
                if weight < 1.0 {
                    fade(context, silent, weight);
                }
            }
            state.position.wrapping_add(index as u64)
        };
        let picture = self
            .options
            .pictures
            .as_ref()
            .and_then(|pictures| PictureOverride::nth(pictures, index, self.avatar.picture_len()));
        let job = FrameJob { avatar_frame: self.avatar.frame_at(position), format: self.options.format, picture };
        Some((job, self.pool.take()))
    }

    /// As [`Self::stage_frame`], of a round's frame in which the mouth closes.
    pub(crate) fn stage_closing(
        &self,
        work: &Work,
        (round, frame): (u32, usize),
        context: &mut [f32],
    ) -> Option<(FrameJob, PooledBuf)> {
        let state = self.lock();
        let silent = self.avatar.silence().feature()?;
        let closing = state.closing.as_ref().filter(|_| state.generation == work.generation)?;
        let position = closing.stage(round, frame, silent, context)?;
        drop(state);
        let (avatar_frame, format) = (self.avatar.frame_at(position), self.options.format);
        Some((FrameJob { avatar_frame, format, picture: None }, self.pool.take()))
    }

    /// Takes the picture of such a frame.
    pub(crate) fn put_closing(&self, work: &Work, (round, frame): (u32, usize), picture: PooledBuf) {
        let mut state = self.lock();
        let wanted = state.generation == work.generation;
        if let Some(closing) = state.closing.as_mut().filter(|_| wanted)
            && closing.put(round, frame, picture)
        {
            self.drawn.fetch_add(1, Ordering::Relaxed);
            self.event.notify_one();
        }
    }

    /// Takes the feature of window `index`, whose batch took `times`.
    pub(crate) fn put_feature(self: &Arc<Self>, work: &Work, index: usize, feature: &[f32], times: StageTimes) {
        let mut state = self.lock();
        if state.generation == work.generation {
            if state.utterance.window_is_silent(index) {
                self.avatar.silence().keep_feature(feature);
            }
            state.utterance.put_feature(index, feature);
            state.first.window_done(Instant::now(), work.queued_at, times.network);
            self.pump(&mut state);
            self.room.notify_one();
        }
    }

    /// Takes finished frame `index`, whose batch took `times`.
    pub(crate) fn put_frame(&self, work: &Work, index: usize, frame: PooledBuf, times: StageTimes) {
        let mut state = self.lock();
        if state.generation == work.generation
            && let Some(pose) = self.silent_pose(&state, index).filter(|&pose| !self.keeps(pose))
            && let Some(album) = &self.album
        {
            drop(state);
            self.avatar.keep_silent(album, pose, &frame);
            state = self.lock();
        }
        if state.generation == work.generation {
            if index == 0 {
                state.first.drawn(Instant::now(), work.queued_at, times.network, times.composite);
            }
            state.utterance.put_frame(index, Picture::Drawn(frame));
            self.drawn.fetch_add(1, Ordering::Relaxed);
            if state.utterance.is_drawn() {
                self.end_turn(&mut state);
            }
            self.speaker.set_awaits_device(state.utterance.awaits_device());
            self.event.notify_one();
        }
    }

    /// Adds this item's share of its batch's times.
    pub(crate) fn add_times(&self, share: StageTimes) {
        self.times.add_stages(share);
    }

    /// Ends the session: its work cannot be done.
    pub(crate) fn fail(self: &Arc<Self>, work: &Work, error: &BackendError) {
        let mut state = self.lock();
        if state.generation == work.generation {
            self.fail_with(&mut state, SessionError::new(error));
        }
    }

    /// Ends the session: what it waits for will not come.
    pub(super) fn give_up(self: &Arc<Self>, error: SessionError) {
        self.fail_with(&mut self.lock(), error);
    }

    fn fail_with(self: &Arc<Self>, state: &mut State, error: SessionError) {
        if state.failure.is_none() {
            self.forget(state);
            state.failure = Some(error);
            self.event.notify_one();
        }
    }
}
