//! What both ends of a session and the lanes share: one utterance behind one short lock.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::options::{Pace, PictureOverride, SessionOptions};
use super::reader::{Cut, SessionError};
use super::utterance::{Limits, Utterance};
use crate::avatar::LoadedAvatar;
use crate::backend::{BackendError, FrameFormat};
use crate::batch::admission;
use crate::batch::pool::Reservation;
use crate::batch::slot::{FrameJob, StageTimes};
use crate::batch::work::WorkKind;
use crate::batch::{BufferPool, PooledBuf, Work, WorkQueue};
use crate::telemetry::{Recorder, SessionMeter, SessionState};

/// Buffers beyond the outbox that can be in use at once: one with the reader, one per slot in flight.
const BUFFERS_BEYOND_OUTBOX: usize = 4;

/// Interrupts kept for a reader that does not read; the oldest beyond are not answered.
pub(super) const MAX_UNANSWERED_CUTS: usize = 16;

/// Where an utterance stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Between utterances: the next sample begins one.
    Idle,
    /// Sound is arriving.
    Speaking,
    /// The sound is complete, frames are still being made or taken.
    Finishing,
}

pub(super) struct State {
    pub generation: u32,
    pub phase: Phase,
    pub utterance: Utterance<PooledBuf>,
    /// Utterances begun before the current one.
    pub number: u32,
    /// Place in the loop of the utterance's first frame.
    pub position: u64,
    /// Samples of the utterance so far, at the client's rate.
    pub samples: u64,
    /// When the utterance's first sample came, or would have, had the sound never been held up.
    pub anchor: Option<Instant>,
    /// Interrupts not yet answered, oldest first.
    pub cuts: VecDeque<Cut>,
    pub failure: Option<SessionError>,
    pub reader_gone: bool,
    pub intake_gone: bool,
}

/// Time a session's work has spent so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionTimes {
    /// Resampling and mel.
    pub audio: Duration,
    /// In the two networks.
    pub network: Duration,
    /// Compositing and encoding.
    pub composite: Duration,
}

/// One session. Lanes hold it through the work they carry.
pub struct SessionCore {
    avatar: Arc<LoadedAvatar>,
    pub(super) options: SessionOptions,
    queue: Arc<WorkQueue>,
    pool: Arc<BufferPool>,
    _buffers: Reservation,
    reserved_items: usize,
    /// When it was last served: a count of batches.
    served: AtomicU64,
    opened: Instant,
    /// Frames that were drawn for it.
    drawn: AtomicU64,
    pub(super) state: Mutex<State>,
    /// What is recorded of it.
    pub(super) meter: SessionMeter,
    /// Something for the reader: a frame, an end, a cut, a failure.
    pub(super) event: Notify,
    /// Something for the intake: room, or the end of an utterance.
    pub(super) room: Notify,
    audio_ns: AtomicU64,
    network_ns: AtomicU64,
    composite_ns: AtomicU64,
}

impl SessionCore {
    /// A session with all its memory. `block_mel_frames` is what one intake block can add.
    pub(super) fn new(
        avatar: Arc<LoadedAvatar>,
        queue: Arc<WorkQueue>,
        mut options: SessionOptions,
        block_mel_frames: usize,
    ) -> Arc<Self> {
        options.outbox_frames = options.outbox_frames.clamp(1, SessionOptions::MAX_OUTBOX);
        let pool = match options.format {
            FrameFormat::Jpeg(_) | FrameFormat::PatchJpeg(_) | FrameFormat::PatchSegments(_) => {
                Arc::clone(avatar.jpeg_pool())
            }
            // Raw frames are for files and tests: a pool of their own that ends with the session.
            FrameFormat::Bgr => BufferPool::new(avatar.bgr_bytes()),
        };
        let buffers = pool.reserve(options.outbox_frames + BUFFERS_BEYOND_OUTBOX);
        let limits = Limits { outbox_frames: options.outbox_frames, block_mel_frames };
        let windows = Utterance::<PooledBuf>::feature_capacity(avatar.context(), options.outbox_frames);
        let reserved_items = windows + options.outbox_frames;
        queue.reserve(reserved_items, is_live(options.pace));
        let rehearsal = options.pace == Pace::Rehearsal;
        if !rehearsal {
            avatar.session_opened();
        }
        let meter = SessionMeter::new(if rehearsal { Recorder::new() } else { Arc::clone(queue.recorder()) });
        let state = State {
            generation: 0,
            phase: Phase::Idle,
            utterance: Utterance::new(avatar.clock(), avatar.context(), avatar.mels(), limits),
            number: 0,
            position: options.start_position,
            samples: 0,
            anchor: None,
            cuts: VecDeque::with_capacity(MAX_UNANSWERED_CUTS),
            failure: None,
            reader_gone: false,
            intake_gone: false,
        };
        Arc::new(Self {
            avatar,
            options,
            queue,
            pool,
            _buffers: buffers,
            reserved_items,
            served: AtomicU64::new(0),
            opened: Instant::now(),
            drawn: AtomicU64::new(0),
            state: Mutex::new(state),
            meter,
            event: Notify::new(),
            room: Notify::new(),
            audio_ns: AtomicU64::new(0),
            network_ns: AtomicU64::new(0),
            composite_ns: AtomicU64::new(0),
        })
    }

