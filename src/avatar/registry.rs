//! The avatars folder: which bundles there are, which are loaded, and what to let go for the next.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use super::eviction::EvictPolicy;
use super::frame_store::predicted_bytes;
use super::registry_error::RegistryError;
use super::residents::{Resident, network_bytes, stamps};
use super::{AvatarId, Bundle, Keep, LoadError, LoadedAvatar};
use crate::backend::{Backend, BackendError, Device, DeviceId};

mod room;

/// How the registry keeps avatars in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResidencyLimits {
    /// Most bytes of frames and crops at once; `None` is no limit.
    pub max_resident_bytes: Option<u64>,
    /// Whom to let go first.
    pub evict: EvictPolicy,
}

/// An avatar, and what it took to get it.
pub struct Acquired {
    /// The avatar.
    pub avatar: Arc<LoadedAvatar>,
    /// Time spent loading it now; `None` when it was there.
    pub loading: Option<Duration>,
}

/// The turn of one who loads an avatar; the others wait for it.
pub type LoadTurn = OwnedMutexGuard<()>;

#[derive(Default)]
struct State {
    loaded: HashMap<AvatarId, Resident>,
    /// Avatars that were unloaded, on each of their devices, until the last of their sessions ends.
    leaving: Vec<Vec<Weak<LoadedAvatar>>>,
    /// One load of an id at a time; the others wait and find it loaded.
    loading: HashMap<AvatarId, Weak<tokio::sync::Mutex<()>>>,
    /// Bytes promised to loads under way.
    promised: u64,
    counts: LoadCounts,
}

impl State {
    /// The avatars that were unloaded and are still held: on the first of the devices where they are.
    fn leaving(&self) -> Vec<Arc<LoadedAvatar>> {
        let held = |replicas: &Vec<Weak<LoadedAvatar>>| replicas.iter().find_map(Weak::upgrade);
        self.leaving.iter().filter_map(held).collect()
    }
}

fn resident_bytes(avatars: &[Arc<LoadedAvatar>]) -> u64 {
    avatars.iter().map(|avatar| avatar.resident_bytes()).sum()
}

/// What has become of loads since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoadCounts {
    /// Avatars loaded.
    pub loaded: u64,
    /// Those of bundles that were faulty or could not be read, and of devices that were lost.
    pub failed: u64,
    /// Loads for which there was no room.
    pub no_room: u64,
    /// Avatars let go to make room.
    pub evicted: u64,
}

/// The avatars of one folder, loaded on demand.
pub struct Registry {
    dir: PathBuf,
    devices: Vec<Device>,
    limits: ResidencyLimits,
    keep: Keep,
    state: Mutex<State>,
}

impl Registry {
    /// The bundles of `dir`, to be loaded on `backends`, of which there is one at least, with their pictures kept as `keep` says.
    #[must_use]
    pub fn new(
        dir: PathBuf,
        backends: impl IntoIterator<Item = Arc<dyn Backend>>,
        limits: ResidencyLimits,
        keep: Keep,
    ) -> Self {
        let device = |(at, backend)| Device { id: DeviceId(at), backend };
        let devices = backends.into_iter().enumerate().map(device).collect();
        Self { dir, devices, limits, keep, state: Mutex::default() }
    }

    /// The avatars folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the bundle of `id` lies.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`].
    pub fn bundle_dir(&self, id: &AvatarId) -> Result<PathBuf, RegistryError> {
        let dir = self.dir.join(id.as_str());
        if dir.join(super::MANIFEST_FILE).is_file() {
            Ok(dir)
        } else {
            Err(RegistryError::NotFound { id: id.clone(), dir: self.dir.clone() })
        }
    }

    /// Ids of every bundle in the folder, sorted; folders without `avatar.toml` are not bundles.
    #[must_use]
    pub fn ids(&self) -> Vec<AvatarId> {
        let entries = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut ids: Vec<AvatarId> =
            names.filter_map(|name| name.parse().ok()).filter(|id| self.bundle_dir(id).is_ok()).collect();
        ids.sort();
        ids
    }

