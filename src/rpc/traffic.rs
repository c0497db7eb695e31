//! What goes on on all connections together: whether a stop still has somebody to wait for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::sleep;

/// What is under way, and when something was last sent. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Traffic(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    busy: watch::Sender<Busy>,
    since: Instant,
    /// Milliseconds from `since`.
    sent: AtomicU64,
}

#[derive(Debug, Default)]
struct Busy {
    /// Calls that have come, and whose answers have not been given away.
    calls: usize,
    /// Connections that have something for their clients, who take no more.
    held_up: usize,
}

impl Busy {
    fn is_over(&self) -> bool {
        self.calls == 0 && self.held_up == 0
    }
}

/// One of those, for as long as it is kept.
#[derive(Debug)]
pub(super) struct UnderWay(Traffic, fn(&mut Busy) -> &mut usize);

impl Traffic {
    pub fn new() -> Self {
        Self(Arc::new(Counts { busy: watch::Sender::default(), since: Instant::now(), sent: AtomicU64::new(0) }))
    }

    /// A call begins.
    pub fn call(&self) -> UnderWay {
        self.begin(|busy| &mut busy.calls)
    }

    /// A connection's client takes no more for now: the end of an answer that has been given away may wait for that.
    pub fn held_up(&self) -> UnderWay {
        self.begin(|busy| &mut busy.held_up)
    }

    fn begin(&self, count: fn(&mut Busy) -> &mut usize) -> UnderWay {
        self.0.busy.send_modify(|busy| *count(busy) += 1);
        UnderWay(self.clone(), count)
    }

    /// Calls under way.
    pub fn calls(&self) -> usize {
        self.0.busy.borrow().calls
    }

    /// A connection has taken something for its client.
    pub fn sent(&self) {
        let now = u64::try_from(self.0.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.sent.store(now, Ordering::Relaxed);
    }

    /// Completes once nothing is under way and nothing has been sent for so long, from now on.
    pub async fn quiet(&self, time: Duration) {
        self.sent();
        let mut busy = self.0.busy.subscribe();
        loop {
            // What is watched is kept here.
            let _ = busy.wait_for(Busy::is_over).await;
            let quiet =
                self.0.since.elapsed().saturating_sub(Duration::from_millis(self.0.sent.load(Ordering::Relaxed)));
            if quiet >= time && self.0.busy.borrow().is_over() {
                return;
            }
            sleep(time.saturating_sub(quiet)).await;
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        // The end of its answer is still to be sent.
        self.0.sent();
        let count = self.1;
        self.0.0.busy.send_modify(|busy| *count(busy) -= 1);
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
        let (asked, held_up) = (Instant::now(), traffic.held_up());
        assert!(timeout(2 * time, traffic.quiet(time)).await.is_err(), "a client takes no more");
        drop(held_up);
        sleep(2 * time).await;
        timeout(STUCK, traffic.quiet(time)).await.unwrap();
        assert!(asked.elapsed() + Duration::from_millis(2) >= 5 * time, "the time counts from when it is asked for");
    }
}
