//! What every call shares.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::status::RpcError;
use crate::avatar::{Acquired, AvatarId, LoadedAvatar, Registry};
use crate::batch::Engine;
use crate::picture::Quality;
use crate::session::{FrameReader, Intake, Pace, SessionOptions};
use crate::telemetry::{CallInfo, CallRecord};

/// What the daemon decides for clients that do not.
#[derive(Debug, Clone, Copy)]
pub struct DaemonOptions {
    /// JPEG quality where none is asked for.
    pub jpeg_quality: Quality,
    /// Sessions open at once.
    pub max_sessions: usize,
    /// Time from the sound to a live frame that a viewer does not notice.
    pub latency_budget: Duration,
}

/// The running daemon: engine, avatars and the doors in front of them.
pub struct Daemon {
    engine: Engine,
    registry: Arc<Registry>,
    options: DaemonOptions,
    places: Arc<Semaphore>,
    stopping: watch::Sender<bool>,
    started: Instant,
}

/// A session and its place among `max_sessions`.
pub(super) struct Admitted {
    pub intake: Intake,
    pub reader: FrameReader,
    pub call: Call,
}

/// What a call holds for as long as it lasts: its place, and the record of how it ends.
pub(super) struct Call {
    pub record: CallRecord,
    _place: OwnedSemaphorePermit,
}

impl Daemon {
    /// A daemon that draws the avatars of `registry` with `engine`.
    #[must_use]
    pub fn new(engine: Engine, registry: Arc<Registry>, options: DaemonOptions) -> Self {
        Self {
            engine,
            registry,
            options,
            places: Arc::new(Semaphore::new(options.max_sessions.min(Semaphore::MAX_PERMITS))),
            stopping: watch::Sender::new(false),
            started: Instant::now(),
        }
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The avatars.
    #[must_use]
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// When it started.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Sessions open now.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.options.max_sessions - self.places.available_permits()
    }

    /// Refuses new sessions and ends those that are between utterances.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Whether [`Self::stop`] has been called.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Tells when [`Self::stop`] is called.
    pub(super) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// The avatar a client names, loaded if need be.
    pub(super) async fn acquire(&self, id: &str) -> Result<Acquired, RpcError> {
        let id: AvatarId = id.parse()?;
        Ok(self.registry.acquire(&id).await?)
    }

    /// A place and a session, if there is one more.
    pub(super) fn admit(
        &self,
        info: &CallInfo,
        avatar: Arc<LoadedAvatar>,
        options: SessionOptions,
    ) -> Result<Admitted, RpcError> {
        if self.is_stopping() {
            return Err(RpcError::Stopping);
        }
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| RpcError::Full { max_sessions: self.options.max_sessions })?;
        let (intake, reader) = self.engine.open_session(Arc::clone(&avatar), options)?;
        let record = CallRecord::open(Arc::clone(self.engine.recorder()), info, avatar.id());
        Ok(Admitted { intake, reader, call: Call { record, _place: place } })
    }

    /// Counts a call that is answered with `error` before it had a session.
    pub(super) fn refused(&self, error: &RpcError) {
        if let Some(reason) = error.refusal() {
            self.engine.recorder().refused(reason);
        }
    }

    /// How live sessions are paced.
    pub(super) fn live(&self) -> Pace {
        Pace::Live { budget: self.options.latency_budget }
    }

    /// The quality a client asks for, where 0 asks for the daemon's.
    pub(super) fn quality(&self, asked: u32) -> Result<Quality, RpcError> {
        if asked == 0 { Ok(self.options.jpeg_quality) } else { Ok(Quality::new(asked)?) }
    }
}
