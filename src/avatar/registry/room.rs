//! Whom to let go so that another fits.

use std::sync::Arc;

use super::{LoadedAvatar, Registry, RegistryError, State};
use crate::avatar::residents::Resident;
use crate::avatar::{AvatarId, LoadError, eviction};
use crate::backend::DeviceId;
use crate::session::SessionError;

/// Bytes that count as taken while a load is under way.
pub(super) struct Promise<'r> {
    registry: &'r Registry,
    bytes: u64,
}

impl Promise<'_> {
    /// From now on the avatar counts itself.
    pub(super) fn keep(mut self, state: &mut State) {
        state.promised -= std::mem::take(&mut self.bytes);
    }
}

impl Drop for Promise<'_> {
    fn drop(&mut self) {
        // A kept one has nothing left, and its keeper has the lock.
        if self.bytes > 0 {
            self.registry.lock().promised -= self.bytes;
        }
    }
}

impl Registry {
    /// Lets go of an avatar that its device has loaded and cannot draw, which is `why`; gives that as the load's error.
    pub fn undo(&self, avatar: Arc<LoadedAvatar>, why: SessionError) -> RegistryError {
        let (id, device) = (avatar.id().clone(), avatar.device());
        let mut state = self.lock();
        let stays = state.loaded.get_mut(&id).is_some_and(|resident| resident.leave(device));
        // Dropped outside the lock, here or with the last of its viewers.
        let gone = if stays { None } else { state.loaded.remove(&id) };
        drop(state);
        drop((avatar, gone));
        RegistryError::of_load(&id, LoadError::Undrawable { source: why })
    }

    /// Lets go of the first idle avatar on `device` for `id`, if that was kept from it by a lack of room there; false when there is none, or it
    /// was kept by something else.
    pub fn make_way(&self, id: &AvatarId, device: DeviceId, why: &RegistryError) -> bool {
        let RegistryError::DeviceFull { source, .. } = why else { return false };
        let mut state = self.lock();
        let there = state.loaded.values().filter(|resident| resident.on(device).is_some());
        let candidates = there.filter_map(Resident::candidate).filter(|candidate| candidate.id != *id).collect();
        let Some(victim) = eviction::idle(candidates, self.limits.evict).into_iter().next() else { return false };
        tracing::info!(avatar = %victim.id, "evicted to make room for {id}: {source}");
        let gone = state.loaded.remove(&victim.id);
        state.counts.evicted += 1;
        drop(state);
        drop(gone);
        true
    }

    /// Evicts idle avatars until `needed` more bytes fit, and promises them to the caller.
    pub(super) fn make_room(&self, id: &AvatarId, needed: u64) -> Result<Promise<'_>, RegistryError> {
        let mut state = self.lock();
        let mut gone = Vec::new();
        if let Some(budget) = self.limits.max_resident_bytes {
            let candidates = state.loaded.values().filter_map(Resident::candidate).collect();
            if needed > budget {
                return Err(RegistryError::TooLarge { id: id.clone(), needed, budget });
            }
            let leaving = state.leaving_bytes();
            let free = budget.saturating_sub(state.promised).saturating_sub(leaving);
            let victims = eviction::victims(candidates, needed, free, self.limits.evict).map_err(|in_use| {
                RegistryError::NoRoom { id: id.clone(), needed, in_use: in_use.saturating_add(leaving), budget }
            })?;
            for victim in victims {
                tracing::info!(avatar = %victim, "evicted to make room for {id}");
                gone.extend(state.loaded.remove(&victim));
                state.counts.evicted += 1;
            }
        }
        state.promised += needed;
        drop(state);
        drop(gone);
        Ok(Promise { registry: self, bytes: needed })
    }
}
