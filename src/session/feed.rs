//! A picture for every tick of a call, whether somebody speaks or not: what stands at the next tick, and when it is due.
//!
//! A pure machine that is told the time. Ticks are numbered from 0 without gaps, one every `1 / fps` s, and the avatar's pose
//! follows them alone: what is spoken is laid onto ticks that would otherwise have been silent. An utterance begins at the
//! first tick that leaves it time to be drawn; its frame `i` stands `i` ticks later. While its sound runs dry the ticks are
//! silent, and the rest of it moves back.

use std::ops::Range;
use std::time::{Duration, Instant};

/// What stands at the ticks of a call.
#[derive(Debug, Clone)]
pub struct Feed {
    fps: u32,
    /// When tick 0 was due; moved when a tick is more than a tick late, so that time stretches and nothing is skipped.
    base: Instant,
    next_tick: u64,
    /// Tick of the running utterance's frame 0, and one more for each silent tick put into it.
    begins_at: Option<u64>,
    /// Ticks from the next one on in which the mouth closes.
    closing: u64,
}

/// What stands at a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tick {
    /// The avatar with its mouth shut.
    Silent,
    /// The mouth on its way there, with so many such frames left, this one included.
    Closing(u64),
    /// The next frame of the utterance.
    Spoken,
}

impl Feed {
    /// A call whose first tick is due at `base`.
    #[must_use]
    pub fn new(fps: u32, base: Instant) -> Self {
        Self { fps: fps.max(1), base, next_tick: 0, begins_at: None, closing: 0 }
    }

    /// The next tick.
    #[must_use]
    pub fn next_tick(&self) -> u64 {
        self.next_tick
    }

    /// When `tick` is due.
    #[must_use]
    pub fn due(&self, tick: u64) -> Instant {
        self.base + self.span(tick)
    }

    /// Tick of the utterance's frame 0, once it has begun; moves with every silent tick put into the utterance.
    #[must_use]
    pub fn begins_at(&self) -> Option<u64> {
        self.begins_at
    }

    /// Whether the utterance's next frame would stand at the next tick.
    #[must_use]
    pub fn is_spoken(&self) -> bool {
        self.begins_at.is_some_and(|begins_at| self.next_tick >= begins_at)
    }

    /// What stands at the next tick, where `known` says whether the utterance's next frame is there or being drawn.
    #[must_use]
    pub fn next(&self, known: bool) -> Tick {
        match self.closing {
            _ if self.is_spoken() && known => Tick::Spoken,
            0 => Tick::Silent,
            left => Tick::Closing(left),
        }
    }

    /// Which of the next `most` ticks may be silent, as far as can be told: `known` as in [`Self::next`], with so many frames of the
    /// utterance `left` to take; an end that is not known is far.
    #[must_use]
    pub fn silent_ahead(&self, known: bool, left: u64, most: u64) -> Range<u64> {
        let end = self.next_tick.saturating_add(most);
        let shut = self.next_tick.saturating_add(self.closing);
        match self.begins_at {
            Some(_) if known && self.is_spoken() => self.next_tick.saturating_add(left)..end,
            Some(begins_at) if !self.is_spoken() => shut..begins_at.min(end),
            _ => shut..end,
        }
    }

    /// The next tick, at which `what` stands, is taken at `now`.
    pub fn take(&mut self, what: Tick, now: Instant) {
        self.stretch(now);
        if what != Tick::Spoken && self.is_spoken() {
            self.begins_at = self.begins_at.map(|tick| tick + 1);
        }
        self.closing = if let Tick::Closing(left) = what { left - 1 } else { 0 };
        self.next_tick += 1;
    }

    /// An utterance begins whose first frame can be drawn from `now` on and takes `lead` for that.
    pub fn begin(&mut self, now: Instant, lead: Duration) {
        // Ticks that nobody has taken yet are no time that has passed: they are still to come.
        self.stretch(now);
        let ns = (now + lead).saturating_duration_since(self.base).as_nanos() * u128::from(self.fps);
        let in_time = u64::try_from(ns.div_ceil(1_000_000_000)).unwrap_or(u64::MAX);
        self.begins_at = Some(in_time.max(self.next_tick + self.closing));
    }

    /// The utterance is over.
    pub fn end(&mut self) {
        self.begins_at = None;
    }

    /// The mouth closes in the next `ticks` ticks.
    pub fn close(&mut self, ticks: u64) {
        self.closing = ticks;
    }

    /// The next tick is due at `now` at the earliest, give or take one.
    fn stretch(&mut self, now: Instant) {
        let late = now.saturating_duration_since(self.due(self.next_tick));
        if late > self.span(1) {
            self.base += late;
        }
    }

