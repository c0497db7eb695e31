//! What a lane is doing: for its busy time, its allocations and the watchdog.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::heap;
use super::histogram::nanos;

/// Batches after which a lane has met its networks and every buffer is in use. A network it meets later
/// allocates again, once.
const WARM_BATCHES: u64 = 50;

/// What others can see of a lane.
#[derive(Debug)]
pub(super) struct LaneClock {
    epoch: Instant,
    /// ns after `epoch` at which its batch began, plus one; 0 while it waits for work.
    busy_since: AtomicU64,
    busy_ns: AtomicU64,
    batches: AtomicU64,
    warm_allocations: AtomicU64,
}

impl LaneClock {
    fn now_ns(&self) -> u64 {
        nanos(self.epoch.elapsed())
    }

    /// How long its present batch has run; `None` while it waits for work.
    pub(super) fn busy_for(&self) -> Option<Duration> {
        let since = self.busy_since.load(Ordering::Acquire).checked_sub(1)?;
        Some(Duration::from_nanos(self.now_ns().saturating_sub(since)))
    }

    /// Time it has spent on batches that are over.
    pub(super) fn busy_total(&self) -> Duration {
        Duration::from_nanos(self.busy_ns.load(Ordering::Relaxed))
    }

    /// Batches that are over.
    pub(super) fn batches(&self) -> u64 {
        self.batches.load(Ordering::Relaxed)
    }

    /// Allocations on its thread during batches, since its 50th.
    pub(super) fn warm_allocations(&self) -> u64 {
        self.warm_allocations.load(Ordering::Relaxed)
    }
}

/// A lane's own end; lives on its thread.
#[derive(Debug)]
pub struct LaneMeter {
    clock: Arc<LaneClock>,
    allocations_before: u64,
}

impl LaneMeter {
    pub(super) fn new(epoch: Instant) -> (Self, Arc<LaneClock>) {
        let clock = Arc::new(LaneClock {
            epoch,
            busy_since: AtomicU64::new(0),
            busy_ns: AtomicU64::new(0),
            batches: AtomicU64::new(0),
            warm_allocations: AtomicU64::new(0),
        });
        (Self { clock: Arc::clone(&clock), allocations_before: 0 }, clock)
    }

    /// The lane has taken a batch.
    pub fn begin(&mut self) {
        self.allocations_before = heap::allocations_of_this_thread();
        self.clock.busy_since.store(self.clock.now_ns().saturating_add(1), Ordering::Release);
    }

    /// The batch is delivered, or was empty after all.
    pub fn end(&mut self) {
        let since = self.clock.busy_since.swap(0, Ordering::AcqRel).saturating_sub(1);
        self.clock.busy_ns.fetch_add(self.clock.now_ns().saturating_sub(since), Ordering::Relaxed);
        if self.clock.batches.fetch_add(1, Ordering::Relaxed) >= WARM_BATCHES {
            let allocations = heap::allocations_of_this_thread().wrapping_sub(self.allocations_before);
            self.clock.warm_allocations.fetch_add(allocations, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_is_between_begin_and_end() {
        let (mut meter, clock) = LaneMeter::new(Instant::now());
        assert_eq!(clock.busy_for(), None);
        meter.begin();
        std::thread::sleep(Duration::from_millis(2));
        assert!(clock.busy_for().is_some_and(|busy| busy >= Duration::from_millis(2)));
        meter.end();
        assert_eq!(clock.busy_for(), None);
        assert!(clock.busy_total() >= Duration::from_millis(2));
    }
}
