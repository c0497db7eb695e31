//! Which idle avatars to let go so that another fits: a pure function.

use super::{AvatarId, LoadedAvatar};

/// Whom to let go first among the avatars nobody is watching.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
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
    /// Whether somebody watches it, holds it otherwise, or waits until it can be drawn.
    pub in_use: bool,
    /// Sessions it has had.
    pub requests: u64,
    /// When it was last used or loaded: Unix seconds.
    pub touched_unix_s: i64,
}

impl Candidate {
    /// The avatar as it is now.
    #[must_use]
    pub fn of(avatar: &LoadedAvatar) -> Self {
        let usage = avatar.usage();
        Self {
            id: avatar.id().clone(),
            bytes: avatar.resident_bytes(),
            in_use: usage.sessions > 0 || !avatar.is_ready(),
            requests: usage.requests,
            touched_unix_s: usage.last_used_unix_s.max(avatar.loaded_unix_s()),
        }
    }
}

/// Those that nobody is watching, the first to go first.
#[must_use]
pub fn idle(mut loaded: Vec<Candidate>, policy: EvictPolicy) -> Vec<Candidate> {
    loaded.retain(|avatar| !avatar.in_use);
    loaded.sort_by_key(|avatar| match policy {
        EvictPolicy::Lru => (0, avatar.touched_unix_s),
        EvictPolicy::Lfu => (avatar.requests, avatar.touched_unix_s),
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
    use super::*;

    fn avatar(id: &str, bytes: u64, in_use: bool, requests: u64, touched_unix_s: i64) -> Candidate {
        Candidate { id: id.parse().unwrap(), bytes, in_use, requests, touched_unix_s }
    }

    fn names(ids: Vec<AvatarId>) -> Vec<String> {
        ids.iter().map(ToString::to_string).collect()
    }

    fn loaded() -> Vec<Candidate> {
        vec![avatar("often", 10, false, 9, 100), avatar("old", 10, false, 2, 50), avatar("watched", 10, true, 1, 10)]
    }

    #[test]
    fn nothing_goes_while_there_is_room() {
        assert_eq!(victims(loaded(), 10, 40, EvictPolicy::Lru), Ok(vec![]));
    }

    #[test]
    fn the_policies_pick_different_victims_and_never_a_watched_one() {
        let mut avatars = loaded();
        avatars.push(avatar("rare", 10, false, 1, 200));
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
