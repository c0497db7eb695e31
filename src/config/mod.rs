//! What the daemon is told: a TOML file and the environment, read loosely, converted once.
//!
//! Every key can stand in the file or, in capitals after `LIPSYNCD_`, in the environment, which wins.

mod error;
mod gpu;
mod keys;
mod otlp;
mod service_link;
mod values;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

pub use error::ConfigError;
pub use gpu::GpuConfig;
pub use keys::KEYS;
pub use otlp::{NotAnEndpoint, OtlpEndpoint};

use self::values::Values;
use crate::avatar::{AvatarId, EvictPolicy};
use crate::picture::Quality;

/// Which backend to serve with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum BackendChoice {
    // No documentation below: `--help` would show it, a line a word.
    // The best that is there.
    Auto,
    // ONNX Runtime on the CPU.
    Cpu,
    // An NVIDIA GPU, or nothing.
    Cuda,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A complete, valid configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to serve gRPC.
    pub listen: SocketAddr,
    /// The avatars folder.
    pub avatars: PathBuf,
    /// Which backend.
    pub backend: BackendChoice,
    /// Avatars to load before the daemon is ready.
    pub preload: Vec<AvatarId>,
    /// Most bytes of frames and crops in memory.
    pub max_resident_bytes: Option<u64>,
    /// Whom to let go first.
    pub evict: EvictPolicy,
    /// JPEG quality where the client names none.
    pub jpeg_quality: Quality,
    /// Folder where encoded backgrounds are kept between runs; none keeps them in memory.
    pub template_cache: Option<PathBuf>,
    /// Frames per batch; none is what suits the backend.
    pub max_batch: Option<usize>,
    /// Batches in flight on a device; none is what suits the backend.
    pub slots: Option<usize>,
    /// Threads one slot's networks use (CPU).
    pub threads_per_slot: usize,
    /// Most bytes for what generators make of pictures before they hear anything, on the CPU; none is a part of the memory that is free.
    pub picture_cache_bytes: Option<u64>,
    /// ONNX Runtime's shared library.
    pub onnxruntime: Option<PathBuf>,
    /// Sessions open at once.
    pub max_sessions: usize,
    /// Sessions of one IP address; 0 for as many as it likes.
    pub max_sessions_per_client: usize,
    /// GPUs and what runs on them.
    pub gpu: GpuConfig,
    /// Whole files drawn at a time; none is 4 a slot.
    pub max_synth: Option<usize>,
    /// Whole files that may wait.
    pub max_queued_synth: usize,
    /// Percent of the measured capacity that live streams may take; 0 for no such bound.
    pub utilisation_percent: u64,
    /// Percent of the time that a new live stream is expected to speak.
    pub expected_speech_percent: u64,
    /// Where to serve Prometheus metrics.
    pub metrics: Option<SocketAddr>,
    /// Collector of spans.
    pub otlp: Option<OtlpEndpoint>,
    /// Largest gRPC message taken or sent.
    pub max_message_bytes: usize,
    /// Most bytes of requests that are coming in, wait or are being read.
    pub max_upload_bytes: usize,
    /// Seconds that running calls are given to end when the daemon stops.
    pub drain_seconds: u64,
    /// Seconds that nothing may happen in a call, or an answer wait to be read; 0 for as long as it takes.
    pub idle_seconds: u64,
    /// Seconds of silence after which a connection is asked whether it is still there; 0 asks nobody.
    pub keepalive_seconds: u64,
    /// Milliseconds from the sound to a live frame that a viewer does not notice: by it live work is put in order.
    pub latency_budget_ms: u64,
    /// `tracing` filter.
    pub log: String,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Variables with our prefix that are no keys, nor like one: worth a line in the log.
    pub ignored_variables: Vec<String>,
}

