//! An avatar's networks on each device it is loaded on.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::{Bundle, LoadError, LoadedAvatar};
use crate::backend::{Device, DeviceId};

/// What networks take beside their weights, for each byte of their files: buffers, and a copy while they are loaded.
const BYTES_PER_FILE_BYTE: u64 = 2;

/// A loaded avatar and what it was loaded from.
#[derive(Clone)]
pub(super) struct Resident {
    bundle: Arc<Bundle>,
    /// The networks' files as they were.
    files: [Stamp; 2],
    replicas: Vec<Arc<LoadedAvatar>>,
    /// Devices that would not take it; not asked again until it is unloaded.
    unfit: Vec<DeviceId>,
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

    /// Whether `device` has not refused it.
    pub(super) fn may_go_on(&self, device: DeviceId) -> bool {
        !self.unfit.contains(&device)
    }

    /// Lets go of it on `device`; false when it is on no other.
    pub(super) fn leave(&mut self, device: DeviceId) -> bool {
        self.replicas.retain(|replica| replica.device() != device);
        !self.replicas.is_empty()
    }

    /// Notes that `device` would not take it.
    pub(super) fn refused_by(&mut self, device: DeviceId) {
        self.unfit.push(device);
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
