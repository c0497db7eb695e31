//! What `lipsyncd bench` takes.

use std::path::PathBuf;

use clap::{ArgGroup, Args as ClapArgs};

use super::CommandError;
use crate::audio::read_wav;
use crate::commands::daemon_url;
use crate::commands::numbers::{number, seconds};
use crate::load::{LoadOptions, Speech};

/// What is counted, for `--help`; docs/operations.md says it at length.
const ABOUT: &str = "\
Each stream is a Converse call. Frame i of an utterance is due at

    beginning of the utterance + look-ahead + i / fps + budget

where the look-ahead is what the daemon names in `started`: at the pace of speech, that is `budget` after the \
last sound the frame depends on was sent. With --idle-frames there is a frame for every 1 / fps s of the call, which a player \
with a buffer of `budget` shows one after the other: a frame is due when it is to be shown, and one that comes later holds up \
those after it; how late an utterance begins is told by the times to its first frame. A frame that comes later than it is due is \
a miss, as is one that never comes. A chunk of sound is sent when its first sample is due. Progress and sentences go to stderr; \
the last line on stdout is one JSON object with the results.";

/// The command line.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = ABOUT, group = ArgGroup::new("paced").args(["realtime", "find_capacity"]).multiple(true))]
pub(in crate::commands) struct Args {
    /// The daemon, e.g. http://127.0.0.1:50053
    #[arg(long, value_name = "URL", value_parser = daemon_url)]
    pub(super) target: String,
    /// Live streams at once; with --find-capacity, how many to begin with
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=8192))]
    streams: u32,
    /// How long they run; with --find-capacity, each try
    #[arg(long, default_value_t = 10.0, value_name = "S", value_parser = seconds)]
    pub(super) seconds: f64,
    /// Send audio at the pace of speech; otherwise as fast as the daemon takes it, without pauses
    #[arg(long)]
    realtime: bool,
    /// Search for the most streams with less than 0.1 % misses; implies --realtime
    #[arg(long)]
    pub(super) find_capacity: bool,
    /// WAV file that is each utterance [default: speech made by code, utterances of 2 to 6 s]
    #[arg(long, value_name = "FILE")]
    audio: Option<PathBuf>,
    /// Avatar's id; repeat it to mix avatars, which the streams take in turn [default: all the daemon has]
    #[arg(long, value_name = "ID")]
    avatar: Vec<String>,
    /// Part of the time that a stream speaks, with --realtime; the rest is pauses between utterances
    #[arg(long, requires = "paced", default_value_t = 1.0, value_name = "0..1", value_parser = duty)]
    duty: f64,
    /// Ask for frames while nobody speaks, too; a frame is then due when the one before has been shown
    #[arg(long)]
    idle_frames: bool,
    /// How much faster than speech its audio is sent, with --realtime: 1 is a microphone, 4 a quick synthesiser
    #[arg(long, requires = "paced", default_value_t = 1.0, value_name = "FACTOR", value_parser = speed)]
    audio_speed: f64,
    /// Length of an audio message
    #[arg(long, default_value_t = 40, value_name = "MS", value_parser = clap::value_parser!(u32).range(5..=1000))]
    chunk_ms: u32,
    /// Time the daemon has for a frame once its sound has been sent
    #[arg(long, default_value_t = 150.0, value_name = "MS", value_parser = not_negative)]
    budget_ms: f64,
    /// Interrupts of each stream per minute of its speech
    #[arg(long, default_value_t = 0.0, value_name = "PER_MINUTE", value_parser = not_negative)]
    interrupts: f64,
    /// Part of the streams that read half as fast as they should; their frames are not judged
    #[arg(long, default_value_t = 0.0, value_name = "0..1", value_parser = fraction)]
    slow_readers: f64,
    /// Calls that each stream breaks off and makes again, per minute
    #[arg(long, default_value_t = 0.0, value_name = "PER_MINUTE", value_parser = not_negative)]
    disconnects: f64,
    /// Connections that the streams share [default: one for every 8 streams]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    connections: Option<u16>,
    /// Check that each frame is a whole JPEG of the avatar's size
    #[arg(long)]
    check: bool,
    /// Seed of the speech, the pauses, the interrupts and the broken calls
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Draw the results: delays over frames and time, or misses over streams
    #[arg(long, value_name = "FILE.png")]
    pub(super) plot: Option<PathBuf>,
}

impl Args {
    pub(super) fn options(&self) -> LoadOptions {
        LoadOptions {
            target: self.target.clone(),
            streams: self.streams(),
            seconds: self.seconds,
            realtime: self.realtime || self.find_capacity,
            audio_speed: self.audio_speed,
            idle_frames: self.idle_frames,
            chunk_ms: self.chunk_ms,
            duty: self.duty,
            budget_ms: self.budget_ms,
            interrupts_per_minute: self.interrupts,
            disconnects_per_minute: self.disconnects,
            slow_readers: self.slow_readers,
            avatars: self.avatar.clone(),
            connections: self.connections.map_or(0, usize::from),
            check: self.check,
            seed: self.seed,
        }
    }

    /// What the streams say.
    pub(super) fn speech(&self) -> Result<Speech, CommandError> {
        match &self.audio {
            Some(path) => read_wav(path).map(|pcm| Speech::recorded(&pcm)).map_err(CommandError::input),
            None => Ok(Speech::made(self.seed)),
        }
    }

    pub(super) fn streams(&self) -> usize {
        self.streams as usize
    }
}

fn duty(text: &str) -> Result<f64, String> {
    number(text, |value| (0.01..=1.0).contains(&value), "a part from 0.01 to 1")
}

fn speed(text: &str) -> Result<f64, String> {
    number(text, |value| (1.0..=100.0).contains(&value), "a factor from 1 to 100")
}

fn fraction(text: &str) -> Result<f64, String> {
    number(text, |value| (0.0..=1.0).contains(&value), "a part from 0 to 1")
}

fn not_negative(text: &str) -> Result<f64, String> {
    number(text, |value| (0.0..=100_000.0).contains(&value), "a number from 0 to 100000")
}
