//! What both ends of a session and the lanes share: one utterance behind one short lock.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::closing::{Closing, FADE_FRAMES};
use super::feed::Feed;
use super::first::FirstFrame;
use super::options::{Pace, SessionOptions};
use super::picture::Picture;
use super::reader::{Cut, SessionError};
use super::silent_ticks;
use super::sound_clock::SoundClock;
use super::times::{SessionTimes, TimeCounters};
use super::utterance::{Limits, Utterance};
use crate::avatar::LoadedAvatar;
use crate::avatar::silence::Album;
use crate::backend::FrameFormat;
use crate::batch::admission;
use crate::batch::pool::Reservation;
use crate::batch::turns::Speaker;
use crate::batch::{BufferPool, WorkQueue};
use crate::telemetry::{Recorder, SessionMeter, SessionState};

/// Buffers beyond the outbox that can be in use at once: one with the reader, one per slot in flight.
const BUFFERS_BEYOND_OUTBOX: usize = 4;

/// Interrupts kept for a reader that does not read; beyond these no more are read.
pub(super) const MAX_UNANSWERED_CUTS: usize = 16;

pub(super) struct State {
    pub generation: u32,
    /// Where the utterance stands; between two, the next sample begins one.
    pub phase: SessionState,
    pub utterance: Utterance<Picture>,
    /// Utterances begun before the current one.
    pub number: u32,
    /// Place in the loop of the utterance's first frame.
    pub position: u64,
    /// Of calls with idle frames: what stands at which tick.
    pub feed: Option<Feed>,
    /// Of the same: the frames beyond a cut.
    pub closing: Option<Closing>,
    /// The way of the utterance's first frame.
    pub first: FirstFrame,
    /// Whether the utterance has a turn on the device.
    pub has_turn: bool,
    /// Samples of the utterance so far, at the client's rate.
    pub samples: u64,
    /// What its frames are due by.
    pub clock: SoundClock,
    /// Interrupts not yet answered, oldest first.
    pub cuts: VecDeque<Cut>,
    pub failure: Option<SessionError>,
    pub reader_gone: bool,
    pub intake_gone: bool,
}

impl State {
    /// Before the first utterance.
    fn new(avatar: &LoadedAvatar, options: &SessionOptions, limits: Limits) -> Self {
        Self {
            generation: 0,
            phase: SessionState::Idle,
            utterance: Utterance::new(avatar.clock(), avatar.context(), avatar.mels(), limits),
            number: 0,
            position: options.start_position,
            feed: options.idle_frames.map(|_| Feed::new(avatar.fps(), Instant::now())),
            closing: options.idle_frames.map(|_| Closing::new(avatar.context_len())),
            first: FirstFrame::default(),
            has_turn: false,
            samples: 0,
            clock: SoundClock::default(),
            cuts: VecDeque::with_capacity(MAX_UNANSWERED_CUTS),
            failure: None,
            reader_gone: false,
            intake_gone: false,
        }
    }
}

/// One session. Lanes hold it through the work they carry.
pub struct SessionCore {
    pub(super) avatar: Arc<LoadedAvatar>,
    pub(super) options: SessionOptions,
    pub(super) queue: Arc<WorkQueue>,
    pub(super) pool: Arc<BufferPool>,
    /// The avatar's silent pictures in this session's form, where they are kept.
    pub(super) album: Option<Arc<Album>>,
    _buffers: Reservation,
    reserved_items: usize,
    /// When it was last served: a count of batches.
    served: AtomicU64,
    /// The choice of a batch that met its work last.
    met: AtomicU64,
    opened: Instant,
    /// Frames that were drawn for it.
    pub(super) drawn: AtomicU64,
    pub(super) state: Mutex<State>,
    /// What the other sessions see of it when they wait for a turn.
    pub(super) speaker: Arc<Speaker>,
    /// What is recorded of it.
    pub(super) meter: SessionMeter,
    /// Something for the reader: a frame, an end, a cut, a failure.
    pub(super) event: Notify,
    /// Something for the intake: room, or the end of an utterance.
    pub(super) room: Notify,
    pub(super) times: TimeCounters,
}

