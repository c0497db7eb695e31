//! What goes on on all connections together: whether a stop still has somebody to wait for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::sleep;

/// Calls that have come and whose answers have not been given away, and when something was last sent. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Traffic(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    calls: watch::Sender<usize>,
    since: Instant,
    /// Milliseconds from `since`.
    sent: AtomicU64,
}

/// One of those calls, for as long as it is kept.
#[derive(Debug)]
pub(super) struct Call(Traffic);

impl Traffic {
    pub fn new() -> Self {
        Self(Arc::new(Counts { calls: watch::Sender::new(0), since: Instant::now(), sent: AtomicU64::new(0) }))
    }

    /// A call begins.
    pub fn call(&self) -> Call {
        self.0.calls.send_modify(|calls| *calls += 1);
        Call(self.clone())
    }

    /// Calls under way.
    pub fn calls(&self) -> usize {
        *self.0.calls.borrow()
    }

    /// A connection has taken something for its client.
    pub fn sent(&self) {
        let now = u64::try_from(self.0.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.sent.store(now, Ordering::Relaxed);
    }

    /// Completes once no call is under way and nothing has been sent for so long.
    pub async fn quiet(&self, time: Duration) {
        let mut calls = self.0.calls.subscribe();
        loop {
            // What is watched is kept here.
            let _ = calls.wait_for(|calls| *calls == 0).await;
            let quiet =
                self.0.since.elapsed().saturating_sub(Duration::from_millis(self.0.sent.load(Ordering::Relaxed)));
            if quiet >= time && self.calls() == 0 {
                return;
            }
            sleep(time.saturating_sub(quiet)).await;
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // The end of its answer is still to be sent.
        self.0.sent();
        self.0.0.calls.send_modify(|calls| *calls -= 1);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    /// Longer than anything here takes.
    const STUCK: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn it_is_quiet_once_the_last_call_is_over_and_the_last_byte_has_gone() {
        let traffic = Traffic::new();
        let time = Duration::from_millis(200);
        let call = traffic.call();
        assert!(timeout(2 * time, traffic.quiet(time)).await.is_err(), "a call is under way");
        let over = Instant::now();
        drop(call);
        timeout(STUCK, traffic.quiet(time)).await.unwrap();
        // Less the part of a millisecond that is not counted.
        assert!(over.elapsed() + Duration::from_millis(2) >= time, "its client had no time to read the end");
        let sent = Instant::now();
        traffic.sent();
        timeout(STUCK, traffic.quiet(time)).await.unwrap();
        assert!(sent.elapsed() + Duration::from_millis(2) >= time, "something was being sent");
    }
}
