//! All devices of a daemon, an engine for each.

use std::sync::Arc;

use futures_util::future::select_all;

use super::admission::AdmissionLimits;
use super::engine::{Engine, EngineOptions};
use super::placement::DeviceView;
use crate::avatar::LoadedAvatar;
use crate::backend::{Backend, BackendError, DeviceId};
use crate::telemetry::Recorder;

/// The engines, in the order their devices were opened. There is always one.
pub struct Fleet {
    engines: Vec<Engine>,
    names: Vec<String>,
    recorder: Arc<Recorder>,
}

/// What a call wants of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Frames in time.
    Live {
        /// Whether its speech can wait for a turn.
        waits: bool,
    },
    /// Frames in what live calls leave.
    Whole,
}

/// A fleet of one.
impl From<Engine> for Fleet {
    fn from(engine: Engine) -> Self {
        let recorder = Arc::clone(engine.recorder());
        Self { names: names(std::slice::from_ref(&engine)), engines: vec![engine], recorder }
    }
}

impl Fleet {
    /// Starts an engine on each of `devices`, which share no work.
    ///
    /// # Errors
    /// [`BackendError`] when a lane cannot be opened, or there is no device.
    pub fn start(devices: Vec<(Arc<dyn Backend>, EngineOptions)>) -> Result<Self, BackendError> {
        let recorder = Recorder::new();
        let start = |(backend, options)| Engine::start_recorded(backend, options, Arc::clone(&recorder));
        let engines: Vec<Engine> = devices.into_iter().map(start).collect::<Result<_, _>>()?;
        if engines.is_empty() {
            return Err(BackendError::NoDevice);
        }
        Ok(Self { names: names(&engines), engines, recorder })
    }

    /// The engines; a device's id is its place.
    #[must_use]
    pub fn engines(&self) -> &[Engine] {
        &self.engines
    }

    /// The engine that draws `avatar`.
    #[must_use]
    pub fn engine_of(&self, avatar: &LoadedAvatar) -> &Engine {
        // Avatars are loaded on devices of this fleet; one of another fleet would find the first engine's networks missing.
        self.engines.get(avatar.device().0).unwrap_or(&self.engines[0])
    }

    /// What each device is called in figures and logs: `cpu`, `cuda:0`; numbered where that would not tell them apart.
    pub fn named(&self) -> impl Iterator<Item = (&str, &Engine)> {
        self.names.iter().map(String::as_str).zip(&self.engines)
    }

    /// What device `id` is called; empty for none of this fleet.
    #[must_use]
    pub fn name(&self, id: DeviceId) -> &str {
        self.names.get(id.0).map_or("", String::as_str)
    }

    /// What sessions have recorded, whichever device they are on.
    #[must_use]
    pub fn recorder(&self) -> &Arc<Recorder> {
        &self.recorder
    }

    /// Lanes of all devices: batches that can be in flight.
    #[must_use]
    pub fn lanes(&self) -> usize {
        self.engines.iter().map(|engine| engine.options().slots).sum()
    }

    /// Windows and frames that wait for a slot now, on all devices.
    #[must_use]
    pub fn waiting(&self) -> (usize, usize) {
        self.engines.iter().map(Engine::waiting).fold((0, 0), |sum, more| (sum.0 + more.0, sum.1 + more.1))
    }

    /// Has every device say how much of its memory is free now: until it has, or does not answer, its figures are those of the last look.
    pub async fn look(&self) {
        let backends = self.engines.iter().map(Engine::backend).filter(|backend| backend.memory().is_some());
        let backends: Vec<_> = backends.map(Arc::clone).collect();
        if !backends.is_empty() {
            // It fails when the process ends, and then nobody needs the figures.
            let _ = tokio::task::spawn_blocking(move || backends.iter().for_each(|backend| backend.look())).await;
        }
    }

    /// What [`super::placement::place`] sees of the devices for one more call for the avatar loaded as `replicas`.
    #[must_use]
    pub fn views(
        &self,
        replicas: &[Arc<LoadedAvatar>],
        want: Want,
        limits: Option<AdmissionLimits>,
    ) -> Vec<DeviceView> {
        let on = |id| replicas.iter().find(|replica| replica.device() == id);
        let expected_speech = limits.map_or(1.0, |limits| limits.expected_speech);
        let view = |(at, engine): (usize, &Engine)| {
            let replica = on(DeviceId(at));
            let live_load = engine.live_load(expected_speech);
            let whole_load = engine.open_sessions().1 as f64 / engine.options().slots as f64;
            let (load, has_room) = match (want, limits, replica) {
                // Whole files give way to live work, so that a stream does not mind them.
                (Want::Live { waits }, Some(limits), Some(replica)) => {
                    (live_load, engine.has_room(replica, waits, limits).is_ok())
                }
                (Want::Live { .. }, Some(limits), None) => (live_load, live_load < limits.utilisation),
                (Want::Live { .. }, None, _) => (live_load, true),
                (Want::Whole, ..) => (live_load + whole_load, live_load + whole_load < 1.0),
            };
            let free_bytes = engine.backend().memory().map(|memory| memory.free_bytes);
            DeviceView { resident: replica.is_some(), free_bytes, load, has_room }
        };
        self.engines.iter().enumerate().map(view).collect()
    }

    /// Frames a second that all devices make of the avatar loaded as `replicas`, as measured; a device that has not measured it
    /// is taken for as fast, lane for lane, as those that have. `None` when none has.
    #[must_use]
    pub fn frames_per_second(&self, replicas: &[Arc<LoadedAvatar>]) -> Option<f64> {
        let measured = replicas.iter().filter_map(|replica| {
            let engine = self.engine_of(replica);
            Some((engine.frames_per_second(replica)?, engine.options().slots))
        });
        let (frames, lanes) = measured.fold((0.0, 0), |sum, more| (sum.0 + more.0, sum.1 + more.1));
        (lanes > 0).then(|| frames * self.lanes() as f64 / lanes as f64)
    }

    /// Whether a lane of any device has broken.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.engines.iter().any(Engine::is_broken)
    }

    /// Completes if a lane of any device breaks, after which the process can only end.
    pub async fn broken(&self) {
        select_all(self.engines.iter().map(|engine| Box::pin(engine.broken()))).await;
    }
}

fn names(engines: &[Engine]) -> Vec<String> {
    let plain: Vec<String> = engines
        .iter()
        .map(|engine| engine.backend().info())
        .map(|info| info.gpu.map_or_else(|| info.name.to_owned(), |gpu| format!("{}:{gpu}", info.name)))
        .collect();
    let distinct = |name: &String| plain.iter().filter(|other| *other == name).count() == 1;
    plain
        .iter()
        .enumerate()
        .map(|(at, name)| if distinct(name) { name.clone() } else { format!("{name}#{at}") })
        .collect()
}