    /// The avatar, if it is loaded: on the first of its devices.
    #[must_use]
    pub fn loaded(&self, id: &AvatarId) -> Option<Arc<LoadedAvatar>> {
        self.replicas(id).into_iter().next()
    }

    /// The avatar on each device it is loaded on.
    #[must_use]
    pub fn replicas(&self, id: &AvatarId) -> Vec<Arc<LoadedAvatar>> {
        self.lock().loaded.get(id).map(|resident| resident.replicas().to_vec()).unwrap_or_default()
    }

    /// Every loaded avatar, by id: on the first of its devices.
    #[must_use]
    pub fn all_loaded(&self) -> Vec<Arc<LoadedAvatar>> {
        let mut all: Vec<_> =
            self.lock().loaded.values().filter_map(|resident| resident.replicas().first().cloned()).collect();
        all.sort_by(|a, b| a.id().cmp(b.id()));
        all
    }

    /// Whether the avatar may be loaded on `device`: not, once it was loaded elsewhere and this one would not take it.
    #[must_use]
    pub fn may_go_on(&self, id: &AvatarId, device: DeviceId) -> bool {
        self.lock().loaded.get(id).is_none_or(|resident| resident.may_go_on(device))
    }

    /// Bytes of a device that the avatar's networks take, by the size of their files; 0 when they cannot be looked at.
    #[must_use]
    pub fn device_bytes(&self, id: &AvatarId) -> u64 {
        let loaded = self.lock().loaded.get(id).map(Resident::device_bytes);
        loaded.unwrap_or_else(|| self.bundle_dir(id).map_or(0, |dir| network_bytes(&dir)))
    }

    /// What has become of loads since the start.
    #[must_use]
    pub fn loads(&self) -> LoadCounts {
        self.lock().counts
    }

    /// The avatar on `device`, once it can be drawn there.
    #[must_use]
    pub fn ready(&self, id: &AvatarId, device: DeviceId) -> Option<Arc<LoadedAvatar>> {
        self.on(id, device).filter(|avatar| avatar.is_ready())
    }