    /// Whose frames it shows.
    #[must_use]
    pub fn avatar(&self) -> &Arc<LoadedAvatar> {
        &self.avatar
    }

    /// Time its work has spent so far.
    #[must_use]
    pub fn times(&self) -> SessionTimes {
        let read = |ns: &AtomicU64| Duration::from_nanos(ns.load(Ordering::Relaxed));
        SessionTimes {
            audio: read(&self.audio_ns),
            network: read(&self.network_ns),
            composite: read(&self.composite_ns),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under this lock has already been counted by whoever panicked; the state itself is
        // changed by assignments that do not tear.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add_audio_time(&self, elapsed: Duration) {
        add(&self.audio_ns, elapsed);
    }

    /// Queues every window and frame that has become possible.
    pub(super) fn pump(self: &Arc<Self>, state: &mut State) {
        let (generation, anchor, queued_at) = (state.generation, state.anchor, Instant::now());
        let work = |kind, due| Work { session: Arc::clone(self), generation, kind, due, queued_at };
        // A window is due one frame before the first frame that sees it.
        let ahead = self.avatar.context().rows() / 2;
        while let Some(index) = state.utterance.next_window() {
            let due = self.due(anchor, index.saturating_sub(ahead));
            self.queue.push(work(WorkKind::Window(index), due));
        }
        while let Some(index) = state.utterance.next_frame() {
            self.queue.push(work(WorkKind::Frame(index), self.due(anchor, index)));
        }
    }

    /// When frame `index` is due, of a live session's utterance that began at `anchor`.
    fn due(&self, anchor: Option<Instant>, index: usize) -> Option<Instant> {
        let Pace::Live { budget } = self.options.pace else { return None };
        // Whole nanoseconds from the anchor, so that no rounding adds up.
        let ns = index as u128 * 1_000_000_000 / u128::from(self.avatar.fps());
        let pts = Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX));
        anchor?.checked_add(self.avatar.lookahead())?.checked_add(pts)?.checked_add(budget)
    }

    /// Notes that the utterance's sound has come so far: sound that is late moves the utterance's clock, sound that is early does
    /// not.
    pub(super) fn heard(&self, state: &mut State) {
        if !is_live(self.options.pace) {
            return;
        }
        let now = Instant::now();
        let ns = u128::from(state.samples) * 1_000_000_000 / u128::from(self.options.sample_rate_hz.max(1));
        let sound = Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX));
        let natural = now.checked_sub(sound).unwrap_or(now);
        state.anchor = Some(state.anchor.map_or(now, |anchor| anchor.max(natural)));
    }

    /// Whether nobody sees its frames.
    pub(crate) fn is_rehearsal(&self) -> bool {
        self.options.pace == Pace::Rehearsal
    }

    /// Part of the time that it speaks, [`admission::speech`] of what was seen of it.
    pub(crate) fn speech(&self, expected: f64) -> f64 {
        let drawn = self.drawn.load(Ordering::Relaxed) as f64;
        let spoken = Duration::from_secs_f64(drawn / f64::from(self.avatar.fps()));
        admission::speech(expected, spoken, self.opened.elapsed())
    }

    /// When it was last served: a count of batches, smaller is longer ago.
    pub(crate) fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    pub(crate) fn set_served(&self, batches: u64) {
        self.served.store(batches, Ordering::Relaxed);
    }

    /// Drops what is queued and whatever comes back of it, and empties the utterance.
    pub(super) fn forget(self: &Arc<Self>, state: &mut State) {
        state.generation = state.generation.wrapping_add(1);
        self.set_phase(state, Phase::Idle);
        state.samples = 0;
        state.anchor = None;
        self.queue.forget(self);
        self.reset(state);
        self.room.notify_one();
    }

    /// Moves the utterance on.
    pub(super) fn set_phase(&self, state: &mut State, phase: Phase) {
        state.phase = phase;
        self.meter.set_state(match phase {
            Phase::Idle => SessionState::Idle,
            Phase::Speaking => SessionState::Speaking,
            Phase::Finishing => SessionState::Finishing,
        });
    }

    /// Makes the utterance ready for the next one's sound.
    pub(super) fn reset(&self, state: &mut State) {
        state.utterance.reset(self.options.max_frames, self.options.fixed_context.as_ref());
    }

    /// Stages the window of `work`; false when it is no longer wanted.
    pub(crate) fn stage_window(&self, work: &Work, index: usize, scratch: &mut [f32], window: &mut [f32]) -> bool {
        let state = self.lock();
        let wanted = state.generation == work.generation;
        if wanted {
            state.utterance.stage_window(index, scratch, window);
        }
        wanted
    }

    /// Stages the context of `work` and says how to draw the frame; `None` when it is no longer wanted.
    pub(crate) fn stage_frame(&self, work: &Work, index: usize, context: &mut [f32]) -> Option<(FrameJob, PooledBuf)> {
        let position = {
            let state = self.lock();
            if state.generation != work.generation {
                return None;
            }
            state.utterance.stage_context(index, context);
            state.position.wrapping_add(index as u64)
        };
        let picture = self
            .options
            .pictures
            .as_ref()
            .and_then(|pictures| PictureOverride::nth(pictures, index, self.avatar.picture_len()));
        let job = FrameJob { avatar_frame: self.avatar.frame_at(position), format: self.options.format, picture };
        Some((job, self.pool.take()))
    }

    /// Takes the feature of window `index`.
    pub(crate) fn put_feature(self: &Arc<Self>, work: &Work, index: usize, feature: &[f32]) {
        let mut state = self.lock();
        if state.generation == work.generation {
            state.utterance.put_feature(index, feature);
            self.pump(&mut state);
            self.room.notify_one();
        }
    }

    /// Takes finished frame `index`.
    pub(crate) fn put_frame(&self, work: &Work, index: usize, frame: PooledBuf) {
        let mut state = self.lock();
        if state.generation == work.generation {
            state.utterance.put_frame(index, frame);
            self.drawn.fetch_add(1, Ordering::Relaxed);
            self.event.notify_one();
        }
    }

    /// Adds this item's share of its batch's times.
    pub(crate) fn add_times(&self, share: StageTimes) {
        add(&self.network_ns, share.network);
        add(&self.composite_ns, share.composite);
    }

    /// Ends the session: its work cannot be done.
    pub(crate) fn fail(self: &Arc<Self>, work: &Work, error: &BackendError) {
        let mut state = self.lock();
        if state.generation == work.generation && state.failure.is_none() {
            self.forget(&mut state);
            state.failure = Some(SessionError::new(error));
            self.event.notify_one();
        }
    }
}

impl Drop for SessionCore {
    fn drop(&mut self) {
        self.queue.release(self.reserved_items, is_live(self.options.pace));
        if !self.is_rehearsal() {
            self.avatar.session_closed();
        }
    }
}

fn is_live(pace: Pace) -> bool {
    matches!(pace, Pace::Live { .. })
}

fn add(counter: &AtomicU64, elapsed: Duration) {
    counter.fetch_add(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
}
