//! What one device does: its batches, its stages and its lanes.
//!
//! One per engine. Every method is a few relaxed atomic additions: no lock, no allocation, callable from any thread. The
//! exceptions are named.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::histogram::{Histogram, SIZE_BOUNDS, STAGE_BOUNDS_NS};
use super::label::{ByLabel, Stage, WorkClass};
use super::lane::{LaneClock, LaneMeter};

/// All that lanes are doing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LaneSummary {
    /// Lanes with a batch at this moment.
    pub busy: usize,
    /// Time of all lanes together on batches that are over.
    pub busy_total: Duration,
    /// How long the oldest batch of those running has run; zero when none runs.
    pub oldest: Duration,
    /// Allocations on the lanes' threads during batches, since each lane's 50th batch.
    pub warm_allocations: u64,
}

/// Counters and histograms of one engine since its start.
#[derive(Debug)]
pub struct DeviceRecorder {
    epoch: Instant,
    sessions: AtomicU64,
    pub(super) failed_batches: ByLabel<WorkClass, AtomicU64>,
    pub(super) batch_size: ByLabel<WorkClass, Histogram>,
    pub(super) queue_wait: ByLabel<WorkClass, Histogram>,
    pub(super) stages: ByLabel<Stage, Histogram>,
    lanes: Mutex<Vec<Arc<LaneClock>>>,
}

impl DeviceRecorder {
    /// Everything at zero.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            epoch: Instant::now(),
            sessions: AtomicU64::default(),
            failed_batches: ByLabel::default(),
            batch_size: ByLabel::new(|| Histogram::sizes(SIZE_BOUNDS)),
            queue_wait: ByLabel::new(|| Histogram::seconds(STAGE_BOUNDS_NS)),
            stages: ByLabel::new(|| Histogram::seconds(STAGE_BOUNDS_NS)),
            lanes: Mutex::default(),
        })
    }

    /// Registers one more lane. Allocates and locks: once per lane.
    #[must_use]
    pub fn open_lane(&self) -> LaneMeter {
        let (meter, clock) = LaneMeter::new(self.epoch);
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).push(clock);
        meter
    }

    /// What the lanes are doing. Locks, for whoever looks; lanes never wait for it.
    #[must_use]
    pub fn lanes(&self) -> LaneSummary {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.iter().fold(LaneSummary::default(), |sum, lane| {
            let running = lane.busy_for();
            LaneSummary {
                busy: sum.busy + usize::from(running.is_some()),
                busy_total: sum.busy_total + lane.busy_total(),
                oldest: sum.oldest.max(running.unwrap_or_default()),
                warm_allocations: sum.warm_allocations + lane.warm_allocations(),
            }
        })
    }

    /// Batches that every lane has done at least; 0 without lanes.
    #[must_use]
    pub fn least_batches(&self) -> u64 {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.iter().map(|lane| lane.batches()).min().unwrap_or(0)
    }

    /// An item that waited in the queue for `wait` is being staged.
    pub fn waited(&self, class: WorkClass, wait: Duration) {
        self.queue_wait.get(class).observe(wait);
    }

    /// A batch spent `elapsed` in a stage, all its items together.
    pub fn stage_done(&self, stage: Stage, elapsed: Duration) {
        self.stages.get(stage).observe(elapsed);
    }

    /// A batch of `len` items is done.
    pub fn batch_done(&self, class: WorkClass, len: usize) {
        self.batch_size.get(class).record(len as u64);
    }

    /// A session that somebody sees was opened.
    pub fn session_opened(&self) {
        self.sessions.fetch_add(1, Ordering::Relaxed);
    }

    /// Sessions opened so far.
    #[must_use]
    pub fn sessions(&self) -> u64 {
        self.sessions.load(Ordering::Relaxed)
    }

    /// Items of `class` in batches that are done.
    #[must_use]
    pub fn items(&self, class: WorkClass) -> u64 {
        self.batch_size.get(class).sum()
    }

    /// Batches of either kind that are done.
    #[must_use]
    pub fn batches(&self) -> u64 {
        self.batch_size.iter().map(|(_, sizes)| sizes.count()).sum()
    }

    /// A batch failed; its sessions end.
    pub fn batch_failed(&self, class: WorkClass) {
        self.failed_batches.get(class).fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_summed() {
        let recorder = DeviceRecorder::new();
        let (mut first, mut second) = (recorder.open_lane(), recorder.open_lane());
        assert_eq!(recorder.lanes(), LaneSummary::default());
        first.begin();
        second.begin();
        assert_eq!(recorder.lanes().busy, 2);
        second.end();
        let lanes = recorder.lanes();
        assert_eq!(lanes.busy, 1);
        assert!(lanes.busy_total > Duration::ZERO && lanes.oldest > Duration::ZERO);
        assert_eq!(recorder.least_batches(), 0, "the first lane has done none");
        first.end();
        assert_eq!(recorder.lanes().oldest, Duration::ZERO);
        assert_eq!(recorder.least_batches(), 1);
    }
}
