//! What every call shares.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::activity::Bounds;
use super::calls::blocking;
use super::doors::{DoorOptions, Doors, Place};
use super::looks::Looks;
use super::status::RpcError;
use crate::audio::ResamplePlan;
use crate::avatar::{LoadedAvatar, Registry};
use crate::batch::{AdmissionLimits, Engine, Fleet, Want};
use crate::picture::Quality;
use crate::session::{FrameReader, IdleFrames, Intake, Pace, SessionOptions};
use crate::telemetry::{CallInfo, CallKind, CallRecord};

mod loading;
mod measuring;

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
    looks: Looks,
    /// Set by [`Self::stop`]; and as it is dropped, since a daemon that is gone has stopped as well.
    stopping: DropGuard,
    /// Whether a device is being measured again.
    measuring: AtomicBool,
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
        let stopping = CancellationToken::new();
        Self {
            fleet: fleet.into(),
            registry,
            options,
            doors: Doors::new(options.doors, stopping.clone()),
            looks: Looks::new(),
            stopping: stopping.drop_guard(),
            measuring: AtomicBool::new(false),
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
        self.stopping().cancel();
    }

    /// Whether [`Self::stop`] has been called.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping().is_cancelled()
    }

    /// Tells when [`Self::stop`] is called.
    pub(super) fn stopping(&self) -> &CancellationToken {
        self.stopping.token()
    }

    /// A place, before anything is loaded for the call: whoever is refused for lack of room is told so at once.
    pub(super) async fn enter(self: &Arc<Self>, info: &CallInfo, id: &str, want: Want) -> Result<Place, RpcError> {
        let place = self.doors.enter(info).await?;
        if let (Want::Live { waits }, Some(limits)) = (want, self.options.admission) {
            let replicas = self.registry.replicas(&id.parse()?);
            let views = self.fleet.views(&replicas, want, self.options.admission);
            if let Some(avatar) = replicas.first().filter(|_| views.iter().all(|view| !view.has_room)) {
                let room = self.fleet.engine_of(avatar).has_room(avatar, waits, limits);
                if room.is_err() {
                    self.measure_idle(replicas, waits, limits);
                }
                room?;
            }
        }
        Ok(place)
    }

    /// The places that are no session's.
    pub(super) fn doors(&self) -> &Doors {
        &self.doors
    }

    /// What looks at the bundles' files.
    pub(super) fn looks(&self) -> &Looks {
        &self.looks
    }

    /// A session in `place`, if a device that has the avatar has room for it: its own first.
    pub(super) async fn admit(
        &self,
        info: &CallInfo,
        place: Place,
        avatar: &Arc<LoadedAvatar>,
        options: SessionOptions,
    ) -> Result<Admitted, RpcError> {
        // Held until the session has it too.
        let _plan = resample_plan(options.sample_rate_hz, avatar.sample_rate_hz()).await?;
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
                let others = others.iter().filter(|other| other.is_ready() && other.device() != avatar.device());
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

    /// Time that nothing may happen in a call.
    pub(super) fn idle(&self) -> Option<Duration> {
        self.options.idle
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

/// The plan of these rates, computed where its up to 50 ms hold up no other call; none for rates that cannot be, which opening a session says.
async fn resample_plan(from_hz: u32, to_hz: u32) -> Result<Option<Arc<ResamplePlan>>, RpcError> {
    // One at a time, waited for without a thread: a call that goes leaves nothing behind to be computed.
    static TURN: Semaphore = Semaphore::const_new(1);
    if let Some(plan) = ResamplePlan::known(from_hz, to_hz) {
        return Ok(Some(plan));
    }
    let turn = TURN.acquire().await.ok();
    let compute = move || {
        let plan = ResamplePlan::shared(from_hz, to_hz).ok();
        drop(turn);
        plan
    };
    blocking(compute).await
}
