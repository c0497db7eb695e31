//! What becomes of a GPU that fails: which failures are for one batch, which are for good, and who is told.
//!
//! A "sticky" error leaves the context dead: every later call fails, and only a new process gets another (CUDA C++ Programming
//! Guide, error checking). So does a GPU that no longer answers, which no call reports; a lane that waits for too long does. Both
//! end the process, for its supervisor to start again: a daemon that lives on without its GPU is worse than none.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::CudaError;
use crate::backend::BackendError;
use crate::cuda::{Severity, Stream};

/// No batch takes so long: the largest takes a tenth of a second on the smallest GPU.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How often the lanes' waits are looked at.
const GLANCE: Duration = Duration::from_secs(1);

/// Told once, with the reason, when the GPU is lost.
type Hook = Box<dyn Fn(&str) + Send + Sync>;

/// The GPU's health, shared by its lanes.
pub struct Faults {
    lost: OnceLock<String>,
    hooks: Mutex<Vec<Hook>>,
    waits: Mutex<Vec<Weak<Wait>>>,
    started: Instant,
}

/// When a lane began to wait for the GPU, in milliseconds since the start; 0 when it does not.
#[derive(Debug, Default)]
pub(super) struct Wait(AtomicU64);

impl Faults {
    /// A healthy GPU, watched from a thread of its own until the last owner drops this.
    ///
    /// # Errors
    /// [`BackendError::Thread`].
    pub fn watch() -> Result<Arc<Self>, BackendError> {
        let faults = Arc::new(Self::unwatched());
        let weak = Arc::downgrade(&faults);
        let watch = move || {
            while let Some(faults) = weak.upgrade() {
                faults.look(LONGEST_WAIT);
                drop(faults);
                std::thread::sleep(GLANCE);
            }
        };
        std::thread::Builder::new().name("gpu-watch".to_owned()).spawn(watch).map_err(BackendError::Thread)?;
        Ok(faults)
    }

    fn unwatched() -> Self {
        // A second back, so that no wait begins at 0.
        let started = Instant::now().checked_sub(GLANCE).unwrap_or_else(Instant::now);
        Self { lost: OnceLock::new(), hooks: Mutex::default(), waits: Mutex::default(), started }
    }

    /// Has `hook` told when the GPU is lost; at once where it is already.
    pub fn on_lost(&self, hook: Hook) {
        // Whoever loses it takes the lock after it has said so: a hook finds that here, or is found there.
        let mut hooks = self.hooks.lock().unwrap_or_else(PoisonError::into_inner);
        match self.lost.get() {
            None => hooks.push(hook),
            Some(reason) => {
                drop(hooks);
                hook(reason);
            }
        }
    }

    /// Whether the GPU is lost, as far as anybody has noticed.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.get().is_some()
    }

    /// A place for a lane to note its waits.
    pub(super) fn open_wait(&self) -> Arc<Wait> {
        let wait = Arc::new(Wait::default());
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        waits.retain(|wait| wait.strong_count() > 0);
        waits.push(Arc::downgrade(&wait));
        wait
    }

    /// Runs `wait`, which is for the GPU, in sight of the watch.
    pub(super) fn waiting<T>(&self, place: &Wait, wait: impl FnOnce() -> T) -> T {
        place.0.store(self.now_ms(), Ordering::Relaxed);
        let result = wait();
        place.0.store(0, Ordering::Relaxed);
        result
    }

    /// What a lane or a load says of a failure: as it is when it alone failed, [`BackendError::DeviceLost`] when the GPU is gone.
    /// Engines of others speak in words; so `stream` is asked how the GPU is.
    pub(super) fn judge(&self, error: BackendError, stream: &Stream) -> BackendError {
        let lost = |error: &CudaError| (error.severity() == Severity::Lost).then(|| error.to_string());
        match error
            .driver_error()
            .as_ref()
            .and_then(lost)
            .or_else(|| stream.synchronize().err().as_ref().and_then(lost))
        {
            Some(reason) => self.lose(reason),
            None => error,
        }
    }

    fn lose(&self, reason: String) -> BackendError {
        let mut first = false;
        let reason = self.lost.get_or_init(|| {
            first = true;
            reason
        });
        if first {
            tracing::error!("the GPU is lost: {reason}");
            self.hooks.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|hook| hook(reason));
        }
        BackendError::DeviceLost { reason: reason.clone() }
    }

    fn look(&self, longest: Duration) {
        let waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = waits.iter().filter_map(Weak::upgrade).map(|wait| wait.0.load(Ordering::Relaxed));
        let now = self.now_ms();
        let longest_ms = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        if begun.filter(|&ms| ms > 0).any(|ms| now.saturating_sub(ms) > longest_ms) {
            drop(waits);
            self.lose(format!("it has not answered for {} s", longest.as_secs()));
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn a_lane_that_waits_for_too_long_has_lost_its_gpu_and_all_hooks_are_told_once() {
        let faults = Faults::unwatched();
        let told = Arc::new(AtomicUsize::new(0));
        let count = |told: &Arc<AtomicUsize>| {
            let told = Arc::clone(told);
            Box::new(move |reason: &str| {
                assert!(reason.contains("not answered"), "{reason}");
                told.fetch_add(1, Ordering::Relaxed);
            })
        };
        faults.on_lost(count(&told));
        let (quick, stuck) = (faults.open_wait(), faults.open_wait());
        assert_eq!(faults.waiting(&quick, || 7), 7);
        faults.waiting(&stuck, || {
            faults.look(LONGEST_WAIT);
            assert_eq!(told.load(Ordering::Relaxed), 0);
            std::thread::sleep(Duration::from_millis(20));
            faults.look(Duration::from_millis(5));
            faults.look(Duration::from_millis(5));
        });
        assert_eq!(told.load(Ordering::Relaxed), 1);
        faults.on_lost(count(&told));
        assert_eq!(told.load(Ordering::Relaxed), 2, "whoever comes late is told at once");
    }

    #[test]
    fn a_hook_that_comes_while_the_gpu_is_being_lost_is_told_once() {
        for _ in 0..500 {
            let (faults, told) = (&Faults::unwatched(), Arc::new(AtomicUsize::new(0)));
            let count = Arc::clone(&told);
            let start = std::sync::Barrier::new(2);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    start.wait();
                    faults.lose("gone".to_owned());
                });
                start.wait();
                faults.on_lost(Box::new(move |_| {
                    count.fetch_add(1, Ordering::Relaxed);
                }));
            });
            assert_eq!(told.load(Ordering::Relaxed), 1);
        }
    }

    #[test]
    fn lanes_that_are_gone_are_not_waited_for() {
        let faults = Faults::unwatched();
        let wait = faults.open_wait();
        wait.0.store(1, Ordering::Relaxed);
        drop(wait);
        faults.look(Duration::ZERO);
        assert!(!faults.is_lost());
    }
}