impl SessionCore {
    /// A session with all its memory. `block_mel_frames` is what one intake block can add.
    pub(super) fn new(
        avatar: Arc<LoadedAvatar>,
        queue: Arc<WorkQueue>,
        options: SessionOptions,
        block_mel_frames: usize,
    ) -> Arc<Self> {
        let options = within_bounds(options, &avatar);
        let (closing_frames, silent_items) =
            if options.idle_frames.is_some() { (FADE_FRAMES, silent_ticks::MOST_ITEMS) } else { (0, 0) };
        let pool = match options.format {
            FrameFormat::Jpeg(_) | FrameFormat::PatchJpeg(_) | FrameFormat::PatchSegments(_) => {
                Arc::clone(avatar.jpeg_pool())
            }
            // Raw frames are for files and tests: a pool of their own that ends with the session.
            FrameFormat::Bgr => BufferPool::new(avatar.bgr_bytes()),
        };
        let plain = options.pictures.is_none() && options.fixed_context.is_none();
        let keeps = plain && options.format != FrameFormat::Bgr;
        let album = keeps.then(|| avatar.silence().album(options.format, avatar.frame_count()));
        let buffers = pool.reserve(options.outbox_frames + closing_frames + BUFFERS_BEYOND_OUTBOX);
        let limits = Limits { outbox_frames: options.outbox_frames, block_mel_frames };
        let windows = Utterance::<Picture>::feature_capacity(avatar.context(), options.outbox_frames);
        let reserved_items = windows + options.outbox_frames + closing_frames + silent_items;
        queue.reserve(reserved_items, options.pace);
        queue.turns().reserve();
        let unseen = options.pace.is_unseen();
        if !unseen {
            avatar.session_opened();
        }
        let meter = SessionMeter::new(if unseen { Recorder::new() } else { Arc::clone(queue.recorder()) });
        let state = Mutex::new(State::new(&avatar, &options, limits));
        Arc::new(Self {
            avatar,
            options,
            queue,
            pool,
            album,
            _buffers: buffers,
            reserved_items,
            served: AtomicU64::new(0),
            met: AtomicU64::new(0),
            opened: Instant::now(),
            drawn: AtomicU64::new(0),
            state,
            speaker: Arc::default(),
            meter,
            event: Notify::new(),
            room: Notify::new(),
            times: TimeCounters::default(),
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
        self.times.read()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under this lock has already been counted by whoever panicked; the state itself is
        // changed by assignments that do not tear.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nobody sees its frames.
    pub(crate) fn is_unseen(&self) -> bool {
        self.options.pace.is_unseen()
    }

    /// Whether it can wait for its turn to speak.
    pub(crate) fn can_wait(&self) -> bool {
        self.options.idle_frames.is_some()
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

    /// Notes that the choice of batch number `batch` meets its work; true when it has met some before.
    pub(crate) fn is_met_again(&self, batch: u64) -> bool {
        self.met.swap(batch, Ordering::Relaxed) == batch
    }

    pub(crate) fn set_served(&self, batches: u64) {
        self.served.store(batches, Ordering::Relaxed);
    }

    /// Drops what is queued and whatever comes back of it, and empties the utterance.
    pub(super) fn forget(self: &Arc<Self>, state: &mut State) {
        state.generation = state.generation.wrapping_add(1);
        self.set_phase(state, SessionState::Idle);
        state.samples = 0;
        state.clock = SoundClock::default();
        if let Some(feed) = &mut state.feed {
            feed.end();
        }
        // Whether it has its turn or still waits for it.
        state.has_turn = false;
        self.queue.turns().end(&self.speaker);
        self.queue.forget(self);
        self.reset(state);
        self.room.notify_one();
    }

    /// Place in the loop after `frames` frames of the utterance: with idle frames that of the next tick.
    pub(super) fn position_after(&self, state: &State, frames: u64) -> u64 {
        match &state.feed {
            Some(feed) => self.options.start_position.wrapping_add(feed.next_tick()),
            None => state.position.wrapping_add(frames),
        }
    }

    /// Frame `index` is being taken: if it is the first, its way is recorded.
    pub(super) fn note_taken(&self, state: &mut State, index: usize) {
        self.speaker.moves_on();
        if index == 0 {
            let times = state.first.taken(Instant::now());
            self.meter.recorder().first_frame_parts(times);
        }
    }

    /// Moves the utterance on.
    pub(super) fn set_phase(&self, state: &mut State, phase: SessionState) {
        state.phase = phase;
        self.meter.set_state(phase);
    }

    /// Makes the utterance ready for the next one's sound.
    pub(super) fn reset(&self, state: &mut State) {
        state.utterance.reset(self.options.max_frames, self.options.fixed_context.as_ref());
    }
}

impl Drop for SessionCore {
    fn drop(&mut self) {
        self.queue.release(self.reserved_items, self.options.pace);
        self.queue.turns().release(&self.speaker);
        if !self.is_unseen() {
            self.avatar.session_closed();
        }
    }
}

/// `options` as `avatar` can keep them.
fn within_bounds(mut options: SessionOptions, avatar: &LoadedAvatar) -> SessionOptions {
    options.outbox_frames = options.outbox_frames.clamp(1, SessionOptions::MAX_OUTBOX);
    if options.start_position > u64::MAX / 2 {
        // The end of numbers, which a session could come to from there, is no end of the loop.
        options.start_position = avatar.order().phase(options.start_position, avatar.frame_count());
    }
    if !is_live(options.pace) || options.format == FrameFormat::Bgr {
        options.idle_frames = None;
    }
    options
}

pub(super) fn is_live(pace: Pace) -> bool {
    pace.budget().is_some()
}