    /// The turn to load `id`; loads of one id wait for each other, loads of two ids do not.
    pub async fn load_turn(&self, id: &AvatarId) -> LoadTurn {
        let lock = {
            let mut state = self.lock();
            state.loading.retain(|_, lock| lock.strong_count() > 0);
            let known = state.loading.get(id).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let lock = Arc::default();
                state.loading.insert(id.clone(), Arc::downgrade(&lock));
                lock
            })
        };
        lock.lock_owned().await
    }

    /// The avatar on `device`, loaded there if it is not, whether it can be drawn or not. A device that does not exist stands for the first.
    /// Whoever calls has the [`Self::load_turn`], and says by [`Self::note`] what came of it.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn load(self: &Arc<Self>, id: &AvatarId, device: DeviceId) -> Result<Arc<LoadedAvatar>, RegistryError> {
        let device = self.devices.get(device.0).or(self.devices.first()).cloned();
        let device = device.ok_or_else(|| RegistryError::Stopping { id: id.clone() })?;
        if let Some(avatar) = self.on(id, device.id) {
            return Ok(avatar);
        }
        let dir = self.bundle_dir(id)?;
        let (registry, wanted) = (Arc::clone(self), id.clone());
        let loaded = tokio::task::spawn_blocking(move || registry.load_now(&wanted, &dir, device)).await;
        loaded.unwrap_or_else(|_| Err(RegistryError::Stopping { id: id.clone() }))
    }

    fn on(&self, id: &AvatarId, device: DeviceId) -> Option<Arc<LoadedAvatar>> {
        self.lock().loaded.get(id)?.on(device)
    }

    /// Lets go of an avatar; sessions that show it keep it to their end. False when it was not loaded.
    pub fn unload(&self, id: &AvatarId) -> bool {
        let mut state = self.lock();
        let gone = state.loaded.remove(id);
        if let Some(gone) = &gone {
            state.leaving.retain(|replicas| replicas.iter().any(|replica| replica.strong_count() > 0));
            state.leaving.push(gone.replicas().iter().map(Arc::downgrade).collect());
        }
        // Outside the lock: letting go of frames and networks takes a while.
        drop(state);
        if let Some(gone) = &gone {
            tracing::info!(avatar = %id, sessions = gone.sessions(), "unloaded");
        }
        gone.is_some()
    }

    /// Bytes of avatars that were unloaded and are still watched.
    #[must_use]
    pub fn leaving_bytes(&self) -> u64 {
        let leaving = self.lock().leaving();
        resident_bytes(&leaving)
    }

    fn load_now(&self, id: &AvatarId, dir: &Path, device: Device) -> Result<Arc<LoadedAvatar>, RegistryError> {
        let failed = |source: LoadError| RegistryError::of_load(id, source);
        let resident = self.lock().loaded.get(id).cloned();
        match resident {
            Some(resident) => {
                tracing::info!(avatar = %id, backend = %device.backend.info(), "loading on one more device");
                let avatar = resident.replica_for(device).map_err(failed)?;
                // Unloaded meanwhile, it is this caller's alone.
                if let Some(there) = self.lock().loaded.get_mut(id) {
                    there.add(&resident, &avatar);
                }
                Ok(avatar)
            }
            None => self.load_first(id, dir, device),
        }
    }

    fn load_first(&self, id: &AvatarId, dir: &Path, device: Device) -> Result<Arc<LoadedAvatar>, RegistryError> {
        let failed = |source: LoadError| RegistryError::of_load(id, source);
        let bundle = Bundle::open(dir).map_err(|error| failed(error.into()))?;
        let files = stamps(&bundle);
        let needed = predicted_bytes(&bundle, &self.keep);
        let promise = self.make_room(id, needed)?;
        let frames = bundle.frames.len();
        tracing::info!(avatar = %id, frames, "loading");
        // Hundreds of frames take a while when the cache does not have them: a word at every quarter.
        let progress = |done: usize| {
            if done * 4 / frames > (done - 1) * 4 / frames && done < frames {
                tracing::info!(avatar = %id, done, frames, "encoding the avatar's frames");
            }
        };
        let loaded = LoadedAvatar::load(id.clone(), &bundle, device, &self.keep, &progress).map_err(failed)?;
        let resident = Resident::new(bundle, files, loaded);
        let first = resident.replicas().first().cloned().ok_or_else(|| failed(BackendError::Unloaded.into()))?;
        let mut state = self.lock();
        state.loaded.insert(id.clone(), resident);
        promise.keep(&mut state);
        Ok(first)
    }

    /// Notes what came of a load of `id` on `device`.
    pub fn note(&self, id: &AvatarId, device: DeviceId, outcome: Result<(), &RegistryError>) {
        let mut state = self.lock();
        let (count, refused) = match outcome {
            Ok(()) => (&mut state.counts.loaded, None),
            Err(RegistryError::DeviceFull { .. }) => (&mut state.counts.no_room, Some(true)),
            Err(RegistryError::NoRoom { .. } | RegistryError::TooLarge { .. }) => (&mut state.counts.no_room, None),
            Err(RegistryError::Load { .. }) => (&mut state.counts.failed, Some(false)),
            Err(RegistryError::Unread { .. }) => (&mut state.counts.failed, Some(true)),
            Err(_) => (&mut state.counts.failed, None),
        };
        *count += 1;
        if let (Some(is_passing), Some(resident)) = (refused, state.loaded.get_mut(id)) {
            resident.refused_by(device, is_passing);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
