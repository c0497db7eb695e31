//! Which waiting work makes the next batch, and whether it leaves now: a pure function of the time, what waits, and what is
//! known of costs. No clock, no locks, no buffers, so that another policy replaces this file alone.
//!
//! - Live work has a time it is due. The earliest due goes first, whichever session it is of; what is overdue counts as due
//!   now, so that being later gives no advantage, and of equals the session that was served longest ago goes first.
//! - Windows are due before the frames that wait for them, so they need no rule of their own.
//! - Work without a due time fills what is left, the session served longest ago first. When live work leaves nothing, it still
//!   gets one small batch in [`WHOLE_SHARE`] times its cost.
//! - A batch holds one network's work. It leaves when it is full, when no other batch is under way, or when waiting any
//!   longer would make its first item late; where batches do not pay, at once.

use std::cmp::Ordering;
use std::time::{Duration, Instant};

use crate::backend::ModelId;

/// Work without a due time gets at least one part in so many of a lane, whatever live work waits: 5 %.
pub const WHOLE_SHARE: u32 = 20;

/// Time between the start of a batch and its due time that is kept for what no estimate knows.
const SAFETY: Duration = Duration::from_millis(2);

/// The longest batch without a due time while live sessions are open: what live work may have to wait for it.
const WHOLE_BATCH: Duration = Duration::from_millis(20);

/// What may share a batch: the same kind of work for the same network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BatchKey {
    /// Mel windows for this audio encoder, whichever avatars they are for.
    Encode(ModelId),
    /// Frames of the avatar with this generator.
    Render(ModelId),
}

/// How much fits in one batch, and whether larger ones are worth waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Mel windows per batch, at least 1.
    pub max_windows: usize,
    /// Frames per batch, at least 1.
    pub max_frames: usize,
    /// Whether a larger batch takes less time per item: on a GPU, not on the CPU.
    pub batching_pays: bool,
}

impl Limits {
    /// The most items of `key` in one batch.
    #[must_use]
    pub fn most(&self, key: BatchKey) -> usize {
        match key {
            BatchKey::Encode(_) => self.max_windows.max(1),
            BatchKey::Render(_) => self.max_frames.max(1),
        }
    }
}

/// One waiting item, as far as the policy sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Kind and network.
    pub key: BatchKey,
    /// When it is due; none for work that nobody watches live.
    pub due: Option<Instant>,
    /// When its session was last served: a count of batches, smaller is longer ago.
    pub served: u64,
}

/// What else matters.
#[derive(Debug, Clone, Copy)]
pub struct Situation {
    pub now: Instant,
    /// Batches under way.
    pub in_flight: usize,
    /// Whether live sessions are open, though none of their work may wait.
    pub live_open: bool,
    /// When the last batch without a due time left, or the engine started.
    pub last_whole: Instant,
}

/// The next batch: the first `len` items of `key` in order of [`rank`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchPlan {
    /// Kind and network.
    pub key: BatchKey,
    /// 1 to the limit of the kind.
    pub len: usize,
    /// Whether items without a due time go first in it: their guaranteed share.
    pub owed: bool,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Run this batch.
    Run(BatchPlan),
    /// Ask again at this time, or when more work waits.
    WaitUntil(Instant),
    /// Nothing waits.
    Idle,
}

/// The order of two waiting items at `now`, the one to run first being less. With `owed`, work without a due time comes first.
#[must_use]
pub fn rank(a: &Waiting, b: &Waiting, now: Instant, owed: bool) -> Ordering {
    let class = |item: &Waiting| item.due.is_some() == owed;
    let due = |item: &Waiting| item.due.map_or(now, |due| due.max(now));
    class(a).cmp(&class(b)).then(due(a).cmp(&due(b))).then(a.served.cmp(&b.served))
}

/// What to do with `waiting`, oldest first. `cost` estimates the time of a batch of so many items; zero when unknown.
pub fn decide(
    waiting: impl Iterator<Item = Waiting> + Clone,
    situation: &Situation,
    limits: &Limits,
    cost: impl Fn(BatchKey, usize) -> Duration,
) -> Decision {
    let now = situation.now;
    let first = |owed| waiting.clone().min_by(|a, b| rank(a, b, now, owed));
    let Some(mut best) = first(false) else { return Decision::Idle };
    let mut owed = false;
    if best.due.is_some()
        && let Some(whole) = first(true).filter(|item| item.due.is_none())
        && now.saturating_duration_since(situation.last_whole) >= cost(whole.key, 1) * WHOLE_SHARE
    {
        (best, owed) = (whole, true);
    }
    let key = best.key;
    let most = limits.most(key);
    let of_key = waiting.filter(|item| item.key == key);
    let len = match best.due {
        Some(due) => {
            let live = of_key.clone().filter(|item| item.due.is_some()).take(most).count();
            let all = of_key.take(most).count();
            // Others come along where they make nobody late.
            if now + cost(key, all) + SAFETY <= due { all } else { live }
        }
        None if owed || situation.live_open => {
            let within = (1..=most).rev().find(|&len| cost(key, len) <= WHOLE_BATCH).unwrap_or(1);
            of_key.filter(|item| item.due.is_none()).take(within).count()
        }
        None => of_key.take(most).count(),
    };
    if limits.batching_pays && situation.in_flight > 0 && len < most && !owed {
        // The batch under way keeps the device busy; until it ends, or this one would be late, others may join.
        let latest = match best.due {
            Some(due) => due.checked_sub(cost(key, len) + SAFETY).unwrap_or(now),
            None => now + cost(key, len).max(SAFETY),
        };
        if now < latest {
            return Decision::WaitUntil(latest);
        }
    }
    Decision::Run(BatchPlan { key, len, owed })
}

#[cfg(test)]
mod tests;
