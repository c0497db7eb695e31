//! What every call shares.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::activity::Bounds;
use super::doors::{DoorOptions, Doors, Place};
use super::status::RpcError;
use crate::avatar::{Acquired, AvatarId, LoadError, LoadedAvatar, Registry};
use crate::backend::{DeviceId, FrameFormat};
use crate::batch::placement::place;
use crate::batch::{AdmissionLimits, Engine, Fleet, REST, Want, rehearse, rehearse_pictures};
use crate::picture::Quality;
use crate::session::{FrameReader, IdleFrames, Intake, Pace, SessionOptions};
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
    /// Time that nothing may happen in a call, or an answer wait to be read; `None` for as long as it takes.
    pub idle: Option<Duration>,
}

/// The running daemon: devices, avatars and the doors in front of them.
pub struct Daemon {
    fleet: Fleet,
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
    /// A daemon that draws the avatars of `registry`, whose devices are those of `fleet`, in the same order.
    #[must_use]
    pub fn new(fleet: impl Into<Fleet>, registry: Arc<Registry>, options: DaemonOptions) -> Self {
        Self {
            fleet: fleet.into(),
            registry,
            options,
            doors: Doors::new(options.doors),
            stopping: watch::Sender::new(false),
            started: Instant::now(),
        }
    }

    /// The devices.
    #[must_use]
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
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

    /// The avatar a client names for a call that is to have what it `want`s, on the device that is to serve it; loaded and rehearsed there if need be.
    ///
    /// # Errors
    /// [`RpcError::Id`], [`RpcError::Registry`].
    pub(super) async fn acquire(&self, id: &str, want: Want) -> Result<Acquired, RpcError> {
        let id: AvatarId = id.parse()?;
        let device = self.place(&id, want);
        match self.acquire_on(&id, device).await {
            // One device less to spread to is no reason to turn a viewer away.
            Err(error) if !self.registry.replicas(&id).is_empty() => {
                let name = self.fleet.name(device);
                tracing::warn!(avatar = %id, device = name, "stays where it is: {}", error.sentence());
                self.acquire_on(&id, self.place(&id, want)).await
            }
            acquired => acquired,
        }
    }

    /// The avatar loaded ahead of its calls, on the device that would serve them: on that with CUDA ordinal `gpu` where there is one.
    ///
    /// # Errors
    /// [`RpcError::Id`], [`RpcError::Registry`].
    pub async fn load(&self, id: &str, gpu: Option<u32>) -> Result<Acquired, RpcError> {
        let id: AvatarId = id.parse()?;
        let ordinal = |engine: &Engine| engine.backend().info().gpu;
        let wanted = gpu.and_then(|gpu| self.fleet.engines().iter().position(|engine| ordinal(engine) == Some(gpu)));
        let there = || self.registry.loaded(&id).map(|avatar| avatar.device());
        let device =
            wanted.map(DeviceId).or_else(there).unwrap_or_else(|| self.place(&id, Want::Live { waits: false }));
        self.acquire_on(&id, device).await
    }

    /// Draws the avatar's pictures once where that makes them quicker to draw again, which takes some seconds.
    pub async fn warm(&self, avatar: &Arc<LoadedAvatar>) {
        let format = FrameFormat::Jpeg(self.options.jpeg_quality);
        if let Err(error) = rehearse_pictures(self.fleet.engine_of(avatar), avatar, format).await {
            tracing::warn!(avatar = %avatar.id(), "its pictures were not all drawn: {error}");
        }
    }

    fn place(&self, id: &AvatarId, want: Want) -> DeviceId {
        if self.fleet.engines().len() == 1 {
            return DeviceId::default();
        }
        let replicas = self.registry.replicas(id);
        let mut views = self.fleet.views(&replicas, want, self.options.admission);
        for (at, view) in views.iter_mut().enumerate() {
            view.has_room &= self.registry.may_go_on(id, DeviceId(at));
        }
        place(&views, self.registry.device_bytes(id)).unwrap_or_default()
    }

