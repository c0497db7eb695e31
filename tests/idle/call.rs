//! Calls with idle frames, and all that is seen in them.

use std::sync::Arc;
use std::time::Duration;

use lipsyncd::avatar::{Bundle, LoadedAvatar};
use lipsyncd::backend::Backend;
use lipsyncd::batch::Engine;
use lipsyncd::session::{Cut, Event, FrameReader, IdleFrames, Intake, OutFrame, Pace, SessionOptions};

use crate::common::{JPEG, bundle, bytes, cpu_backend, decode_jpeg, engine, load, open, perform, within};

pub const RATE_HZ: u32 = 16_000;
pub const PER_FRAME: usize = RATE_HZ as usize / 25;
pub const START: u64 = 3;
pub const PACE: Pace = Pace::Live { budget: Duration::from_millis(150) };

pub fn options(start_position: u64) -> SessionOptions {
    SessionOptions {
        start_position,
        pace: PACE,
        idle_frames: Some(IdleFrames { utilisation: 1.0 }),
        outbox_frames: SessionOptions::BULK_OUTBOX,
        ..SessionOptions::new(JPEG, RATE_HZ)
    }
}

/// What happened, a frame's bytes beside it.
pub enum Seen {
    Frame(OutFrame),
    Done { frames: u64, samples: u64 },
    Cut(Cut),
}

pub struct Stage {
    pub engine: Engine,
    pub avatar: Arc<LoadedAvatar>,
}

pub struct Call {
    pub intake: Intake,
    pub reader: FrameReader,
    pub seen: Vec<Seen>,
}

impl Stage {
    pub fn new(slots: usize) -> Self {
        Self::of(&cpu_backend(), &bundle(), slots)
    }

    pub fn of(backend: &Arc<dyn Backend>, bundle: &Bundle, slots: usize) -> Self {
        let avatar = load(backend, bundle);
        Self { engine: engine(backend, slots, 8, 1), avatar }
    }

    pub fn call(&self) -> Call {
        self.call_with(options(START))
    }

    pub fn call_with(&self, options: SessionOptions) -> Call {
        let (intake, reader) = open(&self.engine, &self.avatar, options);
        Call { intake, reader, seen: Vec::new() }
    }

    /// The frames that `sound` has where its first stands at `tick`.
    pub async fn offline(&self, sound: &[f32], tick: u64) -> Vec<Vec<u8>> {
        let options = SessionOptions { start_position: START + tick, ..SessionOptions::new(JPEG, RATE_HZ) };
        let take = perform(&self.engine, &self.avatar, options, sound).await;
        bytes(&take.frames).into_iter().map(<[u8]>::to_vec).collect()
    }

    /// The silent picture of every pose, by the networks.
    pub async fn silent(&self) -> Vec<Vec<u8>> {
        let feature = self.avatar.silence().feature().expect("it has been idle");
        let rows = self.avatar.context().rows();
        let context: Vec<f32> = std::iter::repeat_n(feature, rows).flatten().copied().collect();
        let options = SessionOptions {
            max_frames: Some(self.avatar.frame_count()),
            fixed_context: Some(context.into()),
            ..SessionOptions::new(JPEG, RATE_HZ)
        };
        let take = perform(&self.engine, &self.avatar, options, &[]).await;
        take.frames.into_iter().map(|frame| frame.data).collect()
    }
}

impl Call {
    /// Reads until `enough` is seen.
    pub async fn until(&mut self, enough: impl Fn(&[Seen]) -> bool) {
        while !enough(&self.seen) {
            let seen = match within(self.reader.next()).await.expect("the session goes on").unwrap() {
                Event::Frame(frame) => Seen::Frame(frame),
                Event::UtteranceDone { frames, samples, .. } => Seen::Done { frames, samples },
                Event::Interrupted(cut) => Seen::Cut(cut),
            };
            self.seen.push(seen);
        }
    }

    pub async fn ticks(&mut self, more: usize) {
        let enough = self.frames().len() + more;
        self.until(|seen| seen.iter().filter(|seen| matches!(seen, Seen::Frame(_))).count() >= enough).await;
    }

    pub async fn say(&mut self, sound: &[f32]) {
        within(self.intake.push(sound)).await.unwrap();
        within(self.intake.finish()).await.unwrap();
    }

    pub fn frames(&self) -> Vec<&OutFrame> {
        self.seen.iter().filter_map(|seen| if let Seen::Frame(frame) = seen { Some(frame) } else { None }).collect()
    }

    /// Spoken frames by their index.
    pub fn spoken(&self) -> Vec<&OutFrame> {
        self.frames().into_iter().filter(|frame| !frame.is_idle).collect()
    }

    /// What must hold of every call: ticks without gaps, and the pose follows them.
    pub fn check(&self, avatar: &LoadedAvatar) {
        for (tick, frame) in (0..).zip(self.frames()) {
            assert_eq!(frame.tick, Some(tick));
            assert_eq!(frame.avatar_frame, avatar.frame_at(START + tick), "tick {tick}");
        }
    }
}

pub fn is_spoken(seen: &Seen) -> bool {
    matches!(seen, Seen::Frame(frame) if !frame.is_idle)
}

pub fn is_done(seen: &[Seen]) -> bool {
    seen.iter().any(|seen| matches!(seen, Seen::Done { .. }))
}

/// How far two JPEGs lie apart: mean square of their pixels' difference.
pub fn distance(a: &[u8], b: &[u8]) -> f64 {
    let (a, b) = (decode_jpeg(a).2, decode_jpeg(b).2);
    a.iter().zip(&b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>() / a.len() as f64
}
