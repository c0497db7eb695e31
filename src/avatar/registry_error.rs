//! Why an avatar cannot be had.

use std::path::PathBuf;
use std::sync::Arc;

use super::{AvatarId, LoadError};
use crate::backend::BackendError;

/// Why an avatar cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No such bundle.
    #[error("there is no avatar \"{id}\" in {dir}; ListAvatars names those there are")]
    NotFound {
        /// The id asked for.
        id: AvatarId,
        /// The avatars folder.
        dir: PathBuf,
    },
    /// It is larger than all avatars together may be.
    #[error(
        "avatar \"{id}\" needs {needed} bytes, more than all of max_resident_bytes = {budget}; raise max_resident_bytes"
    )]
    TooLarge {
        /// The id asked for.
        id: AvatarId,
        /// Bytes it needs.
        needed: u64,
        /// `max_resident_bytes`.
        budget: u64,
    },
    /// Everything else that is loaded is in use, or being loaded.
    #[error(
        "avatar \"{id}\" needs {needed} bytes, {in_use} of max_resident_bytes = {budget} are held by avatars in use or being loaded; \
         retry later or raise max_resident_bytes"
    )]
    NoRoom {
        /// The id asked for.
        id: AvatarId,
        /// Bytes it needs.
        needed: u64,
        /// Bytes that cannot be let go, with those promised to loads under way.
        in_use: u64,
        /// `max_resident_bytes`.
        budget: u64,
    },
    /// Its device is full of avatars that are in use.
    #[error("avatar \"{id}\": {source}; every other avatar there is in use: retry later")]
    DeviceFull {
        /// The id asked for.
        id: AvatarId,
        /// What the device said.
        source: Arc<LoadError>,
    },
    /// Its device is lost.
    #[error("avatar \"{id}\": {source}")]
    DeviceLost {
        /// The id asked for.
        id: AvatarId,
        /// What the device said.
        source: Arc<LoadError>,
    },
    /// The system failed while it was read, and may not the next time.
    #[error("avatar \"{id}\": {source}; retry later")]
    Unread {
        /// The id asked for.
        id: AvatarId,
        /// What it said.
        source: Arc<LoadError>,
    },
    /// The bundle or its networks are faulty.
    #[error("avatar \"{id}\": {source}")]
    Load {
        /// The id asked for.
        id: AvatarId,
        /// What is wrong.
        source: Arc<LoadError>,
    },
    /// The load was given up: the process is ending.
    #[error("avatar \"{id}\" could not be loaded: the daemon is stopping")]
    Stopping {
        /// The id asked for.
        id: AvatarId,
    },
}

impl RegistryError {
    /// Of avatar `id`, which could not be loaded.
    pub(crate) fn of_load(id: &AvatarId, source: LoadError) -> Self {
        let full = match &source {
            LoadError::Backend(error) => error.is_device_full(),
            LoadError::Undrawable { source } => source.is_device_full(),
            _ => false,
        };
        let lost = matches!(&source, LoadError::Backend(BackendError::DeviceLost { .. }));
        let is_faulty = source.is_faulty();
        let (id, source) = (id.clone(), Arc::new(source));
        match (full, lost) {
            (true, _) => Self::DeviceFull { id, source },
            (_, true) => Self::DeviceLost { id, source },
            _ if is_faulty => Self::Load { id, source },
            _ => Self::Unread { id, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;
    use crate::avatar::onnx::OnnxError;

    #[test]
    fn a_file_that_the_system_would_not_read_is_told_from_a_faulty_one() {
        let id: AvatarId = "mira".parse().unwrap();
        let of = |kind: ErrorKind| {
            let file = BackendError::File { path: "generator.onnx".into(), source: OnnxError::Io(kind.into()) };
            RegistryError::of_load(&id, file.into())
        };
        assert!(matches!(of(ErrorKind::PermissionDenied), RegistryError::Load { .. }));
        assert!(matches!(of(ErrorKind::Other), RegistryError::Unread { .. }));
    }

    #[test]
    fn a_lost_device_and_one_too_small_for_the_avatar_are_told_from_a_full_one() {
        let id: AvatarId = "mira".parse().unwrap();
        let of = |error: BackendError| RegistryError::of_load(&id, error.into());
        let full = |needed| BackendError::DeviceFull { needed, used: 6, most: 10 };
        assert!(matches!(of(full(5)), RegistryError::DeviceFull { .. }));
        assert!(matches!(of(full(11)), RegistryError::Load { .. }), "no emptying makes room for it");
        let lost = BackendError::DeviceLost { reason: "it has not answered".to_owned() };
        assert!(matches!(of(lost), RegistryError::DeviceLost { .. }));
    }
}
