//! Which idle avatars to let go so that another fits: a pure function.

use super::{AvatarId, AvatarUse, LoadedAvatar};

/// Whom to let go first among the avatars nobody is watching.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EvictPolicy {
    /// The one least recently used.
    #[default]
    Lru,
    /// The one least frequently used, and of those the least recently used.
    Lfu,
}

/// A loaded avatar as the decision sees it.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Its id.
    pub id: AvatarId,
    /// Bytes it would free.
    pub bytes: u64,
    /// What it has been used for.
    pub usage: AvatarUse,
}

impl Candidate {
    /// The avatar as it is now.
    #[must_use]
    pub fn of(avatar: &LoadedAvatar) -> Self {
        Self { id: avatar.id().clone(), bytes: avatar.resident_bytes(), usage: avatar.usage() }
    }
}

/// Those that nobody is watching, the first to go first.
#[must_use]
pub fn idle(mut loaded: Vec<Candidate>, policy: EvictPolicy) -> Vec<Candidate> {
    loaded.retain(|avatar| avatar.usage.sessions == 0);
    loaded.sort_by_key(|avatar| match policy {
        EvictPolicy::Lru => (0, avatar.usage.last_used_unix_s),
        EvictPolicy::Lfu => (avatar.usage.requests, avatar.usage.last_used_unix_s),
    });
    loaded
}

/// The avatars to let go so that `needed` bytes fit into `budget` beside the others.
///
/// # Errors
/// The bytes of the avatars in use, when letting go of every idle one would not be enough.
pub fn victims(loaded: Vec<Candidate>, needed: u64, budget: u64, policy: EvictPolicy) -> Result<Vec<AvatarId>, u64> {
    let mut held: u64 = loaded.iter().map(|avatar| avatar.bytes).sum();
    let mut gone = Vec::new();
    for avatar in idle(loaded, policy) {
        if held.saturating_add(needed) <= budget {
            break;
        }
        held -= avatar.bytes;
        gone.push(avatar.id);
    }
    if held.saturating_add(needed) <= budget { Ok(gone) } else { Err(held) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn avatar(id: &str, bytes: u64, sessions: usize, requests: u64, last_used_unix_s: i64) -> Candidate {
        let usage = AvatarUse {
            sessions,
            requests,
            frames: 0,
            silent_frames: 0,
            network: Duration::ZERO,
            composite: Duration::ZERO,
            last_used_unix_s,
        };
        Candidate { id: id.parse().unwrap(), bytes, usage }
    }

    fn names(ids: Vec<AvatarId>) -> Vec<String> {
        ids.iter().map(ToString::to_string).collect()
    }

    fn loaded() -> Vec<Candidate> {
        vec![avatar("often", 10, 0, 9, 100), avatar("old", 10, 0, 2, 50), avatar("watched", 10, 1, 1, 10)]
    }

    #[test]
    fn nothing_goes_while_there_is_room() {
        assert_eq!(victims(loaded(), 10, 40, EvictPolicy::Lru), Ok(vec![]));
    }

    #[test]
    fn the_policies_pick_different_victims_and_never_a_watched_one() {
        let mut avatars = loaded();
        avatars.push(avatar("rare", 10, 0, 1, 200));
        assert_eq!(names(victims(avatars.clone(), 10, 40, EvictPolicy::Lru).unwrap()), ["old"]);
        assert_eq!(names(victims(avatars, 10, 40, EvictPolicy::Lfu).unwrap()), ["rare"]);
    }

    #[test]
    fn what_is_watched_bounds_what_can_be_freed() {
        assert_eq!(victims(loaded(), 31, 40, EvictPolicy::Lru), Err(10));
        assert_eq!(names(victims(loaded(), 30, 40, EvictPolicy::Lru).unwrap()), ["old", "often"]);
        assert_eq!(victims(vec![], 41, 40, EvictPolicy::Lru), Err(0));
    }
}
