//! What several calls have in common.

use tonic::Request;

use super::deadline::Deadline;
use super::status::RpcError;
use crate::audio::wav::MAX_SAMPLE_RATE_HZ;
use crate::telemetry::{CallInfo, CallKind};

/// Longest request id that is taken up in the log and in spans.
const MAX_REQUEST_ID: usize = 128;

/// Hz of raw PCM when the client says 0.
const DEFAULT_RATE_HZ: u32 = 16_000;

/// What a call is recorded as; the client may name it in `x-request-id`.
pub(super) fn call_info<T>(kind: CallKind, request: &Request<T>) -> CallInfo {
    let id = request.metadata().get("x-request-id").and_then(|id| id.to_str().ok());
    CallInfo {
        kind,
        request_id: id.filter(|id| id.len() <= MAX_REQUEST_ID).map(str::to_owned),
        peer: request.remote_addr().map(|peer| peer.ip()),
        deadline: request.extensions().get().map(|Deadline(at)| *at),
    }
}

/// The rate of raw PCM that a client names in `field`.
pub(super) fn rate_hz(field: &'static str, asked: u32) -> Result<u32, RpcError> {
    match asked {
        0 => Ok(DEFAULT_RATE_HZ),
        1..=MAX_SAMPLE_RATE_HZ => Ok(asked),
        _ => Err(RpcError::Field {
            field,
            got: asked.to_string(),
            expected: format!("it must be at most {MAX_SAMPLE_RATE_HZ} Hz, or 0 for {DEFAULT_RATE_HZ}"),
        }),
    }
}

/// Runs file work where it does not hold up other calls.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, RpcError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| RpcError::Stopping)
}
