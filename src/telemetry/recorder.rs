//! The one place where sessions and calls count what they do.
//!
//! One per daemon, whichever device a session is on. Every method is a few relaxed atomic additions: no lock, no allocation,
//! callable from any thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::histogram::{Histogram, VIEWER_BOUNDS_NS, nanos};
use super::label::{ByLabel, CallEnd, CallKind, FirstPart, Refusal, SessionState};
use crate::session::FirstFrameTimes;

/// Counters and histograms of a daemon's sessions since its start.
#[derive(Debug)]
pub struct Recorder {
    epoch: Instant,
    pub(super) deadline_misses: AtomicU64,
    pub(super) lateness: Histogram,
    pub(super) first_frame: Histogram,
    pub(super) first_parts: ByLabel<FirstPart, Histogram>,
    pub(super) states: ByLabel<SessionState, AtomicI64>,
    pub(super) calls: ByLabel<CallKind, ByLabel<CallEnd, AtomicU64>>,
    pub(super) refusals: ByLabel<Refusal, AtomicU64>,
    pub(super) interrupts: AtomicU64,
    pub(super) audio_ns: AtomicU64,
    pub(super) sent_bytes: AtomicU64,
}

impl Recorder {
    /// Everything at zero.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            epoch: Instant::now(),
            deadline_misses: AtomicU64::new(0),
            lateness: Histogram::seconds(VIEWER_BOUNDS_NS),
            first_frame: Histogram::seconds(VIEWER_BOUNDS_NS),
            first_parts: ByLabel::new(|| Histogram::seconds(VIEWER_BOUNDS_NS)),
            states: ByLabel::default(),
            calls: ByLabel::default(),
            refusals: ByLabel::default(),
            interrupts: AtomicU64::new(0),
            audio_ns: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
        })
    }

    /// A frame with a deadline was ready `late` after it, which is a miss unless it is zero.
    pub fn frame_due(&self, late: Duration) {
        self.deadline_misses.fetch_add(u64::from(!late.is_zero()), Ordering::Relaxed);
        self.lateness.observe(late);
    }

    /// Frames that were ready after their deadline.
    #[must_use]
    pub fn deadline_misses(&self) -> u64 {
        self.deadline_misses.load(Ordering::Relaxed)
    }

    /// A session, or one more, that the caller's checks do not let in.
    pub fn refused(&self, reason: Refusal) {
        self.refusals.get(reason).fetch_add(1, Ordering::Relaxed);
    }

    /// An utterance was cut by its client.
    pub fn interrupted(&self) {
        self.interrupts.fetch_add(1, Ordering::Relaxed);
    }

    /// Sound was taken in: `samples` at `rate_hz`.
    pub fn audio_taken(&self, samples: usize, rate_hz: u32) {
        let ns = samples as u128 * 1_000_000_000 / u128::from(rate_hz.max(1));
        self.audio_ns.fetch_add(u64::try_from(ns).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// A frame of `bytes` was handed to its client's stream.
    pub fn frame_sent(&self, bytes: usize) {
        self.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The first frame of an utterance was handed over, `elapsed` after its first sample entered the session.
    pub fn first_frame(&self, elapsed: Duration) {
        self.first_frame.observe(elapsed);
    }

    /// Where the time to an utterance's first frame went.
    pub fn first_frame_parts(&self, times: FirstFrameTimes) {
        for (part, time) in times.parts() {
            self.first_parts.get(part).observe(time);
        }
    }

    /// A call is over.
    pub fn call_ended(&self, kind: CallKind, end: CallEnd) {
        self.calls.get(kind).get(end).fetch_add(1, Ordering::Relaxed);
    }

    /// ns since this recorder was made.
    pub(super) fn now_ns(&self) -> u64 {
        nanos(self.epoch.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_frame_is_a_miss_and_one_in_time_is_not() {
        let recorder = Recorder::new();
        recorder.frame_due(Duration::ZERO);
        recorder.frame_due(Duration::ZERO);
        recorder.frame_due(Duration::from_millis(30));
        let lateness = recorder.lateness.snapshot();
        assert_eq!(recorder.deadline_misses(), 1);
        assert_eq!(lateness.count, 3);
        assert!((lateness.sum - 0.03).abs() < 1e-9, "{}", lateness.sum);
    }

    #[test]
    fn sound_adds_up_to_its_length_at_any_rate() {
        let recorder = Recorder::new();
        recorder.audio_taken(44_100, 44_100);
        recorder.audio_taken(8_000, 16_000);
        recorder.audio_taken(5, 0);
        assert_eq!(recorder.audio_ns.load(Ordering::Relaxed), 1_500_000_000 + 5_000_000_000);
    }
}
