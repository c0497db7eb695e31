//! What is recorded of one session and of the call it belongs to.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tracing::{Span, field};

use super::label::{CallEnd, CallKind, Label, SessionState};
use super::recorder::Recorder;
use crate::avatar::AvatarId;

/// A session's state among all sessions', and the clock of its utterance's first frame.
#[derive(Debug)]
pub struct SessionMeter {
    recorder: Arc<Recorder>,
    state: AtomicUsize,
    /// When the utterance's first sample entered the session.
    begun_ns: AtomicU64,
}

impl SessionMeter {
    /// A session that is idle.
    #[must_use]
    pub fn new(recorder: Arc<Recorder>) -> Self {
        recorder.states.get(SessionState::Idle).fetch_add(1, Ordering::Relaxed);
        Self { recorder, state: AtomicUsize::new(SessionState::Idle.index()), begun_ns: AtomicU64::new(0) }
    }

    /// The session is now in `state`. From idle to anything else begins an utterance.
    pub fn set_state(&self, state: SessionState) {
        let before = SessionState::ALL[self.state.swap(state.index(), Ordering::Relaxed)];
        if before == SessionState::Idle && state != SessionState::Idle {
            self.begun_ns.store(self.recorder.now_ns(), Ordering::Relaxed);
        }
        self.recorder.states.get(before).fetch_sub(1, Ordering::Relaxed);
        self.recorder.states.get(state).fetch_add(1, Ordering::Relaxed);
    }

    /// The reader has taken a frame of `bytes`, which may be the first of its utterance.
    pub fn frame_taken(&self, is_first: bool, bytes: usize) {
        self.recorder.frame_sent(bytes);
        if is_first {
            let begun_ns = self.begun_ns.load(Ordering::Relaxed);
            self.recorder.first_frame(Duration::from_nanos(self.recorder.now_ns().saturating_sub(begun_ns)));
        }
    }

    /// The daemon's recorder.
    #[must_use]
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }
}

impl Drop for SessionMeter {
    fn drop(&mut self) {
        let last = SessionState::ALL[self.state.load(Ordering::Relaxed)];
        self.recorder.states.get(last).fetch_sub(1, Ordering::Relaxed);
    }
}

/// Calls since the start: the number a session goes by in the log and in spans.
static NEXT_CALL: AtomicU64 = AtomicU64::new(1);

/// What a call is counted and traced as.
#[derive(Debug, Clone)]
pub struct CallInfo {
    /// Which call.
    pub kind: CallKind,
    /// The client's own name for it, where it gave one.
    pub request_id: Option<String>,
    /// Where it came from.
    pub peer: Option<IpAddr>,
    /// When the client no longer wants it.
    pub deadline: Option<Instant>,
}

/// One call with a session, from its admission to its end: counted once, with a span of its own. A call that
/// is dropped without a word about its end was cancelled.
#[derive(Debug)]
pub struct CallRecord {
    recorder: Arc<Recorder>,
    kind: CallKind,
    end: CallEnd,
    overdue: Overdue,
    span: Span,
    frames: u64,
}

/// Tells a call's record that it is being ended for taking too long.
#[derive(Debug, Clone, Default)]
pub struct Overdue(Arc<AtomicBool>);

