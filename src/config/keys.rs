//! The keys, and the defaults that are not a number.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Every key, as it stands in the file.
pub const KEYS: &[&str] = &[
    "listen",
    "avatars",
    "backend",
    "preload",
    "max_resident_bytes",
    "evict",
    "jpeg_quality",
    "template_cache",
    "max_batch",
    "slots",
    "threads_per_slot",
    "picture_cache_bytes",
    "onnxruntime",
    "gpus",
    "gpu_engine",
    "gpu_precision",
    "jpeg",
    "max_device_bytes",
    "tensorrt",
    "plans",
    "max_sessions",
    "max_sessions_per_client",
    "max_synth",
    "max_queued_synth",
    "utilisation_percent",
    "expected_speech_percent",
    "metrics",
    "otlp",
    "max_message_bytes",
    "max_upload_bytes",
    "drain_seconds",
    "idle_seconds",
    "keepalive_seconds",
    "latency_budget_ms",
    "log",
    "log_format",
];

/// What the program, its tests and its scripts read from the environment beside the keys, where it is needed.
const OTHER_VARIABLES: &[&str] = &[
    "bin",
    // Cargo gives what build.rs says to the tests it runs, too.
    "kernels_cuda",
    "native_onnx",
    "networks",
    "nvcc",
    "nvjpeg",
    "nvrtc",
    "root",
    "soak_seconds",
    "soak_viewers",
    "splice_out",
];

pub(super) const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 50053);

/// A batch of 32 pictures of `6 * 320 * 320` floats is 75 MiB.
pub(super) const DEFAULT_MESSAGE_BYTES: usize = 128 << 20;

/// Eight of the largest messages.
pub(super) const DEFAULT_UPLOAD_BYTES: usize = 1 << 30;

/// How like a key a word of the file must be for the key to be named: the word is an error either way.
const LIKE: f64 = 0.7;

/// How like a key a variable must be to be an error: others may use the same prefix for their own.
const SLIP: f64 = 0.8;

/// The known key most like `key`, if any is like it at all.
pub(super) fn nearest(key: &str) -> Option<&'static str> {
    most_like(key, LIKE)
}

/// The key that the writer of the variable `key` must have meant.
pub(super) fn slip_of(key: &str) -> Option<&'static str> {
    most_like(key, SLIP)
}

/// Whether the variable `key` is meant for another part of the program.
pub(super) fn is_other(key: &str) -> bool {
    OTHER_VARIABLES.contains(&key)
}

fn most_like(key: &str, least: f64) -> Option<&'static str> {
    KEYS.iter()
        .map(|known| (strsim::jaro_winkler(key, known), *known))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > least)
        .map(|(_, known)| known)
}
