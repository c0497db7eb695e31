//! The reading end of a session: frames in order, and what happens between them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::futures::Notified;

use super::core::SessionCore;
use super::first::FirstFrameTimes;
use super::picture::Picture;
use super::times::SessionTimes;
use crate::backend::BackendError;
use crate::batch::PooledBuf;
use crate::telemetry::SessionState;

/// How often a session looks for what another has claimed, which may have been given up just before it began to wait for that.
const LOOK: Duration = Duration::from_millis(40);

/// One finished frame.
pub struct OutFrame {
    /// Number within its utterance; 0 of an idle frame.
    pub index: u64,
    /// Number within the session, where that has idle frames.
    pub tick: Option<u64>,
    /// Whether it stands between utterances, or where the sound of one has run dry.
    pub is_idle: bool,
    /// Number of its utterance within the session; of an idle frame, that of the next one or the one that has run dry.
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
        /// Where the time to its first frame went; none without a frame.
        first_frame: Option<FirstFrameTimes>,
    },
    /// The utterance was cut; no frame of it follows.
    Interrupted(Cut),
}

/// Why a session ended early: the backend could not do its work.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what}")]
pub struct SessionError {
    what: Arc<str>,
    cause: Cause,
}

/// What becomes of another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    DeviceLost,
    DeviceFull,
    OldFiles,
    Other,
}

impl SessionError {
    /// One failure serves every session of a batch, so only its sentence is kept.
    pub(super) fn new(error: &BackendError) -> Self {
        let cause = match error {
            BackendError::DeviceLost { .. } => Cause::DeviceLost,
            full if full.is_device_full() => Cause::DeviceFull,
            old if old.is_of_old_files() => Cause::OldFiles,
            _ => Cause::Other,
        };
        Self { what: error.to_string().into(), cause }
    }

    /// The device is gone, for `reason`, and what it was to draw with it.
    fn lost(reason: &str) -> Self {
        let what = format!("the device is lost ({reason}) and the daemon restarts; connect again in a few seconds");
        Self { what: what.into(), cause: Cause::DeviceLost }
    }

    /// Whether another try, here or elsewhere, will do: the device was lost, and the daemon starts anew.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        self.cause == Cause::DeviceLost
    }

    /// Whether the device had no room: with less on it, the same may succeed.
    #[must_use]
    pub fn is_device_full(&self) -> bool {
        self.cause == Cause::DeviceFull
    }

    /// Whether the avatar's files were replaced while it was loaded: once it is loaded anew, the same will succeed.
    #[must_use]
    pub fn is_of_old_files(&self) -> bool {
        self.cause == Cause::OldFiles
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
        self.core.lock().phase == SessionState::Idle
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
                Step::Wait => self.wait().await,
                Step::WaitUntil(when) => tokio::select! {
                    () = self.wait() => {}
                    () = tokio::time::sleep_until(when.into()) => {}
                },
                Step::WaitForClaim(over) => tokio::select! {
                    () = self.wait() => {}
                    () = over => {}
                    () = tokio::time::sleep(LOOK) => {}
                },
            }
        }
    }

    /// Waits until there is something to read.
    async fn wait(&self) {
        tokio::select! {
            biased;
            // `notify_one` keeps a permit, so an event between the check and the wait is not missed.
            () = self.core.event.notified() => {}
            // What the lanes have not brought by now may never come.
            reason = self.core.queue.health().broken() => self.core.give_up(SessionError::lost(reason)),
        }
    }

    /// Makes the event of a frame, outside the session's lock.
    fn hand_over(&self, taken: Taken) -> Result<Event, SessionError> {
        let Taken { index, tick, utterance, avatar_frame, picture } = taken;
        let data = self.core.bytes_of(picture).map_err(|error| SessionError::new(&error))?;
        self.core.meter.frame_taken(index == Some(0), data.len());
        let (index, is_idle) = (index.unwrap_or_default() as u64, index.is_none());
        Ok(Event::Frame(OutFrame { index, tick, is_idle, utterance, avatar_frame, data }))
    }

    fn poll_event(&self) -> Step<'_> {
        let mut state = self.core.lock();
        if let Some(error) = state.failure.take() {
            state.intake_gone = true;
            return Step::Failed(error);
        }
        if let Some(cut) = state.cuts.pop_front() {
            self.core.room.notify_one();
            return Step::Event(Event::Interrupted(cut));
        }
        let is_full = state.utterance.is_full();
        if state.feed.is_none()
            && let Some((index, picture)) = state.utterance.take_frame()
        {
            if is_full {
                self.core.made_room(&mut state);
            }
            self.core.note_taken(&mut state, index);
            self.core.pump(&mut state);
            self.core.room.notify_one();
            let position = state.position.wrapping_add(index as u64);
            let avatar_frame = self.core.avatar().frame_at(position);
            let (index, tick) = (Some(index), None);
            return Step::Frame(Taken { index, tick, utterance: state.number, avatar_frame, picture });
        }
        if state.phase != SessionState::Idle && state.utterance.is_complete() {
            let frames = state.utterance.frames_taken() as u64;
            let (utterance, samples) = (state.number, state.samples);
            let first_frame = state.first.times().filter(|_| frames > 0);
            state.position = self.core.position_after(&state, frames);
            state.number = state.number.wrapping_add(1);
            self.core.forget(&mut state);
            // An utterance without a frame may end while the mouth still closes after the one before.
            self.core.queue_closing(&mut state);
            return Step::Event(Event::UtteranceDone { utterance, frames, samples, first_frame });
        }
        if state.intake_gone && state.phase != SessionState::Finishing {
            return Step::Over;
        }
        self.core.step_tick(&mut state, Instant::now())
    }
}

/// A frame out of the outbox.
pub(super) struct Taken {
    /// Number within the utterance; none of an idle frame.
    pub index: Option<usize>,
    pub tick: Option<u64>,
    pub utterance: u32,
    pub avatar_frame: usize,
    pub picture: Picture,
}

/// What the reader does next.
pub(super) enum Step<'a> {
    Event(Event),
    Frame(Taken),
    Failed(SessionError),
    Over,
    Wait,
    WaitUntil(Instant),
    /// For the end of somebody's claim to a silent picture.
    WaitForClaim(Notified<'a>),
}

impl Drop for FrameReader {
    fn drop(&mut self) {
        let mut state = self.core.lock();
        state.reader_gone = true;
        self.core.forget(&mut state);
    }
}
