//! The figures of a run, as JSON. The names are stable; `docs/operations.md` explains them.

use serde::Serialize;

use super::LoadOptions;
use super::first_parts::FirstParts;
use super::quantiles::{Quantiles, rounded};
use super::tally::Tally;
use crate::chain::sentence;
use crate::rpc::client::ClientError;

/// A run's results.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    target: String,
    server: Server,
    avatars: Vec<String>,
    realtime: bool,
    audio_speed: f64,
    seconds: f64,
    chunk_ms: u32,
    duty: f64,
    budget_ms: f64,
    seed: u64,
    /// What became of the streams.
    pub streams: Streams,
    refusal_ms: Option<Quantiles>,
    utterances: u64,
    audio_seconds: f64,
    frames: Frames,
    /// In calls with idle frames.
    #[serde(skip_serializing_if = "Option::is_none")]
    idle: Option<Idle>,
    /// Percent of frames that came late or never.
    pub miss_percent: f64,
    first_frame_ms: Option<Quantiles>,
    first_frame_after_sound_ms: Option<Quantiles>,
    first_frame_parts_ms: FirstParts,
    delay_ms: Option<Quantiles>,
    lateness_ms: Option<Quantiles>,
    bytes_per_second: f64,
    interrupts: Interrupts,
    disconnects: u64,
    cpu: Cpu,
    /// The answer of a search for the most streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Capacity>,
    /// Why the run is not whole.
    pub error: Option<String>,
    /// What it was counted from.
    #[serde(skip)]
    pub tally: Tally,
}

/// Who was asked.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Server {
    pub(super) version: String,
    pub(super) backend: String,
}

/// What became of the streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Streams {
    /// Calls made at the start.
    pub asked: usize,
    /// Calls taken.
    pub held: usize,
    /// Calls refused for want of room.
    pub refused: usize,
    /// Calls that failed, at the start or later.
    pub failed: usize,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Frames {
    count: u64,
    per_second: f64,
    late: u64,
    missing: u64,
    gaps: u64,
    stale: u64,
    unasked: u64,
    faulty: u64,
}

/// Frames in which nobody spoke; those of [`Frames`] and `miss_percent` are the others.
#[derive(Debug, Clone, Copy, Serialize)]
struct Idle {
    frames: u64,
    late: u64,
    miss_percent: f64,
}

#[derive(Debug, Clone, Serialize)]
struct Interrupts {
    count: u64,
    answer_ms: Option<Quantiles>,
    next_first_frame_ms: Option<Quantiles>,
}

/// Cores used on average; `None` where it could not be read.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Cpu {
    server_cores: Option<f64>,
    client_cores: Option<f64>,
}

/// The most streams a daemon carries.
#[derive(Debug, Clone, Serialize)]
pub struct Capacity {
    /// The answer: with so many, misses stay below the bound; with one more they do not.
    pub streams: usize,
    /// The bound.
    pub below_miss_percent: f64,
    /// Every try, in order.
    pub steps: Vec<StepReport>,
}

/// One try of the search.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct StepReport {
    /// Streams asked for.
    pub streams: usize,
    /// Streams the daemon took.
    pub held: usize,
    /// Percent of frames that came late or never.
    pub miss_percent: f64,
    frames_per_second: f64,
    server_cores: Option<f64>,
    /// Whether all were taken and the misses stayed below the bound.
    pub carried: bool,
}

impl StepReport {
    pub(super) fn frames_per_second(&self) -> f64 {
        self.frames_per_second
    }
}

/// What happened besides frames.
pub(super) struct Outcome {
    pub(super) held: usize,
    pub(super) refused: usize,
    pub(super) failures: Vec<ClientError>,
    pub(super) cpu: Cpu,
    pub(super) measured_s: f64,
    pub(super) rate_hz: u32,
}

