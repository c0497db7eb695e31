//! Looks at the bundles' files, one at a time and with pauses: however many clients ask, and however few wait for their answers, they take one
//! thread, and of its time half. Speech has the rest.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::calls::blocking;
use super::status::RpcError;
use crate::avatar::Checks;

/// A look that takes longer has waited for a disk.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

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
    /// it ends, and keeps its turn until then and for as long again.
    pub async fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Checks) -> T + Send + 'static,
    ) -> Result<T, RpcError> {
        let turn = Arc::clone(&self.turn).acquire_owned().await.map_err(|_| RpcError::Stopping)?;
        let checks = Arc::clone(&self.checks);
        blocking(move || {
            let begun = Instant::now();
            let found = work(&checks);
            let pause = begun.elapsed().min(LONGEST_PAUSE);
            Handle::current().spawn(async move {
                sleep(pause).await;
                drop(turn);
            });
            found
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

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

    #[tokio::test]
    async fn half_of_the_time_nobody_looks() {
        let looks = Looks::new();
        let took = LONGEST_PAUSE / 2;
        let ended = looks.look(move |_| {
            std::thread::sleep(took);
            Instant::now()
        });
        let ended = timeout(STUCK, ended).await.unwrap().unwrap();
        let next = timeout(STUCK, looks.look(|_| Instant::now())).await.unwrap().unwrap();
        assert!(next - ended >= took, "{:?}", next - ended);
    }
}
