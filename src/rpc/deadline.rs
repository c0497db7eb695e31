//! Calls end with their client's deadline, also while they have no answer yet.
//!
//! tonic has a clock for that, which answers `CANCELLED`. It is wound after ours and asks the call first when it rings, so that it
//! is never heard.

use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::time::sleep_until;
use tonic::codegen::http;

/// What calls find in their request where their client set a deadline.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(pub Instant);

impl Deadline {
    /// That of a call with these `headers`.
    pub fn of(headers: &http::HeaderMap) -> Option<Self> {
        read(headers.get("grpc-timeout").and_then(|text| text.to_str().ok())).map(Self)
    }
}

/// Completes at `at`, by the clock of whoever asks: timers of the same moment ring one after the other.
pub(super) async fn reached(at: Instant) {
    let mut timer = pin!(sleep_until(at.into()));
    poll_fn(|context| if at <= Instant::now() { Poll::Ready(()) } else { timer.as_mut().poll(context) }).await;
}

/// Completes when the call's `deadline` has passed, if it has one.
pub(super) async fn passed(deadline: Option<Instant>) {
    match deadline {
        Some(at) => reached(at).await,
        None => pending().await,
    }
}

/// When a call with the header `grpc-timeout: text` ends: up to eight digits and a unit (gRPC over HTTP/2, "Requests").
fn read(text: Option<&str>) -> Option<Instant> {
    let (digits, unit) = text?.split_at_checked(text?.len().checked_sub(1)?)?;
    let count: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    let time = match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    };
    Instant::now().checked_add(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_read_in_every_unit_and_nonsense_is_none() {
        let left = |text| read(Some(text)).map(|at| at.saturating_duration_since(Instant::now()).as_secs_f64());
        for (text, seconds) in
            [("2H", 7200.0), ("3M", 180.0), ("5S", 5.0), ("7000m", 7.0), ("9000000u", 9.0), ("4000000n", 0.004)]
        {
            assert!(left(text).is_some_and(|left| left <= seconds && left > seconds - 1.0), "{text}");
        }
        for nonsense in ["", "S", "1", "1x", "-1S", "123456789S", "1.5S", "S1", "ö"] {
            assert_eq!(read(Some(nonsense)), None, "{nonsense}");
        }
        assert_eq!(read(None), None);
        assert!(read(Some("99999999H")).is_some(), "eleven thousand years are a deadline");
    }
}
