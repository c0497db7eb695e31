//! Where the time to an utterance's first frame goes.

use std::time::{Duration, Instant};

use crate::telemetry::FirstPart;

/// The way of an utterance's first frame, one part after the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FirstFrameTimes {
    /// From the first sample, as it entered the session, until the sound that the frame depends on was there.
    pub look_ahead: Duration,
    /// In queues: its last window's and its own, and with idle frames until it had its turn.
    pub queue: Duration,
    /// In the two networks.
    pub compute: Duration,
    /// Compositing and encoding.
    pub encode: Duration,
    /// Until it was taken, with idle frames at its tick.
    pub hand_over: Duration,
}

impl FirstFrameTimes {
    /// Each part with its time, in their order.
    #[must_use]
    pub fn parts(self) -> [(FirstPart, Duration); 5] {
        [
            (FirstPart::LookAhead, self.look_ahead),
            (FirstPart::Queue, self.queue),
            (FirstPart::Compute, self.compute),
            (FirstPart::Encode, self.encode),
            (FirstPart::HandOver, self.hand_over),
        ]
    }
}

/// What happened on the way, as far as it has come.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FirstFrame {
    begun: Option<Instant>,
    /// When the last window before the frame was queued, and when it was done.
    sound: Option<Instant>,
    heard: Option<Instant>,
    times: FirstFrameTimes,
    drawn: Option<Instant>,
    taken: bool,
}

impl FirstFrame {
    /// The utterance's first sample enters the session.
    pub(super) fn begin(&mut self, now: Instant) {
        *self = Self { begun: Some(now), ..Self::default() };
    }

    /// One more window can be encoded; ignored once the frame is drawn.
    pub(super) fn window_queued(&mut self, now: Instant) {
        if self.drawn.is_none() {
            self.sound = Some(now);
        }
    }

    /// A window that was `queued` has been encoded, `compute` of that in the network.
    pub(super) fn window_done(&mut self, now: Instant, queued: Instant, compute: Duration) {
        if self.drawn.is_none() {
            self.heard = Some(now);
            self.times.compute = compute;
            self.times.queue = now.saturating_duration_since(queued).saturating_sub(compute);
        }
    }

    /// The frame, which was `queued`, is drawn: `compute` of that in the network, `encode` in compositing and encoding.
    pub(super) fn drawn(&mut self, now: Instant, queued: Instant, compute: Duration, encode: Duration) {
        let turn = self.heard.map_or(Duration::ZERO, |heard| queued.saturating_duration_since(heard));
        self.times.queue += turn + now.saturating_duration_since(queued).saturating_sub(compute + encode);
        self.times.compute += compute;
        self.times.encode = encode;
        self.drawn = Some(now);
    }

    /// The frame is handed over; gives where its time went.
    pub(super) fn taken(&mut self, now: Instant) -> FirstFrameTimes {
        let since = |then: Option<Instant>| then.map(|then| now.saturating_duration_since(then));
        let (begun, sound) = (self.begun.unwrap_or(now), self.sound.or(self.begun).unwrap_or(now));
        self.times.look_ahead = sound.saturating_duration_since(begun);
        self.times.hand_over = since(self.drawn).unwrap_or_default();
        self.taken = true;
        self.times
    }

    /// Where the time went, once the frame is taken.
    pub(super) fn times(&self) -> Option<FirstFrameTimes> {
        self.taken.then_some(self.times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_parts_are_the_whole_way() {
        let begun = Instant::now();
        let at = |ms: u32| begun + ms * MS;
        let mut first = FirstFrame::default();
        first.begin(at(0));
        first.window_queued(at(200));
        first.window_done(at(203), at(200), MS);
        first.window_queued(at(500));
        // Two in a queue, one in the network.
        first.window_done(at(503), at(500), MS);
        assert_eq!(first.times(), None);
        // Seven for its turn, five in the queue.
        first.drawn(at(530), at(510), 13 * MS, 2 * MS);
        first.window_queued(at(540));
        first.window_done(at(545), at(540), MS);
        let times = first.taken(at(570));
        let expected = FirstFrameTimes {
            look_ahead: 500 * MS,
            queue: (2 + 7 + 5) * MS,
            compute: 14 * MS,
            encode: 2 * MS,
            hand_over: 40 * MS,
        };
        assert_eq!(times, expected);
        assert_eq!(first.times(), Some(expected));
        assert_eq!(times.parts().into_iter().map(|(_, time)| time).sum::<Duration>(), 570 * MS);
    }
}
