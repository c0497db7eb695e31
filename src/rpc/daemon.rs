//! What every call shares.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::doors::{DoorOptions, Doors, Place};
use super::status::RpcError;
use crate::avatar::{Acquired, AvatarId, LoadedAvatar, Registry};
use crate::backend::FrameFormat;
use crate::batch::{AdmissionLimits, Engine, rehearse};
use crate::picture::Quality;
use crate::session::{FrameReader, Intake, Pace, SessionOptions};
use crate::telemetry::{CallInfo, CallKind, CallRecord};

/// What the daemon decides for clients that do not.
#[derive(Debug, Clone, Copy)]
pub struct DaemonOptions {
    /// JPEG quality where none is asked for.
    pub jpeg_quality: Quality,
    /// How many may come in.
    pub doors: DoorOptions,
    /// How full live streams may make the device; `None` lets everybody in.
    pub admission: Option<AdmissionLimits>,
    /// Time from the sound to a live frame that a viewer does not notice.
    pub latency_budget: Duration,
}

/// The running daemon: engine, avatars and the doors in front of them.
pub struct Daemon {
    engine: Engine,
    registry: Arc<Registry>,
    options: DaemonOptions,
    doors: Doors,
    stopping: watch::Sender<bool>,
    started: Instant,
}

/// A session and its place.
pub(super) struct Admitted {
    pub intake: Intake,
    pub reader: FrameReader,
    pub call: Call,
}

/// What a call holds for as long as it lasts: its place, and the record of how it ends.
pub(super) struct Call {
    pub record: CallRecord,
    _place: Place,
}

impl Daemon {
    /// A daemon that draws the avatars of `registry` with `engine`.
    #[must_use]
    pub fn new(engine: Engine, registry: Arc<Registry>, options: DaemonOptions) -> Self {
        Self {
            engine,
            registry,
            options,
            doors: Doors::new(options.doors),
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
        self.doors.taken()
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

    /// The avatar a client names, loaded and rehearsed if need be.
    ///
    /// # Errors
    /// [`RpcError::Id`], [`RpcError::Registry`].
    pub async fn acquire(&self, id: &str) -> Result<Acquired, RpcError> {
        let id: AvatarId = id.parse()?;
        let acquired = self.registry.acquire(&id).await?;
        if acquired.loading.is_some() {
            rehearse(&self.engine, &acquired.avatar, FrameFormat::Jpeg(self.options.jpeg_quality)).await;
        }
        Ok(acquired)
    }

    /// A place, before anything is loaded for the call: whoever is refused for lack of room is told so at once.
    pub(super) async fn enter(&self, info: &CallInfo, id: &str) -> Result<Place, RpcError> {
        let place = self.doors.enter(info, self.stopping()).await?;
        if let (CallKind::Live, Some(limits)) = (info.kind, self.options.admission)
            && let Some(avatar) = self.registry.loaded(&id.parse()?)
        {
            self.engine.has_room(&avatar, limits)?;
        }
        Ok(place)
    }

    /// A session in `place`, if the device has room for it.
    pub(super) fn admit(
        &self,
        info: &CallInfo,
        place: Place,
        avatar: Arc<LoadedAvatar>,
        options: SessionOptions,
    ) -> Result<Admitted, RpcError> {
        if self.is_stopping() {
            return Err(RpcError::Stopping);
        }
        let (intake, reader) = match self.options.admission {
            Some(limits) if info.kind == CallKind::Live => {
                self.engine.open_live_session(Arc::clone(&avatar), options, limits)?
            }
            _ => self.engine.open_session(Arc::clone(&avatar), options)?,
        };
        let record = CallRecord::open(Arc::clone(self.engine.recorder()), info, avatar.id());
        Ok(Admitted { intake, reader, call: Call { record, _place: place } })
    }

    /// Counts a call that is answered with `error` before it had a session.
    pub(super) fn refused(&self, error: &RpcError) {
        if let Some(reason) = error.refusal() {
            self.engine.recorder().refused(reason);
        }
    }

    /// Streams of `avatar` that speak all the time which the daemon carries, as measured; `None` before it has been.
    #[must_use]
    pub fn capacity_streams(&self, avatar: &LoadedAvatar) -> Option<f64> {
        let streams = self.engine.frames_per_second(avatar)? / f64::from(avatar.fps());
        Some(streams * self.options.admission.map_or(1.0, |limits| limits.utilisation))
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
