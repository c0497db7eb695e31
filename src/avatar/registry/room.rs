//! Whom to let go so that another fits.

use std::sync::Arc;

use super::{LoadError, LoadedAvatar, Registry, RegistryError};
use crate::avatar::AvatarId;
use crate::avatar::eviction::{self, Candidate};
use crate::backend::DeviceId;

impl Registry {
    /// Lets go of an avatar that its device has loaded and cannot draw, which is `why`. Fine when another has given way there: a further try
    /// may do.
    ///
    /// # Errors
    /// [`RegistryError::DeviceFull`], [`RegistryError::Load`].
    pub fn give_up(&self, avatar: Arc<LoadedAvatar>, why: LoadError) -> Result<(), RegistryError> {
        let (id, device) = (avatar.id().clone(), avatar.device());
        self.leave(&id, device);
        // Here or with the last of its viewers.
        drop(avatar);
        let error = RegistryError::of_load(&id, why);
        match &error {
            RegistryError::DeviceFull { source, .. } if self.evict_from(device, &id, source) => return Ok(()),
            RegistryError::DeviceFull { .. } => {}
            _ => {
                if let Some(resident) = self.lock().loaded.get_mut(&id) {
                    resident.refused_by(device);
                }
            }
        }
        let refused = Err(error);
        self.count(&refused);
        refused.map(|_| ())
    }

    fn leave(&self, id: &AvatarId, device: DeviceId) {
        let mut state = self.lock();
        let stays = state.loaded.get_mut(id).is_some_and(|resident| resident.leave(device));
        // Dropped outside the lock.
        let gone = if stays { None } else { state.loaded.remove(id) };
        drop(state);
        drop(gone);
    }

    /// Lets go of the first idle avatar on `device`, for `id`; false when there is none.
    pub(super) fn evict_from(&self, device: DeviceId, id: &AvatarId, why: &LoadError) -> bool {
        let mut state = self.lock();
        let there = state.loaded.values().filter_map(|resident| resident.on(device));
        let candidates = there.map(|avatar| Candidate::of(&avatar)).filter(|candidate| candidate.id != *id).collect();
        let Some(victim) = eviction::idle(candidates, self.limits.evict).into_iter().next() else { return false };
        tracing::info!(avatar = %victim.id, "evicted to make room for {id}: {why}");
        let gone = state.loaded.remove(&victim.id);
        state.counts.evicted += 1;
        drop(state);
        drop(gone);
        true
    }

    /// Evicts idle avatars until `needed` more bytes fit, and promises them to the caller.
    pub(super) fn make_room(&self, id: &AvatarId, needed: u64) -> Result<(), RegistryError> {
        let mut state = self.lock();
        if let Some(budget) = self.limits.max_resident_bytes {
            let avatars = state.loaded.values().filter_map(|resident| resident.replicas().first());
            let candidates = avatars.map(|avatar| Candidate::of(avatar));
            let free = budget.saturating_sub(state.promised);
            let victims = eviction::victims(candidates.collect(), needed, free, self.limits.evict)
                .map_err(|in_use| RegistryError::NoRoom { id: id.clone(), needed, in_use, budget })?;
            for victim in victims {
                tracing::info!(avatar = %victim, "evicted to make room for {id}");
                state.loaded.remove(&victim);
                state.counts.evicted += 1;
            }
        }
        state.promised += needed;
        Ok(())
    }
}
