//! Why an avatar cannot be had.

use std::path::PathBuf;
use std::sync::Arc;

use super::{AvatarId, LoadError};

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
    /// Everything else that is loaded is in use.
    #[error(
        "avatar \"{id}\" needs {needed} bytes, {in_use} of max_resident_bytes = {budget} are held by avatars in use; \
         retry later or raise max_resident_bytes"
    )]
    NoRoom {
        /// The id asked for.
        id: AvatarId,
        /// Bytes it needs.
        needed: u64,
        /// Bytes that cannot be let go.
        in_use: u64,
        /// `max_resident_bytes`.
        budget: u64,
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
