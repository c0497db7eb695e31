//! Threads that wait for the GPU, where a watch can see them: a GPU that stops answering fails no call, it only ends none.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Waits that are seen at the same time: more than a daemon has lanes and loads.
const PLACES: usize = 256;

/// The waits of one context.
#[derive(Debug)]
pub(super) struct Waits {
    /// When each began, in milliseconds after `before`; 0 of a free place.
    begun_ms: [AtomicU64; PLACES],
    before: Instant,
}

/// Gives a place back, also when the wait ends in a panic.
struct Leave<'w>(&'w AtomicU64);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

impl Waits {
    pub(super) fn new() -> Self {
        let before = Instant::now();
        // No wait begins at 0.
        let before = before.checked_sub(Duration::from_millis(1)).unwrap_or(before);
        Self { begun_ms: std::array::from_fn(|_| AtomicU64::new(0)), before }
    }

    /// Runs `wait`, in sight of [`Self::longest`] while there are places.
    pub(super) fn during<T>(&self, wait: impl FnOnce() -> T) -> T {
        let now = self.now_ms();
        let take = |place: &&AtomicU64| place.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        let _leave = self.begun_ms.iter().find(take).map(Leave);
        wait()
    }

    /// How long the oldest has gone on.
    pub(super) fn longest(&self) -> Duration {
        let begun = self.begun_ms.iter().map(|place| place.load(Ordering::Relaxed)).filter(|&ms| ms > 0);
        let oldest = begun.min().map_or(0, |begun| self.now_ms().saturating_sub(begun));
        Duration::from_millis(oldest)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.before.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_wait_is_the_one_that_is_seen_until_it_ends() {
        let waits = Waits::new();
        let nap = Duration::from_millis(30);
        assert_eq!(waits.longest(), Duration::ZERO);
        waits.during(|| {
            std::thread::sleep(nap);
            waits.during(|| assert!(waits.longest() >= nap));
            assert!(waits.longest() >= nap);
        });
        assert_eq!(waits.longest(), Duration::ZERO);
    }

    #[test]
    fn a_wait_that_panics_leaves_its_place_and_one_without_a_place_still_waits() {
        let waits = Waits::new();
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| waits.during(|| panic!("lost"))));
        assert!(ended.is_err());
        assert!(waits.begun_ms.iter().all(|place| place.load(Ordering::Relaxed) == 0));
        waits.begun_ms.iter().for_each(|place| place.store(1, Ordering::Relaxed));
        assert_eq!(waits.during(|| 7), 7);
    }
}
