//! An avatar's networks on each device it is loaded on.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use super::eviction::Candidate;
use super::{Bundle, LoadError, LoadedAvatar};
use crate::backend::{Device, DeviceId};

/// What networks take beside their weights, for each byte of their files: buffers, and a copy while they are loaded.
const BYTES_PER_FILE_BYTE: u64 = 2;

/// How long a device that had no room is not asked again: each try costs its caller a load.
const FULL: Duration = Duration::from_secs(60);

/// A loaded avatar and what it was loaded from.
#[derive(Clone)]
pub(super) struct Resident {
    bundle: Arc<Bundle>,
    /// The networks' files as they were.
    files: [Stamp; 2],
    replicas: Vec<Arc<LoadedAvatar>>,
    /// Devices that would not take it.
    unfit: Vec<Unfit>,
}

/// A device that is not asked again before then; never, until the avatar is unloaded, where there is no such time.
#[derive(Debug, Clone, Copy)]
struct Unfit {
    device: DeviceId,
    until: Option<Instant>,
}

/// What changes when a file is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(path: &Path) -> Self {
        let data = std::fs::metadata(path).ok();
        Self { bytes: data.as_ref().map_or(0, |data| data.len()), modified: data.and_then(|data| data.modified().ok()) }
    }
}

fn stamps(bundle: &Bundle) -> [Stamp; 2] {
    [Stamp::of(&bundle.generator.path), Stamp::of(&bundle.audio_encoder.path)]
}

impl LoadedAvatar {
    /// Whether it has been drawn on its device, so that viewers may have it.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// It has been drawn there.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// When it was loaded: Unix seconds.
    pub(super) fn loaded_unix_s(&self) -> i64 {
        i64::try_from(self.loaded_at_ns() / 1_000_000_000).unwrap_or(i64::MAX)
    }
}

impl Resident {
    /// An avatar on its first device.
    pub(super) fn new(bundle: Bundle, avatar: LoadedAvatar) -> Self {
        Self { files: stamps(&bundle), bundle: Arc::new(bundle), replicas: vec![Arc::new(avatar)], unfit: Vec::new() }
    }

    /// The avatar on each of its devices, the first first; never empty.
    pub(super) fn replicas(&self) -> &[Arc<LoadedAvatar>] {
        &self.replicas
    }

    /// The avatar on `device`.
    pub(super) fn on(&self, device: DeviceId) -> Option<Arc<LoadedAvatar>> {
        self.replicas.iter().find(|replica| replica.device() == device).cloned()
    }

    /// What eviction sees of it; in use too while it is loaded on one more device.
    pub(super) fn candidate(&self) -> Option<Candidate> {
        let mut candidate = Candidate::of(self.replicas.first()?);
        candidate.in_use |= !self.replicas.iter().all(|replica| replica.is_ready());
        Some(candidate)
    }

    /// Whether `device` has not refused it, or so long ago that it may be asked again.
    pub(super) fn may_go_on(&self, device: DeviceId) -> bool {
        let holds = |unfit: &Unfit| unfit.until.is_none_or(|until| Instant::now() < until);
        !self.unfit.iter().any(|unfit| unfit.device == device && holds(unfit))
    }

    /// Lets go of it on `device`; false when it is on no other.
    pub(super) fn leave(&mut self, device: DeviceId) -> bool {
        self.replicas.retain(|replica| replica.device() != device);
        !self.replicas.is_empty()
    }

    /// Notes that `device` would not take it: for good, or as it was full.
    pub(super) fn refused_by(&mut self, device: DeviceId, is_full: bool) {
        self.unfit.retain(|unfit| unfit.device != device);
        self.unfit.push(Unfit { device, until: is_full.then(|| Instant::now() + FULL) });
    }

    /// The avatar on `device` too, as the last of its replicas.
    ///
    /// # Errors
    /// [`LoadError::Changed`] when the networks are no longer those that were loaded: viewers on two devices would see two
    /// avatars. [`LoadError::Backend`].
    pub(super) fn extended(&self, device: Device) -> Result<Self, LoadError> {
        if stamps(&self.bundle) != self.files {
            return Err(LoadError::Changed { dir: self.bundle.dir.clone() });
        }
        let mut extended = self.clone();
        extended.unfit.retain(|unfit| unfit.device != device.id);
        if let Some(first) = self.replicas.first() {
            extended.replicas.push(Arc::new(first.replica(&self.bundle, device)?));
        }
        Ok(extended)
    }
}

/// Bytes of a device that the networks of the bundle in `dir` take, by the size of the `.onnx` files in it.
pub(super) fn network_bytes(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let networks = files.filter(|path| path.extension().is_some_and(|extension| extension == "onnx"));
    networks.map(|path| Stamp::of(&path).bytes * BYTES_PER_FILE_BYTE).sum()
}
