//! Where a session's time goes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::batch::slot::StageTimes;

/// Time a session's work has spent so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionTimes {
    /// Resampling and mel.
    pub audio: Duration,
    /// In the two networks.
    pub network: Duration,
    /// Compositing and encoding.
    pub composite: Duration,
}

/// The same, added to by the intake and by lanes side by side.
#[derive(Debug, Default)]
pub(super) struct TimeCounters {
    audio_ns: AtomicU64,
    network_ns: AtomicU64,
    composite_ns: AtomicU64,
}

impl TimeCounters {
    pub(super) fn add_audio(&self, elapsed: Duration) {
        add(&self.audio_ns, elapsed);
    }

    /// Adds an item's share of its batch's times.
    pub(super) fn add_stages(&self, share: StageTimes) {
        add(&self.network_ns, share.network);
        add(&self.composite_ns, share.composite);
    }

    pub(super) fn read(&self) -> SessionTimes {
        let read = |ns: &AtomicU64| Duration::from_nanos(ns.load(Ordering::Relaxed));
        SessionTimes {
            audio: read(&self.audio_ns),
            network: read(&self.network_ns),
            composite: read(&self.composite_ns),
        }
    }
}

fn add(counter: &AtomicU64, elapsed: Duration) {
    counter.fetch_add(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
}
