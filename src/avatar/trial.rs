//! Loading a bundle without keeping it: everything that would stop it, at once.

use std::sync::Arc;

use super::frame_store::FrameStore;
use super::{Bundle, LoadError};
use crate::backend::{Backend, ModelLease};

/// Finds what headers cannot tell: every picture of `bundle` that does not decode, and networks that `backend` does not run (they
/// are left out without one). One picture for each core is in memory at a time. `progress` is told how many pictures are done, from
/// any thread.
#[must_use]
pub fn trial(bundle: &Bundle, backend: Option<Arc<dyn Backend>>, progress: &(dyn Fn(usize) + Sync)) -> Vec<LoadError> {
    let networks = backend.and_then(|backend| ModelLease::load(backend, bundle).err());
    let pictures = FrameStore::faults(bundle, progress);
    networks.map(LoadError::from).into_iter().chain(pictures.into_iter().map(LoadError::from)).collect()
}