impl Config {
    /// Reads `file`, if any, and the environment.
    ///
    /// # Errors
    /// [`ConfigError`] naming the file or variable, the key and what to write instead.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        Self::from_parts(file, environment())
    }

    /// How the log of a configuration looks that may have faults: they are told in that form too.
    #[must_use]
    pub fn log_format(file: Option<&Path>) -> LogFormat {
        let (values, _) = Values::read(file, environment());
        log_format(&values).unwrap_or(LogFormat::Text)
    }

    fn from_parts(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, OsString)>,
    ) -> Result<Self, ConfigError> {
        let (values, fault) = Values::read(file, environment);
        if let Some(fault) = fault {
            return Err(fault);
        }
        Ok(Self {
            listen: values.parsed("listen", "an address such as \"[::]:50053\"")?.unwrap_or(keys::DEFAULT_LISTEN),
            avatars: values.path("avatars")?.unwrap_or_else(|| "avatars".into()),
            backend: values.word("backend")?.unwrap_or(BackendChoice::Auto),
            preload: values.ids("preload")?,
            max_resident_bytes: values.number("max_resident_bytes", 1..=i64::MAX as u64)?,
            evict: values.word("evict")?.unwrap_or_default(),
            jpeg_quality: values
                .number("jpeg_quality", 1..=100)?
                .and_then(|quality| Quality::new(quality as u32).ok())
                .unwrap_or_default(),
            template_cache: values.path("template_cache")?,
            max_batch: values.number("max_batch", 1..=64)?.map(|n| n as usize),
            slots: values.number("slots", 1..=256)?.map(|n| n as usize),
            threads_per_slot: values.number("threads_per_slot", 1..=256)?.map_or(1, |n| n as usize),
            picture_cache_bytes: values.number("picture_cache_bytes", 0..=i64::MAX as u64)?,
            onnxruntime: values.path("onnxruntime")?,
            max_sessions: values.number("max_sessions", 1..=1_000_000)?.map_or(1000, |n| n as usize),
            max_sessions_per_client: values.number("max_sessions_per_client", 0..=1_000_000)?.unwrap_or(0) as usize,
            gpu: GpuConfig::from_values(&values)?,
            max_synth: values.number("max_synth", 1..=100_000)?.map(|n| n as usize),
            max_queued_synth: values.number("max_queued_synth", 0..=100_000)?.unwrap_or(256) as usize,
            utilisation_percent: values.number("utilisation_percent", 0..=100)?.unwrap_or(95),
            expected_speech_percent: values.number("expected_speech_percent", 1..=100)?.unwrap_or(100),
            metrics: values.parsed("metrics", "an address such as \"127.0.0.1:9464\"")?,
            otlp: values.parsed("otlp", "a URL such as \"http://127.0.0.1:4317\", without a path")?,
            max_message_bytes: values
                .number("max_message_bytes", 1024..=u64::from(u32::MAX))?
                .map_or(keys::DEFAULT_MESSAGE_BYTES, |n| n as usize),
            max_upload_bytes: values
                .number("max_upload_bytes", 1024..=i64::MAX as u64)?
                .map_or(keys::DEFAULT_UPLOAD_BYTES, |n| n as usize),
            latency_budget_ms: values.number("latency_budget_ms", 1..=10_000)?.unwrap_or(150),
            idle_seconds: values.number("idle_seconds", 0..=86_400)?.unwrap_or(600),
            keepalive_seconds: values.number("keepalive_seconds", 0..=3600)?.unwrap_or(20),
            drain_seconds: values.number("drain_seconds", 0..=3600)?.unwrap_or(30),
            log: values.text("log")?.unwrap_or_else(|| "info".to_owned()),
            log_format: log_format(&values)?,
            ignored_variables: values.ignored_variables(),
        })
    }
}

fn log_format(values: &Values) -> Result<LogFormat, ConfigError> {
    Ok(values.word("log_format")?.unwrap_or(LogFormat::Text))
}

/// Variables with a name of ours are ASCII; their values need not even be UTF-8.
fn environment() -> impl Iterator<Item = (String, OsString)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
}

#[cfg(test)]
mod tests;
