//! An avatar's networks on each device it is loaded on.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use super::eviction::Candidate;
use super::examine::read_text;
use super::manifest::{MANIFEST_FILE, read_manifest};
use super::{Bundle, LoadError, LoadedAvatar};
use crate::backend::{BackendError, Device, DeviceId};

/// What networks take beside their weights, for each byte of their files: buffers, and a copy while they are loaded.
const BYTES_PER_FILE_BYTE: u64 = 2;

/// Files of a folder that are looked at: this is asked for with each call.
const MANY: usize = 1024;

/// How long a device that had no room, or a file that could not be read, is not asked for again: each try costs its caller a load.
const PAUSE: Duration = Duration::from_secs(60);

/// A loaded avatar and what it was loaded from.
#[derive(Clone)]
pub(super) struct Resident {
    bundle: Arc<Bundle>,
    /// The networks' files as they were before they were read.
    files: Stamps,
    /// Held once more by a copy that is being put on one more device.
    extending: Arc<()>,
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
pub(super) struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(path: &Path) -> Self {
        let data = std::fs::metadata(path).ok();
        Self { bytes: data.as_ref().map_or(0, |data| data.len()), modified: data.and_then(|data| data.modified().ok()) }
    }
}

/// Of all files with networks and their weights.
pub(super) type Stamps = Vec<Stamp>;

pub(super) fn stamps(bundle: &Bundle) -> Stamps {
    let Bundle { generator, audio_encoder, .. } = bundle;
    let weights = generator.weights.iter().chain(&audio_encoder.weights).map(|file| &file.path);
    [&generator.path, &audio_encoder.path].into_iter().chain(weights).map(|path| Stamp::of(path)).collect()
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
    /// An avatar on its first device; `files` are the stamps of its bundle from before it was loaded.
    pub(super) fn new(bundle: Bundle, files: Stamps, avatar: LoadedAvatar) -> Self {
        let (extending, replicas) = (Arc::default(), vec![Arc::new(avatar)]);
        Self { files, extending, bundle: Arc::new(bundle), replicas, unfit: Vec::new() }
    }

    /// The avatar on each of its devices, the first first; never empty.
    pub(super) fn replicas(&self) -> &[Arc<LoadedAvatar>] {
        &self.replicas
    }

    /// The avatar on `device`.
    pub(super) fn on(&self, device: DeviceId) -> Option<Arc<LoadedAvatar>> {
        self.replicas.iter().find(|replica| replica.device() == device).cloned()
    }

    /// Sessions that show it: replicas count them together.
    pub(super) fn sessions(&self) -> usize {
        self.replicas.first().map_or(0, |first| first.usage().sessions)
    }

    /// What eviction sees of it; in use too while it is loaded on one more device, and while anybody but the registry holds it: until they let
    /// go, its memory would not come back.
    pub(super) fn candidate(&self) -> Option<Candidate> {
        let mut candidate = Candidate::of(self.replicas.first()?);
        let is_extended = Arc::strong_count(&self.extending) > 1;
        candidate.in_use |= is_extended || self.is_held() || !self.replicas.iter().all(|one| one.is_ready());
        Some(candidate)
    }

    /// Whether it is in use by nobody who has a session: by a call that fetches its frames or is about to open one, or for a moment by a lane or
    /// whoever reads its figures.
    pub(super) fn is_held_in_passing(&self) -> bool {
        self.is_held() && self.sessions() == 0 && self.replicas.iter().all(|one| one.is_ready())
    }

    /// Nobody begins to hold it while the registry is locked and nobody holds it.
    fn is_held(&self) -> bool {
        self.replicas.iter().any(|replica| Arc::strong_count(replica) > 1)
    }

    /// Whether `device` has not refused it, or so long ago that it may be asked again.
    pub(super) fn may_go_on(&self, device: DeviceId) -> bool {
        let holds = |unfit: &Unfit| unfit.until.is_none_or(|until| Instant::now() < until);
        !self.unfit.iter().any(|unfit| unfit.device == device && holds(unfit))
    }

    /// Bytes that its networks take on each device, by the size of their files.
    pub(super) fn device_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum::<u64>().saturating_mul(BYTES_PER_FILE_BYTE)
    }

    /// Lets go of it on `device`; false when it is on no other.
    pub(super) fn leave(&mut self, device: DeviceId) -> bool {
        self.replicas.retain(|replica| replica.device() != device);
        !self.replicas.is_empty()
    }

    /// Notes that `device` would not take it: for good, or for what `is_passing`.
    pub(super) fn refused_by(&mut self, device: DeviceId, is_passing: bool) {
        self.unfit.retain(|unfit| unfit.device != device);
        self.unfit.push(Unfit { device, until: is_passing.then(|| Instant::now() + PAUSE) });
    }

    /// The avatar for `device` too; [`Self::add`] follows.
    ///
    /// # Errors
    /// [`LoadError::Changed`] when the networks are no longer those that were loaded: viewers on two devices would see two
    /// avatars. [`LoadError::Backend`].
    pub(super) fn replica_for(&self, device: Device) -> Result<Arc<LoadedAvatar>, LoadError> {
        if stamps(&self.bundle) != self.files {
            return Err(LoadError::Changed { dir: self.bundle.dir.clone() });
        }
        let first = self.replicas.first().ok_or(BackendError::Unloaded)?;
        Ok(Arc::new(first.replica(&self.bundle, device)?))
    }

    /// Notes a replica, unless it is of another load of the avatar than this one.
    pub(super) fn add(&mut self, of: &Self, replica: &Arc<LoadedAvatar>) {
        if Arc::ptr_eq(&self.bundle, &of.bundle) {
            self.unfit.retain(|unfit| unfit.device != replica.device());
            self.replicas.push(Arc::clone(replica));
        }
    }
}

