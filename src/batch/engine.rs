//! The whole: a queue, a backend's lanes and their threads, started and stopped.

use std::sync::Arc;
use std::thread::JoinHandle;

use super::admission::{self, AdmissionLimits, Demand, Overload};
use super::lanes::{self, PanicGuard};
use super::live::{Places, Promise, View};
use super::policy::Limits;
use super::queue::WorkQueue;
use super::slot::{Slot, SlotShape};
use crate::audio::{ResampleError, WINDOW_MEL_FRAMES};
use crate::avatar::onnx::FEATURE_LEN;
use crate::avatar::{LoadedAvatar, MAX_CONTEXT, MAX_MELS};
use crate::backend::{Backend, BackendError};
use crate::session::{FrameReader, Intake, SessionOptions};
use crate::telemetry::{DeviceRecorder, Recorder};

/// How many batches may be in flight and how large they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineOptions {
    /// Slots, each with a lane and a thread, at least 1.
    pub slots: usize,
    /// Largest batches.
    pub limits: Limits,
}

/// Why a live session was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The sample rate cannot be.
    #[error(transparent)]
    Rate(#[from] ResampleError),
    /// The device has no room.
    #[error(transparent)]
    Overload(#[from] Overload),
}

/// The running engine. Dropping it stops the lanes after the work that waits.
pub struct Engine {
    queue: Arc<WorkQueue>,
    backend: Arc<dyn Backend>,
    options: EngineOptions,
    live: Places,
    threads: Vec<JoinHandle<()>>,
}

impl Engine {
    /// Opens `options.slots` lanes on `backend` and starts their threads.
    ///
    /// # Errors
    /// [`BackendError`] when a lane cannot be opened.
    pub fn start(backend: Arc<dyn Backend>, options: EngineOptions) -> Result<Self, BackendError> {
        Self::start_recorded(backend, options, Recorder::new())
    }

    /// As [`Self::start`], with sessions recorded in `recorder`, which engines of one daemon share.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_recorded(
        backend: Arc<dyn Backend>,
        options: EngineOptions,
        recorder: Arc<Recorder>,
    ) -> Result<Self, BackendError> {
        let options = EngineOptions { slots: options.slots.max(1), ..options };
        let queue = WorkQueue::new(options.slots, options.limits, recorder, Arc::clone(backend.health()));
        let shape = SlotShape {
            max_windows: options.limits.max_windows.max(1),
            max_frames: options.limits.max_frames.max(1),
            window_len: MAX_MELS * WINDOW_MEL_FRAMES,
            context_len: MAX_CONTEXT * FEATURE_LEN,
        };
        let mut engine = Self { queue, backend, options, live: Places::default(), threads: Vec::new() };
        for index in 0..options.slots {
            let mut lane = engine.backend.open_lane(shape)?;
            let slot = Slot::new(shape, lane.staging(shape.staged_len())?);
            let guard = PanicGuard { queue: Arc::clone(&engine.queue) };
            let thread = std::thread::Builder::new()
                .name(format!("lane-{index}"))
                .spawn(move || lanes::run(&guard, lane, slot))
                .map_err(BackendError::Thread)?;
            engine.threads.push(thread);
        }
        Ok(engine)
    }

    /// Opens a session on `avatar`: where to write its speech and where to read its frames.
    ///
    /// # Errors
    /// [`ResampleError`] for a sample rate that cannot be.
    pub fn open_session(
        &self,
        avatar: Arc<LoadedAvatar>,
        options: SessionOptions,
    ) -> Result<(Intake, FrameReader), ResampleError> {
        let counted = !options.pace.is_unseen();
        let ends = Intake::open(avatar, Arc::clone(&self.queue), options)?;
        if counted {
            self.device_recorder().session_opened();
        }
        Ok(ends)
    }

    /// As [`Self::open_session`], if within `limits`, where there are any, the device has room for one more live stream.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_live_session(
        &self,
        avatar: Arc<LoadedAvatar>,
        options: SessionOptions,
        limits: Option<AdmissionLimits>,
    ) -> Result<(Intake, FrameReader), OpenError> {
        let waits = options.idle_frames.is_some();
        let promise = match limits {
            Some(limits) => self.promise(&avatar, waits, limits)?,
            None => None,
        };
        let ends = self.open_session(avatar, options)?;
        self.live.view().open(promise, ends.0.core());
        Ok(ends)
    }

    /// A place for one more live stream; none where nothing is known yet of what `avatar` takes: the first to draw it measures it.
    fn promise(
        &self,
        avatar: &LoadedAvatar,
        waits: bool,
        limits: AdmissionLimits,
    ) -> Result<Option<Promise>, Overload> {
        let view = self.live.view();
        let Some(demand) = self.check_room(&view, avatar, waits, limits)? else { return Ok(None) };
        Ok(Some(view.promise(demand)))
    }

    /// Whether a live stream of `avatar`, which `waits` for its turn to speak or does not, would be let in now.
    ///
    /// # Errors
    /// [`Overload`] when not.
    pub fn has_room(&self, avatar: &LoadedAvatar, waits: bool, limits: AdmissionLimits) -> Result<(), Overload> {
        self.check_room(&self.live.view(), avatar, waits, limits).map(|_| ())
    }

    /// What the stream would take, where that is known.
    fn check_room(
        &self,
        live: &View<'_>,
        avatar: &LoadedAvatar,
        waits: bool,
        limits: AdmissionLimits,
    ) -> Result<Option<Demand>, Overload> {
        let Some(lanes) = self.queue.lanes_per_stream(avatar) else { return Ok(None) };
        let one_more = Demand { lanes, speech: limits.expected_speech, waits };
        let open = self.demands(live, limits.expected_speech);
        admission::admit(open.iter().copied(), one_more, self.options.slots, limits)?;
        Ok(Some(one_more))
    }

    /// Part of the lanes that the open live streams are expected to take, of which a new one speaks `expected_speech` of the time;
    /// more than 1 when there are too many.
    #[must_use]
    pub fn live_load(&self, expected_speech: f64) -> f64 {
        admission::part(self.demands(&self.live.view(), expected_speech).into_iter(), self.options.slots)
    }

    fn demands(&self, live: &View<'_>, expected_speech: f64) -> Vec<Demand> {
        live.demands(|session| {
            let lanes = self.queue.lanes_per_stream(session.avatar())?;
            Some(Demand { lanes, speech: session.speech(expected_speech), waits: session.can_wait() })
        })
    }

    /// Frames of `avatar` a second that all lanes make together, as measured; `None` before it has been.
    #[must_use]
    pub fn frames_per_second(&self, avatar: &LoadedAvatar) -> Option<f64> {
        Some(self.options.slots as f64 * f64::from(avatar.fps()) / self.queue.lanes_per_stream(avatar)?)
    }

    /// What runs the batches.
    #[must_use]
    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.backend
    }

    /// An outbox that keeps every lane busy with one session's frames.
    #[must_use]
    pub fn bulk_outbox(&self) -> usize {
        let in_flight = (self.options.slots + 1) * self.options.limits.max_frames;
        in_flight.clamp(SessionOptions::BULK_OUTBOX, SessionOptions::MAX_OUTBOX)
    }

    /// How it was started.
    #[must_use]
    pub fn options(&self) -> EngineOptions {
        self.options
    }

    /// Has every lane let go of what was unloaded, and waits for that, for a second at most.
    pub async fn rest(&self) {
        let queue = Arc::clone(&self.queue);
        // It fails when the process ends, and then nobody needs the memory.
        let _ = tokio::task::spawn_blocking(move || queue.rest()).await;
    }

    /// Windows and frames that wait for a slot now.
    #[must_use]
    pub fn waiting(&self) -> (usize, usize) {
        self.queue.waiting()
    }

    /// What its sessions have recorded.
    #[must_use]
    pub fn recorder(&self) -> &Arc<Recorder> {
        self.queue.recorder()
    }

    /// What the queue and the lanes have recorded.
    #[must_use]
    pub fn device_recorder(&self) -> &Arc<DeviceRecorder> {
        self.queue.device_recorder()
    }

    /// Sessions whose speech is being drawn, and those with idle frames that wait for a turn.
    #[must_use]
    pub fn turns(&self) -> (usize, usize) {
        self.queue.turns().count()
    }

    /// Whether its lanes have nothing to do now.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.queue.is_idle()
    }

    /// Live sessions open now, and the others.
    #[must_use]
    pub fn open_sessions(&self) -> (usize, usize) {
        self.queue.open_sessions()
    }

    /// Whether a lane has broken.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.queue.health().is_broken()
    }

    /// Completes if a lane breaks, after which the process can only end.
    pub async fn broken(&self) {
        self.queue.health().broken().await;
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.queue.stop();
        for thread in self.threads.drain(..) {
            // A lane that panicked has said so already.
            let _ = thread.join();
        }
    }
}
