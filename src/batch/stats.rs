//! What an engine has done since its start, and whether it still can.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;

use crate::telemetry::WorkClass;

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
    pub(super) fn batch_done(&self, class: WorkClass, items: usize) {
        self.batches.fetch_add(1, Ordering::Relaxed);
        let items_done = match class {
            WorkClass::Window => &self.windows,
            WorkClass::Frame => &self.frames,
        };
        items_done.fetch_add(items as u64, Ordering::Relaxed);
    }

    pub(super) fn session_opened(&self) {
        self.sessions.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn mark_broken(&self) {
        self.broken.store(true, Ordering::Release);
        self.broke.notify_waiters();
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

    /// Completes if a lane breaks, after which the process can only end.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    pub(super) async fn broken(&self) {
        let notified = self.broke.notified();
        tokio::pin!(notified);
        // Listening before looking: what breaks in between is heard.
        notified.as_mut().enable();
        if !self.is_broken() {
            notified.await;
        }
    }
}
