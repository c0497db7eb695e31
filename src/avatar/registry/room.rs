//! Whom to let go so that another fits.

use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{LoadedAvatar, Registry, RegistryError, State, resident_bytes};
use crate::avatar::residents::Resident;
use crate::avatar::{AvatarId, LoadError, eviction};
use crate::backend::DeviceId;
use crate::session::SessionError;

/// How long those who hold an avatar in passing are waited for before somebody is refused: a lane at the end of its batch, a reader of figures.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often it is looked whether they have let go.
const GLANCE: Duration = Duration::from_millis(10);

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
    /// was kept by something else. Takes as long as that takes, and may wait for a second.
    pub fn make_way(&self, id: &AvatarId, device: DeviceId, why: &RegistryError) -> bool {
        let RegistryError::DeviceFull { source, .. } = why else { return false };
        self.patiently(|| self.evict_from(device, id, source), |evicted| !evicted)
    }

    /// Evicts idle avatars until `needed` more bytes fit, and promises them to the caller. Takes as long as that takes, and may wait for a
    /// second.
    pub(super) fn make_room(&self, id: &AvatarId, needed: u64) -> Result<Promise<'_>, RegistryError> {
        self.patiently(|| self.promise(id, needed), |room| matches!(room, Err(RegistryError::NoRoom { .. })))
    }

    /// What comes of `attempt`; while that `is_refused` and avatars are held in passing, it is made again.
    fn patiently<T>(&self, attempt: impl Fn() -> T, is_refused: impl Fn(&T) -> bool) -> T {
        let until = Instant::now() + PATIENCE;
        loop {
            let outcome = attempt();
            if !is_refused(&outcome) || Instant::now() >= until || !self.is_any_held_in_passing() {
                return outcome;
            }
            sleep(GLANCE);
        }
    }

    fn is_any_held_in_passing(&self) -> bool {
        let leaving = self.lock().leaving();
        leaving.iter().any(|avatar| avatar.usage().sessions == 0)
            || self.lock().loaded.values().any(Resident::is_held_in_passing)
    }

    fn evict_from(&self, device: DeviceId, id: &AvatarId, why: &LoadError) -> bool {
        let mut state = self.lock();
        let there = state.loaded.values().filter(|resident| resident.on(device).is_some());
        let candidates = there.filter_map(Resident::candidate).filter(|candidate| candidate.id != *id).collect();
        let Some(victim) = eviction::idle(candidates, self.limits.evict).into_iter().next() else { return false };
        let gone = state.loaded.remove(&victim.id);
        state.counts.evicted += 1;
        drop(state);
        tracing::info!(avatar = %victim.id, "evicted to make room for {id}: {why}");
        drop(gone);
        true
    }

    fn promise(&self, id: &AvatarId, needed: u64) -> Result<Promise<'_>, RegistryError> {
        // Declared before the lock, so that what they are the last to hold is let go of after it.
        let (mut gone, mut leaving) = (Vec::new(), Vec::new());
        let mut state = self.lock();
        leaving.extend(state.leaving());
        if let Some(budget) = self.limits.max_resident_bytes {
            if needed > budget {
                return Err(RegistryError::TooLarge { id: id.clone(), needed, budget });
            }
            let candidates = state.loaded.values().filter_map(Resident::candidate).collect();
            let taken = state.promised.saturating_add(resident_bytes(&leaving));
            let free = budget.saturating_sub(taken);
            let victims = eviction::victims(candidates, needed, free, self.limits.evict).map_err(|in_use| {
                RegistryError::NoRoom { id: id.clone(), needed, in_use: in_use.saturating_add(taken), budget }
            })?;
            for victim in victims {
                tracing::info!(avatar = %victim, "evicted to make room for {id}");
                gone.extend(state.loaded.remove(&victim));
                state.counts.evicted += 1;
            }
        }
        state.promised += needed;
        Ok(Promise { registry: self, bytes: needed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::avatar::registry::ResidencyLimits;
    use crate::avatar::{EvictPolicy, Keep};

    #[test]
    fn what_is_promised_to_loads_under_way_is_told_to_whoever_finds_no_room() {
        let limits = ResidencyLimits { max_resident_bytes: Some(10), evict: EvictPolicy::Lru };
        let registry = Registry::new("/nowhere".into(), [], limits, Keep::Pixels);
        let [first, second] = ["first", "second"].map(|id| id.parse().unwrap());
        let promise = registry.make_room(&first, 6).unwrap();
        match registry.make_room(&second, 5) {
            Err(RegistryError::NoRoom { needed: 5, in_use: 6, budget: 10, .. }) => {}
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("11 bytes of 10"),
        }
        drop(promise);
        assert!(registry.make_room(&second, 5).is_ok());
    }
}
