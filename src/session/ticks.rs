//! What a call with idle frames hands over at each tick.

use std::sync::Arc;
use std::time::Instant;

use super::closing::FADE_FRAMES;
use super::core::{SessionCore, State};
use super::feed::Tick;
use super::picture::Picture;
use super::reader::{Step, Taken};
use crate::batch::work::WorkKind;

impl SessionCore {
    /// The frame at the next tick, or what to wait for.
    pub(super) fn step_tick<'a>(self: &'a Arc<Self>, state: &mut State, now: Instant) -> Step<'a> {
        self.want_silence(state, now);
        let known = state.utterance.next_is_known();
        let Some(feed) = &mut state.feed else { return Step::Wait };
        let (tick, due) = (feed.next_tick(), feed.due(feed.next_tick()));
        if now < due {
            return Step::WaitUntil(due);
        }
        let what = feed.next(known);
        let picture = match what {
            Tick::Spoken => match state.utterance.take_frame() {
                Some((index, picture)) => return self.take_spoken(state, (tick, index, picture), now),
                None => return Step::Wait,
            },
            _ if feed.is_spoken() && !state.utterance.is_dry() => {
                self.prepare_closing(state);
                state.utterance.run_dry();
                self.queue_closing(state);
                return self.step_tick(state, now);
            }
            Tick::Closing(left) => match state.closing.as_mut().and_then(|closing| closing.take(left)) {
                Some(picture) => Picture::Drawn(picture),
                None => return Step::Wait,
            },
            Tick::Silent => {
                let pose = self.pose_at(tick);
                if let Some(wait) = self.step_without_picture(pose) {
                    return wait;
                }
                Picture::Silent { pose }
            }
        };
        if let Some(feed) = &mut state.feed {
            feed.take(what, now);
        }
        self.place(state);
        // Perhaps it is the utterance's turn now.
        self.pump(state);
        self.frame_at_tick(state, None, tick, picture)
    }

    fn take_spoken(self: &Arc<Self>, state: &mut State, taken: (u64, usize, Picture), now: Instant) -> Step<'static> {
        let (tick, index, picture) = taken;
        if let Some(feed) = &mut state.feed {
            if feed.is_closing() {
                // The sound goes on, and the mouth will not close now.
                self.queue.forget_closing(self);
            }
            feed.take(Tick::Spoken, now);
        }
        self.note_taken(state, index);
        self.pump(state);
        self.room.notify_one();
        self.frame_at_tick(state, Some(index), tick, picture)
    }

    fn frame_at_tick(&self, state: &State, index: Option<usize>, tick: u64, picture: Picture) -> Step<'static> {
        let avatar_frame = self.pose_at(tick);
        Step::Frame(Taken { index, tick: Some(tick), utterance: state.number, avatar_frame, picture })
    }

    /// Which picture of the avatar stands at `tick`.
    pub(super) fn pose_at(&self, tick: u64) -> usize {
        self.avatar.frame_at(self.options.start_position.wrapping_add(tick))
    }

    /// Has the mouth close in the next ticks, from what the next frames of speech would have heard, unless it is shut or closing;
    /// [`Self::queue_closing`] follows.
    pub(super) fn prepare_closing(&self, state: &mut State) {
        let State { feed: Some(feed), closing: Some(closing), utterance, .. } = state else { return };
        if !feed.is_spoken() || utterance.is_dry() {
            return;
        }
        let position = self.options.start_position.wrapping_add(feed.next_tick());
        closing.begin(position, |frame, context| utterance.stage_ahead(frame, context));
        feed.close(FADE_FRAMES as u64);
    }

    /// Queues the frames in which the mouth closes: those that are still to come and not drawn yet.
    pub(super) fn queue_closing(self: &Arc<Self>, state: &mut State) {
        let State { feed: Some(feed), closing: Some(closing), .. } = &*state else { return };
        let Tick::Closing(left) = feed.next(false) else { return };
        let (now, next) = (Instant::now(), feed.next_tick());
        for (frame, tick) in (FADE_FRAMES - left as usize..FADE_FRAMES).zip(next..) {
            if !closing.is_drawn(frame) {
                self.push(state, WorkKind::Closing { round: closing.round(), frame }, Some(feed.due(tick)), now);
            }
        }
    }
}
