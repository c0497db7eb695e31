//! The reading end of a session: frames in order, and what happens between them.

use std::sync::Arc;

use super::core::{Phase, SessionCore};
use super::picture::Picture;
use super::times::SessionTimes;
use crate::backend::BackendError;
use crate::batch::PooledBuf;

/// One finished frame.
pub struct OutFrame {
    /// Number within its utterance.
    pub index: u64,
    /// Number of its utterance within the session.
    pub utterance: u32,
    /// Which picture of the avatar it is drawn on.
    pub avatar_frame: usize,
    /// A JPEG file, or BGR pixels, as the session asked. Returns to its pool when dropped.
    pub data: PooledBuf,
}

/// Where an interrupt cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The utterance that was running, or the next one's number when none was.
    pub utterance: u32,
    /// Frames of it that the reader had taken.
    pub frames: u64,
    /// Place in the loop where the next utterance goes on.
    pub next_position: u64,
}

/// What the reader meets, in order.
pub enum Event {
    /// The next frame.
    Frame(OutFrame),
    /// The utterance's last frame has been taken.
    UtteranceDone {
        /// Its number.
        utterance: u32,
        /// Frames it had.
        frames: u64,
        /// Samples it had, at the client's rate.
        samples: u64,
    },
    /// The utterance was cut; no frame of it follows.
    Interrupted(Cut),
}

/// Why a session ended early: the backend could not do its work.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what}")]
pub struct SessionError {
    what: Arc<str>,
    passing: bool,
}

impl SessionError {
    /// One failure serves every session of a batch, so only its sentence is kept.
    pub(super) fn new(error: &BackendError) -> Self {
        Self { what: error.to_string().into(), passing: matches!(error, BackendError::DeviceLost { .. }) }
    }

    /// Whether another try, here or elsewhere, will do: the device was lost, and the daemon starts anew.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        self.passing
    }
}

/// The reading end. Dropping it ends the session at once.
pub struct FrameReader {
    core: Arc<SessionCore>,
}

impl FrameReader {
    pub(super) fn new(core: Arc<SessionCore>) -> Self {
        Self { core }
    }

    /// The session's avatar, options and times.
    #[must_use]
    pub fn core(&self) -> &Arc<SessionCore> {
        &self.core
    }

    /// Time the session's work has spent so far.
    #[must_use]
    pub fn times(&self) -> SessionTimes {
        self.core.times()
    }

    /// Whether no utterance is running.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.core.lock().phase == Phase::Idle
    }

    /// The next event; `None` when the intake is gone and everything it sent has been answered.
    /// Cancel-safe: an event is lost only if the returned future had completed.
    ///
    /// # Errors
    /// [`SessionError`] once, when the backend failed; the session is then over.
    pub async fn next(&mut self) -> Option<Result<Event, SessionError>> {
        loop {
            match self.poll_event() {
                Step::Event(event) => return Some(Ok(event)),
                Step::Frame(taken) => return Some(self.hand_over(taken)),
                Step::Failed(error) => return Some(Err(error)),
                Step::Over => return None,
                // `notify_one` keeps a permit, so an event between the check and the wait is not missed.
                Step::Wait => self.core.event.notified().await,
            }
        }
    }

    /// Makes the event of a frame, outside the session's lock.
    fn hand_over(&self, taken: Taken) -> Result<Event, SessionError> {
        let Taken { index, utterance, avatar_frame, picture } = taken;
        let data = self.core.bytes_of(picture).map_err(|error| SessionError::new(&error))?;
        self.core.meter.frame_taken(index, data.len());
        Ok(Event::Frame(OutFrame { index: index as u64, utterance, avatar_frame, data }))
    }

    fn poll_event(&self) -> Step {
        let mut state = self.core.lock();
        if let Some(error) = state.failure.take() {
            state.intake_gone = true;
            return Step::Failed(error);
        }
        if let Some(cut) = state.cuts.pop_front() {
            return Step::Event(Event::Interrupted(cut));
        }
        if let Some((index, picture)) = state.utterance.take_frame() {
            self.core.pump(&mut state);
            self.core.room.notify_one();
            let position = state.position.wrapping_add(index as u64);
            let avatar_frame = self.core.avatar().frame_at(position);
            return Step::Frame(Taken { index, utterance: state.number, avatar_frame, picture });
        }
        if state.phase != Phase::Idle && state.utterance.is_complete() {
            let frames = state.utterance.frames_taken() as u64;
            let (utterance, samples) = (state.number, state.samples);
            state.position = state.position.wrapping_add(frames);
            state.number = state.number.wrapping_add(1);
            self.core.forget(&mut state);
            return Step::Event(Event::UtteranceDone { utterance, frames, samples });
        }
        if state.intake_gone && state.phase != Phase::Finishing { Step::Over } else { Step::Wait }
    }
}

/// A frame out of the outbox.
struct Taken {
    index: usize,
    utterance: u32,
    avatar_frame: usize,
    picture: Picture,
}

enum Step {
    Event(Event),
    Frame(Taken),
    Failed(SessionError),
    Over,
    Wait,
}

impl Drop for FrameReader {
    fn drop(&mut self) {
        let mut state = self.core.lock();
        state.reader_gone = true;
        self.core.forget(&mut state);
    }
}
