//! Which waiting work makes the next batch, and whether it leaves now: a pure function of the time, what waits, and what is
//! known of costs. No clock, no locks, no buffers, so that another policy replaces this file alone.
//!
//! - Live work has a time it is due. The earliest due goes first, whichever session it is of; what is overdue counts as due
//!   now, so that being later gives no advantage, and of equals the session that was served longest ago goes first.
//! - Windows are due before the frames that wait for them, so they need no rule of their own.
//! - Silent pictures that an avatar has not got yet are due like all live work, but give way to what is due up to [`GIVES_WAY`] later:
//!   a face that stands still for a moment is less of a fault than a mouth that stutters.
//! - Work without a due time fills what is left, the session served longest ago first.
//! - When other live work leaves nothing to silent pictures, they still get one small batch in [`LEAST_SHARE`] times its cost. So does
//!   work without a due time.
//! - A batch holds one network's work. It leaves when it is full, when no other batch is under way, or when waiting any
//!   longer would make its first item late; where batches do not pay, at once.

use std::cmp::Ordering;
use std::time::{Duration, Instant};

use crate::backend::ModelId;

/// Silent pictures get at least one part in so many of a lane, and so does work without a due time, whatever else waits: 5 %.
pub const LEAST_SHARE: u32 = 20;

/// What is said is drawn before silent pictures that are due so much earlier: about as long as its frames are known before they are due.
pub const GIVES_WAY: Duration = Duration::from_millis(150);

/// Time between the start of a batch and its due time that is kept for what no estimate knows.
const SAFETY: Duration = Duration::from_millis(2);

/// The longest batch that is a guaranteed share, or without a due time while live sessions are open: what live work may have to wait for it.
const SMALL_BATCH: Duration = Duration::from_millis(20);

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
    /// Whether it is a silent picture, or what those need.
    pub gives_way: bool,
    /// When its session was last served: a count of batches, smaller is longer ago.
    pub served: u64,
}

/// Who the work is for, the more urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Somebody watches what is said.
    Live,
    /// Somebody watches while nothing is said.
    Silence,
    /// Nobody waits for a single frame.
    Whole,
}

impl Waiting {
    /// Who it is for.
    #[must_use]
    pub fn class(&self) -> Class {
        match self.due {
            None => Class::Whole,
            Some(_) if self.gives_way => Class::Silence,
            Some(_) => Class::Live,
        }
    }
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
    /// The same of the last batch with a silent picture.
    pub last_silence: Instant,
}

/// The next batch: the first `len` items of `key` in order of [`rank`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchPlan {
    /// Kind and network.
    pub key: BatchKey,
    /// 1 to the limit of the kind.
    pub len: usize,
    /// Whose items go first in it, as their guaranteed share.
    pub owed: Option<Class>,
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

/// The order of two waiting items at `now`, the one to run first being less. Work of the class that is `owed` something comes first.
#[must_use]
pub fn rank(a: &Waiting, b: &Waiting, now: Instant, owed: Option<Class>) -> Ordering {
    let comes_later = |item: &Waiting| match owed {
        Some(owed) => item.class() != owed,
        None => item.due.is_none(),
    };
    let grace = |item: &Waiting| if item.gives_way { GIVES_WAY } else { Duration::ZERO };
    let due = |item: &Waiting| item.due.map_or(now, |due| due.max(now) + grace(item));
    comes_later(a).cmp(&comes_later(b)).then(due(a).cmp(&due(b))).then(a.served.cmp(&b.served))
}

/// What to do with `waiting`, oldest first. `cost` estimates the time of a batch of so many items; zero when unknown.
pub fn decide(
    waiting: impl Iterator<Item = Waiting> + Clone,
    situation: &Situation,
    limits: &Limits,
    cost: impl Fn(BatchKey, usize) -> Duration,
) -> Decision {
    let now = situation.now;
    let by_rank = |a: &Waiting, b: &Waiting| rank(a, b, now, None);
    let Some(mut best) = waiting.clone().min_by(by_rank) else { return Decision::Idle };
    let mut owed = None;
    if best.due.is_some() {
        for (class, last) in [(Class::Silence, situation.last_silence), (Class::Whole, situation.last_whole)] {
            let first = || waiting.clone().filter(|item| item.class() == class).min_by(by_rank);
            let share = |item: &Waiting| cost(item.key, 1) * LEAST_SHARE;
            if best.class() != class
                && let Some(item) = first().filter(|item| now.saturating_duration_since(last) >= share(item))
            {
                (best, owed) = (item, Some(class));
                break;
            }
        }
    }
    let key = best.key;
    let most = limits.most(key);
    let of_key = waiting.filter(|item| item.key == key);
    let small = || (1..=most).rev().find(|&len| cost(key, len) <= SMALL_BATCH).unwrap_or(1);
    let all = of_key.clone().take(most).count();
    let len = match best.due {
        None if owed.is_none() && !situation.live_open => all,
        Some(due) if owed.is_none() && now + cost(key, all) + SAFETY <= due => all,
        // Others come along where they make nobody late.
        Some(_) if owed.is_none() => of_key.filter(|item| item.class() <= best.class()).take(most).count(),
        _ => of_key.filter(|item| item.class() == best.class()).take(small()).count(),
    };
    if limits.batching_pays && situation.in_flight > 0 && len < most && owed.is_none() {
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
