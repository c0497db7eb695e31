//! What becomes of a GPU that fails: which failures are for one batch, which are for good, and who is told.
//!
//! A "sticky" error leaves the context dead: every later call fails, and only a new process gets another (CUDA C++ Programming
//! Guide, error checking). So does a GPU that no longer answers, which no call reports; a thread that waits for too long does. Both
//! end the process, for its supervisor to start again: a daemon that lives on without its GPU is worse than none.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::CudaError;
use crate::backend::BackendError;
use crate::batch::health::Health;
use crate::cuda::{Context, GLANCE, LONGEST_WAIT, Severity, Stream};

/// The GPU's health, shared by its lanes.
#[derive(Default)]
pub struct Faults {
    lost: OnceLock<String>,
    health: Arc<Health>,
    /// Somebody has found no memory.
    found_full: AtomicBool,
}

impl Faults {
    /// A healthy GPU, that of `context`, watched from a thread of its own until the last owner drops this.
    ///
    /// # Errors
    /// [`BackendError::Thread`].
    pub fn watch(context: &Arc<Context>) -> Result<Arc<Self>, BackendError> {
        let faults = Arc::new(Self::default());
        let (weak, context) = (Arc::downgrade(&faults), Arc::clone(context));
        let watch = move || {
            while let Some(faults) = weak.upgrade() {
                faults.look(context.look());
                drop(faults);
                std::thread::sleep(GLANCE);
            }
        };
        std::thread::Builder::new().name("gpu-watch".to_owned()).spawn(watch).map_err(BackendError::Thread)?;
        Ok(faults)
    }

    /// What its engine listens to.
    pub(super) fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Whether the GPU is lost, as far as anybody has noticed.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.get().is_some()
    }

    /// Whether the GPU is gone, as the driver says by `error`.
    pub(super) fn is_lost_by(&self, error: &CudaError) -> bool {
        let lost = error.severity() == Severity::Lost;
        if lost {
            self.lose(error.to_string());
        }
        lost
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
            None => {
                // The budget for pictures is no memory of the GPU's.
                if error.is_device_full() && !matches!(error, BackendError::DeviceFull { .. }) {
                    self.found_full.store(true, Ordering::Relaxed);
                    give_back(stream);
                }
                error
            }
        }
    }

    /// Before a load on a GPU that was full once, makes the most of the room there is: what has given way to it, in the order of `loader`, is in
    /// the pool.
    pub(super) fn make_room(&self, loader: &Stream) {
        // For good: of two loads at once, the other may have given back too early.
        if self.found_full.load(Ordering::Relaxed) {
            give_back(loader);
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
            self.health.break_down(reason);
        }
        BackendError::DeviceLost { reason: reason.clone() }
    }

    fn look(&self, waited: Duration) {
        if waited >= LONGEST_WAIT {
            self.lose(format!("it has not answered for {} s", waited.as_secs()));
        }
    }
}

/// Gives back what the memory pool keeps of pictures that were freed in the order of `stream`: engines, nvJPEG and pinned memory take theirs from
/// elsewhere.
fn give_back(stream: &Stream) {
    if let Err(error) = stream.synchronize().and_then(|()| stream.context().trim_pool()) {
        tracing::debug!("{error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_for_too_long_has_lost_the_gpu_and_the_engine_is_told() {
        let faults = Faults::default();
        faults.look(LONGEST_WAIT - GLANCE);
        assert!(!faults.health.is_broken());
        faults.look(LONGEST_WAIT);
        faults.look(LONGEST_WAIT + GLANCE);
        assert_eq!(faults.health.broken().await, "it has not answered for 30 s");
    }
}
