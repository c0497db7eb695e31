//! The one place where the pipeline counts what it does.
//!
//! One per engine, shared by its queue, lanes and sessions. Every method is a few relaxed atomic additions:
//! no lock, no allocation, callable from any thread. The exceptions are named.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::histogram::{Histogram, SIZE_BOUNDS, STAGE_BOUNDS_NS, VIEWER_BOUNDS_NS, nanos};
use super::label::{ByLabel, CallEnd, CallKind, Refusal, SessionState, Stage, WorkClass};
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
pub struct Recorder {
    epoch: Instant,
    pub(super) batches: ByLabel<WorkClass, AtomicU64>,
    pub(super) failed_batches: ByLabel<WorkClass, AtomicU64>,
    pub(super) batch_size: ByLabel<WorkClass, Histogram>,
    pub(super) queue_wait: ByLabel<WorkClass, Histogram>,
    pub(super) stages: ByLabel<Stage, Histogram>,
    pub(super) deadline_misses: AtomicU64,
    pub(super) lateness: Histogram,
    pub(super) first_frame: Histogram,
    pub(super) states: ByLabel<SessionState, AtomicI64>,
    pub(super) calls: ByLabel<CallKind, ByLabel<CallEnd, AtomicU64>>,
    pub(super) refusals: ByLabel<Refusal, AtomicU64>,
    pub(super) interrupts: AtomicU64,
    pub(super) audio_ns: AtomicU64,
    pub(super) sent_bytes: AtomicU64,
    lanes: Mutex<Vec<Arc<LaneClock>>>,
}

impl Recorder {
    /// Everything at zero.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            epoch: Instant::now(),
            batches: ByLabel::new(AtomicU64::default),
            failed_batches: ByLabel::new(AtomicU64::default),
            batch_size: ByLabel::new(|| Histogram::sizes(SIZE_BOUNDS)),
            queue_wait: ByLabel::new(|| Histogram::seconds(STAGE_BOUNDS_NS)),
            stages: ByLabel::new(|| Histogram::seconds(STAGE_BOUNDS_NS)),
            deadline_misses: AtomicU64::new(0),
            lateness: Histogram::seconds(VIEWER_BOUNDS_NS),
            first_frame: Histogram::seconds(VIEWER_BOUNDS_NS),
            states: ByLabel::new(AtomicI64::default),
            calls: ByLabel::new(|| ByLabel::new(AtomicU64::default)),
            refusals: ByLabel::new(AtomicU64::default),
            interrupts: AtomicU64::new(0),
            audio_ns: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
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
        self.batches.get(class).fetch_add(1, Ordering::Relaxed);
        self.batch_size.get(class).record(len as u64);
    }

    /// A batch failed; its sessions end.
    pub fn batch_failed(&self, class: WorkClass) {
        self.failed_batches.get(class).fetch_add(1, Ordering::Relaxed);
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

    /// The first frame of an utterance was handed over, `elapsed` after its first sample came.
    pub fn first_frame(&self, elapsed: Duration) {
        self.first_frame.observe(elapsed);
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

    #[test]
    fn lanes_are_summed() {
        let recorder = Recorder::new();
        let (mut first, mut second) = (recorder.open_lane(), recorder.open_lane());
        assert_eq!(recorder.lanes(), LaneSummary::default());
        first.begin();
        second.begin();
        assert_eq!(recorder.lanes().busy, 2);
        second.end();
        let lanes = recorder.lanes();
        assert_eq!(lanes.busy, 1);
        assert!(lanes.busy_total > Duration::ZERO && lanes.oldest > Duration::ZERO);
        first.end();
        assert_eq!(recorder.lanes().oldest, Duration::ZERO);
    }
}