impl Overdue {
    /// It is.
    pub fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl CallRecord {
    /// Opens the call's span, at level info, with `avatar`, `kind`, `request_id` and the session's number; `frames` and `end` are known when it closes.
    #[must_use]
    pub fn open(recorder: Arc<Recorder>, call: &CallInfo, avatar: &AvatarId) -> Self {
        let session = NEXT_CALL.fetch_add(1, Ordering::Relaxed);
        let span = tracing::info_span!(
            "session",
            session,
            avatar = %avatar,
            kind = call.kind.word(),
            request_id = call.request_id.as_deref(),
            frames = field::Empty,
            end = field::Empty,
        );
        span.in_scope(|| tracing::debug!("opened"));
        Self { recorder, kind: call.kind, end: CallEnd::Cancelled, overdue: Overdue::default(), span, frames: 0 }
    }

    /// For whoever ends it for taking too long.
    #[must_use]
    pub fn overdue(&self) -> Overdue {
        self.overdue.clone()
    }

    /// How the call is ending; the last word counts.
    pub fn ends(&mut self, end: CallEnd) {
        self.end = end;
    }

    /// A frame was handed over, idle ones included.
    pub fn frame_sent(&mut self) {
        self.frames += 1;
    }

    /// An utterance was handed over whole.
    pub fn utterance_done(&self, utterance: u32, frames: u64, samples: u64) {
        self.span.in_scope(|| tracing::debug!(utterance, frames, samples, "utterance done"));
    }

    /// An utterance was cut after `frames` frames.
    pub fn utterance_cut(&self, utterance: u32, frames: u64) {
        self.span.in_scope(|| tracing::debug!(utterance, frames, "utterance interrupted"));
    }
}

impl Drop for CallRecord {
    fn drop(&mut self) {
        if self.overdue.0.load(Ordering::Relaxed) {
            self.end = CallEnd::Timeout;
        }
        self.recorder.call_ended(self.kind, self.end);
        // Signed, as OpenTelemetry has no other numbers: an unsigned one would go out as text.
        self.span.record("frames", i64::try_from(self.frames).unwrap_or(i64::MAX));
        self.span.record("end", self.end.word());
        self.span.in_scope(|| tracing::debug!(frames = self.frames, end = self.end.word(), "closed"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(recorder: &Recorder) -> Vec<i64> {
        recorder.states.iter().map(|(_, count)| count.load(Ordering::Relaxed)).collect()
    }

    #[test]
    fn a_session_is_in_one_state_at_a_time_and_in_none_after_its_end() {
        let recorder = Recorder::new();
        let (a, b) = (SessionMeter::new(Arc::clone(&recorder)), SessionMeter::new(Arc::clone(&recorder)));
        assert_eq!(states(&recorder), [2, 0, 0]);
        a.set_state(SessionState::Speaking);
        b.set_state(SessionState::Speaking);
        b.set_state(SessionState::Finishing);
        assert_eq!(states(&recorder), [0, 1, 1]);
        b.set_state(SessionState::Idle);
        assert_eq!(states(&recorder), [1, 1, 0]);
        drop((a, b));
        assert_eq!(states(&recorder), [0, 0, 0]);
    }

    #[test]
    fn the_first_frame_of_each_utterance_is_timed_from_its_first_sample() {
        let recorder = Recorder::new();
        let meter = SessionMeter::new(Arc::clone(&recorder));
        std::thread::sleep(Duration::from_millis(30));
        for _ in 0..2 {
            meter.set_state(SessionState::Speaking);
            std::thread::sleep(Duration::from_millis(2));
            meter.frame_taken(true, 100);
            meter.frame_taken(false, 10);
            meter.set_state(SessionState::Idle);
        }
        let first = recorder.first_frame.snapshot();
        assert_eq!(first.count, 2);
        assert!(first.sum >= 0.004, "{}", first.sum);
        assert_eq!(recorder.sent_bytes.load(Ordering::Relaxed), 220);
    }

    #[test]
    fn a_call_counts_once_under_its_last_word_or_as_cancelled() {
        let recorder = Recorder::new();
        let info = CallInfo { kind: CallKind::Live, request_id: None, peer: None, deadline: None };
        let avatar: AvatarId = "demo".parse().unwrap();
        let mut done = CallRecord::open(Arc::clone(&recorder), &info, &avatar);
        done.ends(CallEnd::Done);
        drop(done);
        drop(CallRecord::open(Arc::clone(&recorder), &info, &avatar));
        let live: Vec<u64> =
            recorder.calls.get(CallKind::Live).iter().map(|(_, count)| count.load(Ordering::Relaxed)).collect();
        assert_eq!(live, [1, 1, 0, 0, 0]);
    }
}