/// Bytes of a device that the networks of the bundle in `dir`, which is not loaded, take, by the size of their files and of those beside them that may hold weights: which do
/// is known only to who reads the networks.
pub(super) fn network_bytes(dir: &Path) -> u64 {
    let Ok(manifest) = read_text(&dir.join(MANIFEST_FILE)) else { return 0 };
    let draft = read_manifest(&manifest, &mut Vec::new());
    let models = [draft.generator_model, draft.encoder_model].into_iter().flatten();
    // Weights lie where a link leads.
    let mut files: BTreeSet<_> = models.filter_map(|model| dir.join(model.as_str()).canonicalize().ok()).collect();
    let folders: BTreeSet<_> = files.iter().filter_map(|model| model.parent()).map(Path::to_owned).collect();
    for folder in folders {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        files.extend(entries.map(|entry| entry.path()).filter(|path| may_hold_weights(path)).take(MANY));
    }
    let plain = files.iter().filter_map(|path| path.metadata().ok()).filter(|data| data.is_file());
    plain.map(|data| data.len()).sum::<u64>().saturating_mul(BYTES_PER_FILE_BYTE)
}

fn may_hold_weights(path: &Path) -> bool {
    let other = ["onnx", "toml", "json", "jpg", "jpeg", "png"];
    !path.extension().is_some_and(|extension| other.iter().any(|other| extension.eq_ignore_ascii_case(other)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn networks_are_weighed_with_what_lies_beside_them_wherever_the_manifest_says_they_are() {
        let manifest = |generator: &str, encoder: &str| {
            format!("[generator]\nmodel = \"{generator}\"\n[audio_encoder]\nmodel = \"{encoder}\"\n")
        };
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: usize| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, vec![0; bytes]).unwrap();
        };
        for (name, bytes) in
            [("generator.onnx", 100), ("generator.onnx.data", 2000), ("before.onnx", 7), ("boxes.json", 7)]
        {
            write(name, bytes);
        }
        for (name, bytes) in
            [("nets/audio.onnx", 10), ("nets/weights", 30), ("nets/more/weights", 7), ("frames/0.jpg", 7)]
        {
            write(name, bytes);
        }
        let weighed = |generator: &str, encoder: &str| {
            fs::write(dir.path().join(MANIFEST_FILE), manifest(generator, encoder)).unwrap();
            network_bytes(dir.path()) / BYTES_PER_FILE_BYTE
        };
        assert_eq!(weighed("generator.onnx", "nets/audio.onnx"), 2140);
        assert_eq!(weighed("nets/audio.onnx", "nets/audio.onnx"), 40);
        assert_eq!(weighed("nets/audio.onnx", "absent.onnx"), 40);
        symlink("nets/audio.onnx", dir.path().join("linked.onnx")).unwrap();
        assert_eq!(weighed("linked.onnx", "frames/absent.onnx"), 40);
    }
}