impl Report {
    pub(super) fn new(
        options: &LoadOptions,
        avatars: &[String],
        server: &Server,
        outcome: Outcome,
        tally: Tally,
    ) -> Self {
        let streams = Streams {
            asked: options.streams,
            held: outcome.held,
            refused: outcome.refused,
            failed: outcome.failures.len(),
        };
        let whole = tally.seconds.iter().take(outcome.measured_s.round().max(1.0) as usize);
        let (count, bytes) = whole.fold((0, 0), |(frames, bytes), s| (frames + s.frames, bytes + s.bytes));
        let per_second = |sum: u64| rounded(sum as f64 / outcome.measured_s.max(1e-3));
        Self {
            target: options.target.clone(),
            server: server.clone(),
            avatars: avatars.to_vec(),
            realtime: options.realtime,
            audio_speed: options.audio_speed,
            seconds: rounded(outcome.measured_s),
            chunk_ms: options.chunk_ms,
            duty: options.duty,
            budget_ms: options.budget_ms,
            seed: options.seed,
            streams,
            refusal_ms: tally.refusal.quantiles(),
            utterances: tally.utterances,
            audio_seconds: rounded(tally.samples as f64 / f64::from(outcome.rate_hz.max(1))),
            frames: Frames {
                count: tally.frames,
                per_second: per_second(count),
                late: tally.late,
                missing: tally.missing,
                gaps: tally.gaps,
                stale: tally.stale,
                unasked: tally.unasked,
                faulty: tally.faulty,
            },
            idle: options.idle_frames.then(|| Idle {
                frames: tally.idle_frames,
                late: tally.idle_late,
                miss_percent: (tally.idle_miss_percent() * 1e5).round() / 1e5,
            }),
            miss_percent: (tally.miss_percent() * 1e5).round() / 1e5,
            first_frame_ms: tally.first_frame.quantiles(),
            first_frame_after_sound_ms: tally.first_frame_after_sound.quantiles(),
            first_frame_parts_ms: tally.first_parts.clone(),
            delay_ms: tally.delay.quantiles(),
            lateness_ms: tally.lateness.quantiles(),
            bytes_per_second: per_second(bytes),
            interrupts: Interrupts {
                count: tally.interrupts,
                answer_ms: tally.interrupted.quantiles(),
                next_first_frame_ms: tally.next_utterance.quantiles(),
            },
            disconnects: tally.disconnects,
            cpu: outcome.cpu,
            capacity: None,
            error: error(streams, &outcome.failures),
            tally,
        }
    }

    /// One line of JSON.
    #[must_use]
    pub fn json(&self) -> String {
        // Maps with text keys and finite numbers are all there is: it can be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Time the daemon had for a frame once its sound had been sent, ms.
    pub(super) fn budget_ms(&self) -> f64 {
        self.budget_ms
    }

    /// The line of a run that could not begin.
    #[must_use]
    pub fn json_of_failure(target: &str, error: &str) -> String {
        serde_json::json!({ "target": target, "error": error }).to_string()
    }

    /// This run as a step of a search with the bound `below_miss_percent`.
    #[must_use]
    pub fn step(&self, below_miss_percent: f64) -> StepReport {
        let all = self.streams.held == self.streams.asked && self.streams.failed == 0;
        StepReport {
            streams: self.streams.asked,
            held: self.streams.held,
            miss_percent: self.miss_percent,
            frames_per_second: self.frames.per_second,
            server_cores: self.cpu.server_cores,
            carried: all
                && self.tally.judged > 0
                && self.miss_percent.max(self.tally.idle_miss_percent()) < below_miss_percent,
        }
    }
}

/// A sentence about streams that broke, or that none was taken.
fn error(streams: Streams, failures: &[ClientError]) -> Option<String> {
    if let Some(first) = failures.first() {
        return Some(format!("{} of {} streams broke: {}", streams.failed, streams.asked, sentence(first)));
    }
    (streams.held == 0).then(|| format!("the daemon took none of {} streams: it has no room", streams.asked))
}

impl Cpu {
    /// From processor seconds of the daemon and of this process, before and after `elapsed_s`.
    pub(super) fn between(
        before: (Option<f64>, Option<f64>),
        after: (Option<f64>, Option<f64>),
        elapsed_s: f64,
    ) -> Self {
        let cores = |before: Option<f64>, after: Option<f64>| Some(rounded((after? - before?) / elapsed_s.max(1e-3)));
        Self { server_cores: cores(before.0, after.0), client_cores: cores(before.1, after.1) }
    }
}
