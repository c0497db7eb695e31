//! Looks at the bundles' files, one at a time: however many clients ask, and however few wait for their answers, they take one thread.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::lipsync::blocking;
use super::status::RpcError;
use crate::avatar::Checks;

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Looks {
    turn: Arc<Semaphore>,
    checks: Arc<Checks>,
}

impl Looks {
    pub fn new() -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), checks: Arc::default() }
    }

    /// Does `work` when it is its turn, which should be short: about one bundle. Whoever is gone before has left the queue; once it has begun
    /// it ends, and keeps its turn until then.
    pub async fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Checks) -> T + Send + 'static,
    ) -> Result<T, RpcError> {
        let turn = Arc::clone(&self.turn).acquire_owned().await.map_err(|_| RpcError::Stopping)?;
        let checks = Arc::clone(&self.checks);
        blocking(move || {
            let _turn = turn;
            work(&checks)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// Longer than anything here takes.
    const STUCK: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn those_who_give_up_leave_the_queue_and_one_that_has_begun_keeps_its_turn() {
        let looks = Looks::new();
        let (begun, begins) = tokio::sync::oneshot::channel();
        let (end, ends) = mpsc::channel::<()>();
        let first = tokio::spawn({
            let looks = looks.clone();
            async move {
                looks
                    .look(move |_| {
                        let _ = begun.send(());
                        let _ = ends.recv();
                    })
                    .await
            }
        });
        timeout(STUCK, begins).await.unwrap().unwrap();
        let done = Arc::new(AtomicUsize::new(0));
        let ask = || {
            let (looks, done) = (looks.clone(), Arc::clone(&done));
            tokio::spawn(async move { looks.look(move |_| done.fetch_add(1, Ordering::AcqRel)).await.is_ok() })
        };
        let given_up: Vec<_> = (0..100).map(|_| ask()).collect();
        tokio::task::yield_now().await;
        first.abort();
        for one in given_up {
            one.abort();
            assert!(timeout(STUCK, one).await.unwrap().unwrap_err().is_cancelled(), "it had a turn");
        }
        assert_eq!(looks.turn.available_permits(), 0, "nobody waits for the first, and it still runs");
        let patient = ask();
        drop(end);
        assert!(timeout(STUCK, patient).await.unwrap().unwrap());
        assert_eq!(done.load(Ordering::Acquire), 1, "work was done for those who had given up");
    }
}
