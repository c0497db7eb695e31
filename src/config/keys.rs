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

/// What the program reads from the environment beside its keys, where it is needed.
pub(super) const OTHER_VARIABLES: &[&str] = &["nvjpeg", "nvrtc"];

pub(super) const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 50053);

/// A batch of 32 pictures of `6 * 320 * 320` floats is 75 MiB.
pub(super) const DEFAULT_MESSAGE_BYTES: usize = 128 << 20;

/// Eight of the largest messages.
pub(super) const DEFAULT_UPLOAD_BYTES: usize = 1 << 30;

/// The known key most like `key`, if any is like it at all.
pub(super) fn nearest(key: &str) -> Option<&'static str> {
    KEYS.iter()
        .map(|known| (strsim::jaro_winkler(key, known), *known))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.7)
        .map(|(_, known)| known)
}
