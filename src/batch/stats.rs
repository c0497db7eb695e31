//! What an engine has done since its start.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::telemetry::WorkClass;

/// Counters since the start.
#[derive(Debug, Default)]
pub struct EngineStats {
    frames: AtomicU64,
    windows: AtomicU64,
    batches: AtomicU64,
    sessions: AtomicU64,
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
