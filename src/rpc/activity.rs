//! How long a call may last: to its client's deadline, and while something happens in it.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::deadline::reached;
use super::status::RpcError;

/// When something last happened in a call. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Activity(Arc<Mutex<Instant>>);

impl Activity {
    /// Something happens now.
    pub(super) fn now() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    /// Something happens now.
    pub(super) fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What ends a call that does not end by itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// When its client no longer wants it.
    pub deadline: Option<Instant>,
    /// Time that nothing may happen in, and time that an answer may wait to be asked for.
    pub idle: Option<Duration>,
}

impl Bounds {
    /// Completes when a bound is passed, with the reason.
    pub(super) async fn passed(&self, activity: &Activity) -> RpcError {
        loop {
            let idle_at = self.idle.map(|idle| (activity.last() + idle, idle));
            let now = Instant::now();
            if self.deadline.is_some_and(|deadline| deadline <= now) {
                return RpcError::Deadline;
            }
            if let Some((_, idle)) = idle_at.filter(|(at, _)| *at <= now) {
                return RpcError::Idle { seconds: idle.as_secs() };
            }
            match [self.deadline, idle_at.map(|(at, _)| at)].into_iter().flatten().min() {
                Some(at) => reached(at.into()).await,
                None => std::future::pending().await,
            }
        }
    }

    /// What the client sends first, which it must do in time, and before the daemon is `stopping`.
    pub(super) async fn first<T>(
        &self,
        message: impl Future<Output = Result<T, Status>>,
        stopping: &CancellationToken,
    ) -> Result<T, Status> {
        let activity = Activity::now();
        tokio::select! {
            // What has come is refused like any other, and counted.
            biased;
            message = message => message,
            over = self.passed(&activity) => Err(over.into()),
            () = stopping.cancelled() => Err(RpcError::Stopping.into()),
        }
    }
}
