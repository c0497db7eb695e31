//! The silent pictures that a call with idle frames is about to show: those that the avatar has not got yet are drawn on the way.
//!
//! No more than the next ticks show, and each for the session that shows it first, so that nothing is drawn when that has gone. They
//! take no turn: what is said goes before them.

use std::sync::Arc;
use std::time::Instant;

use super::core::{SessionCore, State};
use super::reader::Step;
use crate::audio::SILENT_MEL;
use crate::avatar::silence::Claim;
use crate::batch::slot::FrameJob;
use crate::batch::work::WorkKind;
use crate::batch::{PooledBuf, Work};

/// Ticks for which pictures are drawn ahead, a third of a second: enough for a busy device to find a moment for each, and little
/// enough that nobody waits long for one that another has asked for earlier than it needs it.
const AHEAD: u64 = 8;

/// Queued of a session at most: these pictures and the silent feature.
pub(super) const MOST_ITEMS: usize = AHEAD as usize + 1;

impl SessionCore {
    /// Queues the silent pictures that the next ticks may show, but for those that are there or that another session has queued.
    pub(super) fn want_silence(self: &Arc<Self>, state: &State, now: Instant) {
        let (Some(feed), Some(album)) = (&state.feed, &self.album) else { return };
        let (_, after_next) = state.utterance.place_of(state.utterance.frames_taken());
        let ticks = feed.silent_ahead(state.utterance.next_is_known(), after_next as u64 + 1, AHEAD);
        let device = self.avatar.device();
        if self.avatar.silence().feature().is_none() {
            let claim = album.claim_feature(device).filter(|_| self.avatar.silence().feature().is_none());
            if let Some(claim) = claim {
                self.push(state, WorkKind::Silence(claim), Some(feed.due(ticks.start)), now);
            }
            return;
        }
        for tick in ticks {
            if let Some(claim) = album.claim(self.pose_at(tick), device) {
                self.push(state, WorkKind::Silence(claim), Some(feed.due(tick)), now);
            }
        }
    }

    /// What to wait for while the silent picture of `pose` is not there; `None` when it is.
    pub(super) fn step_without_picture(&self, pose: usize) -> Option<Step<'_>> {
        let album = self.album.as_ref();
        // Before it is asked what there is: what comes between the two is heard of.
        let ends = album.and_then(|album| Some([album.claim_over(Some(pose))?, album.claim_over(None)?]));
        if self.keeps(pose) {
            return None;
        }
        let is_known = self.avatar.silence().feature().is_some();
        Some(ends.map_or(Step::Wait, |[picture, feature]| Step::WaitForClaim(if is_known { picture } else { feature })))
    }

    /// Stages a window in which nothing is heard; false when it is no longer wanted.
    pub(crate) fn stage_silent_window(&self, work: &Work, window: &mut [f32]) -> bool {
        window.fill(SILENT_MEL);
        self.lock().generation == work.generation
    }

    /// Stages the context of the silent picture of `claim` and says how to draw it; `None` when it is no longer wanted.
    pub(crate) fn stage_silent_picture(
        &self,
        work: &Work,
        claim: &Claim,
        context: &mut [f32],
    ) -> Option<(FrameJob, PooledBuf)> {
        let (silent, avatar_frame) = (self.avatar.silence().feature()?, claim.pose()?);
        if self.lock().generation != work.generation {
            return None;
        }
        context.chunks_exact_mut(silent.len().max(1)).for_each(|row| row.copy_from_slice(silent));
        Some((FrameJob { avatar_frame, format: self.options.format, picture: None }, self.pool.take()))
    }

    /// Keeps the silent feature.
    pub(crate) fn put_silent_feature(&self, feature: &[f32]) {
        self.avatar.silence().keep_feature(feature);
        self.event.notify_one();
    }

    /// Keeps the silent picture of `claim`, whatever has become of the utterance.
    pub(crate) fn put_silent_picture(&self, claim: &Claim, picture: &[u8]) {
        if let Some(pose) = claim.pose() {
            self.avatar.keep_silent(claim.album(), pose, picture);
            self.event.notify_one();
        }
    }
}
