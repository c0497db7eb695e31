//! When the sound of a live utterance would have come at its own pace, which is what its frames are due by.

use std::time::{Duration, Instant};

/// The clock of one utterance.
///
/// It starts with the first sound and goes on at the pace of the sound. Sound that comes late is late for the frames that hear it, and
/// moves nothing else: a network that bunches up a second of it gives nobody more time afterwards. A reader that does not take its frames
/// moves the clock for good, since nobody can draw what there is no room for. What the daemon itself is slow at moves nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct SoundClock {
    /// When the first sample came, or would have, had the reader never been slow.
    begun: Option<Instant>,
    /// How late the newest sound was.
    late: Duration,
}

impl SoundClock {
    /// The utterance's first `sound` have come by `came`, where the daemon got them and not where it used them.
    pub(super) fn heard(&mut self, came: Instant, sound: Duration) {
        let begun = *self.begun.get_or_insert(came);
        self.late = came.saturating_duration_since(begun).saturating_sub(sound);
    }

    /// The reader has made room at `now` for what is due `after` the first sample.
    pub(super) fn made_room(&mut self, now: Instant, after: Duration) {
        if let (Some(begun), Some(natural)) = (&mut self.begun, now.checked_sub(after)) {
            *begun = natural.max(*begun);
        }
    }

    /// What is due `after` the first sample; `None` before that, and past what a clock can hold.
    pub(super) fn due(&self, after: Duration) -> Option<Instant> {
        self.begun?.checked_add(self.late)?.checked_add(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A clock whose first 40 ms came at the instant returned.
    fn clock() -> (SoundClock, Instant) {
        let (mut clock, begun) = (SoundClock::default(), Instant::now());
        assert_eq!(clock.due(MS), None, "nothing has come");
        clock.heard(begun, 40 * MS);
        (clock, begun)
    }

    #[test]
    fn sound_at_its_own_pace_or_ahead_of_it_moves_nothing() {
        let (mut clock, begun) = clock();
        for n in 1..=1000 {
            clock.heard(begun + n * 40 * MS, (n + 1) * 40 * MS);
            assert_eq!(clock.due(700 * MS), Some(begun + 700 * MS));
        }
        clock.heard(begun + 40_040 * MS, 100_000 * MS);
        assert_eq!(clock.due(700 * MS), Some(begun + 700 * MS));
    }

    #[test]
    fn late_sound_is_late_for_what_hears_it_and_no_more() {
        let (mut clock, begun) = clock();
        clock.heard(begun + 1000 * MS, 80 * MS);
        assert_eq!(clock.due(700 * MS), Some(begun + (920 + 700) * MS));
        // All that was held up on the way comes at once.
        clock.heard(begun + 1000 * MS, 1040 * MS);
        assert_eq!(clock.due(700 * MS), Some(begun + 700 * MS));
    }

    #[test]
    fn a_speaker_who_stops_for_a_second_is_a_second_late_from_then_on() {
        let (mut clock, begun) = clock();
        for n in 1..=50 {
            clock.heard(begun + (1000 + n * 40) * MS, n * 40 * MS);
            assert_eq!(clock.due(Duration::ZERO), Some(begun + 1000 * MS));
        }
    }

    #[test]
    fn a_reader_that_is_slow_moves_the_clock_and_one_that_is_ahead_does_not() {
        let (mut clock, begun) = clock();
        clock.made_room(begun + 100 * MS, 700 * MS);
        assert_eq!(clock.due(700 * MS), Some(begun + 700 * MS));
        clock.made_room(begun + 3000 * MS, 700 * MS);
        assert_eq!(clock.due(700 * MS), Some(begun + 3000 * MS));
        // By that clock the sound is now ahead.
        clock.heard(begun + 2040 * MS, 2080 * MS);
        assert_eq!(clock.due(740 * MS), Some(begun + 3040 * MS));
    }
}
