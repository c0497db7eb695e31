//! Threads that wait for the GPU, where a watch can see them: a GPU that stops answering fails no call, it only ends none.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Waits that are seen at the same time: more than a daemon has lanes and loads.
const PLACES: usize = 256;

/// How often whoever watches is to look.
pub const GLANCE: Duration = Duration::from_secs(1);

/// The waits of one context. How long one has gone on is counted in looks: time in which nobody could look, since the process was frozen or its
/// machine asleep, is none that the GPU had to answer in.
#[derive(Debug)]
pub(super) struct Waits {
    /// Looks there had been when each began; 0 of a free place.
    begun: [AtomicU64; PLACES],
    /// Looks so far, and the one that is always there.
    looks: AtomicU64,
    /// When the last one was.
    last: Mutex<Option<Instant>>,
}

/// Gives a place back, also when the wait ends in a panic.
struct Leave<'w>(&'w AtomicU64);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

impl Waits {
    pub(super) const fn new() -> Self {
        Self { begun: [const { AtomicU64::new(0) }; PLACES], looks: AtomicU64::new(1), last: Mutex::new(None) }
    }

    /// Runs `wait`, in sight of [`Self::look`] while there are places.
    pub(super) fn during<T>(&self, wait: impl FnOnce() -> T) -> T {
        let looks = self.looks.load(Ordering::Relaxed);
        let take = |place: &&AtomicU64| place.compare_exchange(0, looks, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        let _leave = self.begun.iter().find(take).map(Leave);
        wait()
    }

    /// Looks, at `now`: how long the oldest has gone on since it was first seen. Of looks less than a [`GLANCE`] apart one counts, for there may be
    /// several who watch.
    pub(super) fn look(&self, now: Instant) -> Duration {
        {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.is_none_or(|last| now.saturating_duration_since(last) >= GLANCE) {
                *last = Some(now);
                self.looks.fetch_add(1, Ordering::Relaxed);
            }
        }
        let looks = self.looks.load(Ordering::Relaxed);
        let begun = self.begun.iter().map(|place| place.load(Ordering::Relaxed)).filter(|&begun| begun > 0);
        let since = begun.min().map_or(0, |begun| looks.saturating_sub(begun + 1));
        GLANCE * u32::try_from(since).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_wait_is_the_one_that_is_seen_until_it_ends() {
        let waits = Waits::new();
        let mut now = Instant::now();
        let mut look = || {
            now += GLANCE;
            waits.look(now)
        };
        assert_eq!(look(), Duration::ZERO);
        waits.during(|| {
            assert_eq!([look(), look(), look()], [Duration::ZERO, GLANCE, 2 * GLANCE]);
            waits.during(|| assert_eq!(look(), 3 * GLANCE));
            assert_eq!(look(), 4 * GLANCE);
        });
        assert_eq!(look(), Duration::ZERO);
    }

    #[test]
    fn time_in_which_the_process_was_frozen_does_not_count_and_two_who_watch_count_none_twice() {
        let waits = Waits::new();
        let start = Instant::now();
        let at = |ms| waits.look(start + Duration::from_millis(ms));
        waits.during(|| {
            assert_eq!([at(0), at(500), at(1_000), at(1_500)], [Duration::ZERO, Duration::ZERO, GLANCE, GLANCE]);
            assert_eq!([at(3_600_000), at(3_600_500)], [2 * GLANCE; 2]);
        });
    }

    #[test]
    fn a_wait_that_panics_leaves_its_place_and_one_without_a_place_still_waits() {
        let waits = Waits::new();
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| waits.during(|| panic!("lost"))));
        assert!(ended.is_err());
        assert!(waits.begun.iter().all(|place| place.load(Ordering::Relaxed) == 0));
        waits.begun.iter().for_each(|place| place.store(1, Ordering::Relaxed));
        assert_eq!(waits.during(|| 7), 7);
    }
}