    async fn acquire_on(&self, id: &AvatarId, device: DeviceId) -> Result<Acquired, RpcError> {
        let format = FrameFormat::Jpeg(self.options.jpeg_quality);
        loop {
            let acquired = self.registry.acquire(id, device).await?;
            if acquired.loading.is_none() {
                return Ok(acquired);
            }
            let engine = self.fleet.engine_of(&acquired.avatar);
            let Err(source) = rehearse(engine, &acquired.avatar, format).await else { return Ok(acquired) };
            if source.is_passing() {
                return Err(source.into());
            }
            self.registry.give_up(acquired.avatar, LoadError::Undrawable { source })?;
            // Lanes without work let go of another avatar's memory when they next rest.
            tokio::time::sleep(REST + REST / 4).await;
        }
    }

    /// A place, before anything is loaded for the call: whoever is refused for lack of room is told so at once.
    pub(super) async fn enter(&self, info: &CallInfo, id: &str, want: Want) -> Result<Place, RpcError> {
        let place = self.doors.enter(info, self.stopping()).await?;
        if let (Want::Live { waits }, Some(limits)) = (want, self.options.admission) {
            let replicas = self.registry.replicas(&id.parse()?);
            let views = self.fleet.views(&replicas, want, self.options.admission);
            if let Some(avatar) = replicas.first().filter(|_| views.iter().all(|view| !view.has_room)) {
                self.fleet.engine_of(avatar).has_room(avatar, waits, limits)?;
            }
        }
        Ok(place)
    }

    /// A session in `place`, if a device that has the avatar has room for it: its own first.
    pub(super) fn admit(
        &self,
        info: &CallInfo,
        place: Place,
        avatar: &Arc<LoadedAvatar>,
        options: SessionOptions,
    ) -> Result<Admitted, RpcError> {
        if self.is_stopping() {
            return Err(RpcError::Stopping);
        }
        let open = |avatar: &Arc<LoadedAvatar>| {
            let engine = self.fleet.engine_of(avatar);
            match info.kind {
                CallKind::Live => engine.open_live_session(Arc::clone(avatar), options.clone(), self.options.admission),
                CallKind::Whole | CallKind::Monolithic => Ok(engine.open_session(Arc::clone(avatar), options.clone())?),
            }
        };
        // Others may have filled the device since it was chosen; the avatar's other devices are as good.
        let anywhere = || {
            open(avatar).or_else(|error| {
                let others = self.registry.replicas(avatar.id());
                let others = others.iter().filter(|other| other.device() != avatar.device());
                others.filter_map(|other| open(other).ok()).next().ok_or(error)
            })
        };
        let (intake, reader) = anywhere()?;
        let record = CallRecord::open(Arc::clone(self.fleet.recorder()), info, avatar.id());
        Ok(Admitted { intake, reader, call: Call { record, _place: place } })
    }

    /// Counts a call that is answered with `error` before it had a session.
    pub(super) fn refused(&self, error: &RpcError) {
        if let Some(reason) = error.refusal() {
            self.fleet.recorder().refused(reason);
        }
    }

    /// Streams of `avatar` that speak all the time which the daemon carries, as measured; `None` before it has been.
    #[must_use]
    pub fn capacity_streams(&self, avatar: &LoadedAvatar) -> Option<f64> {
        let replicas = self.registry.replicas(avatar.id());
        let streams = self.fleet.frames_per_second(&replicas)? / f64::from(avatar.fps());
        Some(streams * self.options.admission.map_or(1.0, |limits| limits.utilisation))
    }

    /// Part of `engine`'s lanes that its live streams are expected to take.
    #[must_use]
    pub fn live_load(&self, engine: &Engine) -> f64 {
        engine.live_load(self.options.admission.map_or(1.0, |limits| limits.expected_speech))
    }

    /// How live sessions are paced.
    pub(super) fn live(&self) -> Pace {
        Pace::Live { budget: self.options.latency_budget }
    }

    /// How long a call may last.
    pub(super) fn bounds(&self, info: &CallInfo) -> Bounds {
        Bounds { deadline: info.deadline.map(Into::into), idle: self.options.idle }
    }

    /// How calls with idle frames take turns.
    pub(super) fn idle_frames(&self) -> IdleFrames {
        IdleFrames { utilisation: self.options.admission.map_or(1.0, |limits| limits.utilisation) }
    }

    /// The quality a client asks for, where 0 asks for the daemon's.
    pub(super) fn quality(&self, asked: u32) -> Result<Quality, RpcError> {
        if asked == 0 { Ok(self.options.jpeg_quality) } else { Ok(Quality::new(asked)?) }
    }
}
