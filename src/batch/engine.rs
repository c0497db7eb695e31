//! The whole: a queue, a backend's lanes and their threads, started and stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use tokio::sync::Notify;

use super::lanes::{self, PanicGuard};
use super::policy::Limits;
use super::queue::WorkQueue;
use super::slot::{Slot, SlotShape};
use crate::audio::{ResampleError, WINDOW_MEL_FRAMES};
use crate::avatar::onnx::FEATURE_LEN;
use crate::avatar::{LoadedAvatar, MAX_CONTEXT, MAX_MELS};
use crate::backend::{Backend, BackendError};
use crate::session::{FrameReader, Intake, SessionOptions};
use crate::telemetry::Recorder;

/// How many batches may be in flight and how large they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineOptions {
    /// Slots, each with a lane and a thread, at least 1.
    pub slots: usize,
    /// Largest batches.
    pub limits: Limits,
}

/// Counters since the start.
#[derive(Debug, Default)]
pub struct EngineStats {
    frames: AtomicU64,
    windows: AtomicU64,
    batches: AtomicU64,
    sessions: AtomicU64,
    broken: AtomicBool,
    broke: Notify,
}

impl EngineStats {
    pub(super) fn batch_done(&self, (windows, frames): (usize, usize)) {
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.windows.fetch_add(windows as u64, Ordering::Relaxed);
        self.frames.fetch_add(frames as u64, Ordering::Relaxed);
    }

    pub(super) fn mark_broken(&self) {
        self.broken.store(true, Ordering::Release);
        self.broke.notify_one();
    }

    /// Frames delivered to sessions.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    /// Windows encoded.
    #[must_use]
    pub fn windows(&self) -> u64 {
        self.windows.load(Ordering::Relaxed)
    }

    /// Batches of either kind.
    #[must_use]
    pub fn batches(&self) -> u64 {
        self.batches.load(Ordering::Relaxed)
    }

    /// Sessions opened.
    #[must_use]
    pub fn sessions(&self) -> u64 {
        self.sessions.load(Ordering::Relaxed)
    }
}

/// The running engine. Dropping it stops the lanes after the work that waits.
pub struct Engine {
    queue: Arc<WorkQueue>,
    stats: Arc<EngineStats>,
    backend: Arc<dyn Backend>,
    options: EngineOptions,
    threads: Vec<JoinHandle<()>>,
}

impl Engine {
    /// Opens `options.slots` lanes on `backend` and starts their threads.
    ///
    /// # Errors
    /// [`BackendError`] when a lane cannot be opened.
    pub fn start(backend: Arc<dyn Backend>, options: EngineOptions) -> Result<Self, BackendError> {
        let queue = WorkQueue::new(options.limits);
        let stats = Arc::new(EngineStats::default());
        let shape = SlotShape {
            max_windows: options.limits.max_windows.max(1),
            max_frames: options.limits.max_frames.max(1),
            window_len: MAX_MELS * WINDOW_MEL_FRAMES,
            context_len: MAX_CONTEXT * FEATURE_LEN,
        };
        let mut engine = Self { queue, stats, backend, options, threads: Vec::new() };
        for index in 0..options.slots.max(1) {
            let lane = engine.backend.open_lane()?;
            let slot = Slot::new(shape);
            let guard = PanicGuard { queue: Arc::clone(&engine.queue), stats: Arc::clone(&engine.stats) };
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
        let ends = Intake::open(avatar, Arc::clone(&self.queue), options)?;
        self.stats.sessions.fetch_add(1, Ordering::Relaxed);
        Ok(ends)
    }

    /// What runs the batches.
    #[must_use]
    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.backend
    }

    /// How it was started.
    #[must_use]
    pub fn options(&self) -> EngineOptions {
        self.options
    }

    /// Windows and frames that wait for a slot now.
    #[must_use]
    pub fn waiting(&self) -> (usize, usize) {
        self.queue.waiting()
    }

    /// Counters since the start.
    #[must_use]
    pub fn stats(&self) -> &EngineStats {
        &self.stats
    }

    /// What the queue, the lanes and the sessions have recorded.
    #[must_use]
    pub fn recorder(&self) -> &Arc<Recorder> {
        self.queue.recorder()
    }

    /// Completes if a lane breaks, after which the process can only end.
    pub async fn broken(&self) {
        while !self.stats.broken.load(Ordering::Acquire) {
            self.stats.broke.notified().await;
        }
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