    /// Whether ticks are left in which the mouth was to close.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing > 0
    }

    fn span(&self, ticks: u64) -> Duration {
        // Whole nanoseconds from the beginning, so that no rounding adds up.
        let ns = u128::from(ticks) * 1_000_000_000 / u128::from(self.fps);
        Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const FAR: u64 = u64::MAX;

    fn feed() -> (Feed, Instant) {
        let base = Instant::now();
        (Feed::new(25, base), base)
    }

    /// Takes ticks when they are due up to `end`; gives what stood there.
    fn take_to(feed: &mut Feed, end: u64, known: bool) -> Vec<Tick> {
        let mut taken = Vec::new();
        while feed.next_tick() < end {
            let what = feed.next(known);
            feed.take(what, feed.due(feed.next_tick()));
            taken.push(what);
        }
        taken
    }

    #[test]
    fn an_utterance_stands_at_the_first_tick_that_leaves_it_time() {
        let (mut feed, base) = feed();
        assert_eq!(take_to(&mut feed, 10, false), [Tick::Silent; 10]);
        feed.begin(base + 365 * MS, 150 * MS);
        assert_eq!(feed.begins_at(), Some(13), "515 ms, and tick 13 is at 520");
        assert_eq!(take_to(&mut feed, 13, true), [Tick::Silent; 3]);
        assert_eq!(take_to(&mut feed, 20, true), [Tick::Spoken; 7]);
        feed.end();
        assert_eq!(take_to(&mut feed, 22, false), [Tick::Silent; 2]);
    }

    #[test]
    fn an_utterance_does_not_wait_once_more_for_what_was_not_read_in_time() {
        let (mut feed, base) = feed();
        take_to(&mut feed, 10, false);
        let now = base + 3_400 * MS;
        feed.begin(now, 150 * MS);
        assert_eq!((feed.begins_at(), feed.due(10)), (Some(14), now));
        feed.take(Tick::Silent, now + 500 * MS);
        assert_eq!(feed.due(11), now + 540 * MS);
    }

    #[test]
    fn silent_ticks_in_an_utterance_move_the_rest_of_it() {
        let (mut feed, base) = feed();
        feed.begin(base, Duration::ZERO);
        assert_eq!(take_to(&mut feed, 5, true), [Tick::Spoken; 5]);
        assert_eq!(take_to(&mut feed, 8, false), [Tick::Silent; 3]);
        assert_eq!(feed.begins_at(), Some(3), "frame 5 now stands at tick 8");
        assert_eq!(take_to(&mut feed, 9, true), [Tick::Spoken]);
    }

    #[test]
    fn the_mouth_closes_before_silence_and_before_the_next_utterance() {
        let (mut feed, base) = feed();
        take_to(&mut feed, 4, false);
        feed.close(3);
        feed.begin(base + 160 * MS, Duration::ZERO);
        assert_eq!(take_to(&mut feed, 8, true), [Tick::Closing(3), Tick::Closing(2), Tick::Closing(1), Tick::Spoken]);
        feed.end();
        feed.close(3);
        take_to(&mut feed, 9, false);
        feed.close(0);
        assert_eq!(take_to(&mut feed, 10, false), [Tick::Silent]);
    }

    #[test]
    fn silence_is_foreseen_before_an_utterance_after_it_and_where_its_sound_has_run_dry() {
        let (mut feed, base) = feed();
        take_to(&mut feed, 10, false);
        assert_eq!(feed.silent_ahead(false, FAR, 8), 10..18);
        feed.begin(base + 400 * MS, 150 * MS);
        assert_eq!(feed.silent_ahead(true, FAR, 8), 10..14, "up to its first frame");
        take_to(&mut feed, 14, true);
        assert!(feed.silent_ahead(true, FAR, 8).is_empty(), "nobody knows when it ends");
        assert_eq!(feed.silent_ahead(true, 5, 8), 19..22);
        assert!(feed.silent_ahead(true, 8, 8).is_empty());
        feed.close(3);
        assert_eq!(feed.silent_ahead(false, FAR, 8), 17..22, "once the mouth is shut");
    }

    #[test]
    fn hours_of_ticks_do_not_drift_and_a_stall_stretches_time() {
        let base = Instant::now();
        let mut feed = Feed::new(30, base);
        // Taken up to a tick late, ten hours long.
        for tick in 0..30 * 36_000 {
            feed.take(Tick::Silent, feed.due(tick) + (tick % 33) as u32 * MS);
        }
        assert_eq!(feed.due(30 * 36_000), base + Duration::from_secs(36_000));
        let now = feed.due(feed.next_tick()) + 5_000 * MS;
        feed.take(Tick::Silent, now);
        assert_eq!(feed.due(feed.next_tick()), now + Duration::from_nanos(33_333_333), "the next follows in a tick");
        assert_eq!(feed.next_tick(), 30 * 36_000 + 1, "and none is skipped");
    }
}
