//! Viewers and a device in virtual time.

use std::ops::Range;

use super::*;

/// One session.
pub struct Viewer {
    /// Time between its frames; none for a whole file, whose frames all wait from the start.
    pub period: Option<Duration>,
    /// Frames whose sound comes at a time.
    pub burst: u32,
    /// Whether nothing is said.
    pub silent: bool,
    /// Whose frames it shows; its own avatar's otherwise.
    pub avatar: Option<u64>,
    pub queued: u32,
    pub done: u32,
    pub misses: u32,
    pub served: u64,
}

impl Viewer {
    pub fn live(period_ms: u32) -> Self {
        let period = Some(period_ms * MS);
        Self { period, burst: 1, silent: false, avatar: None, queued: 0, done: 0, misses: 0, served: 0 }
    }

    pub fn silent(period_ms: u32) -> Self {
        Self { silent: true, ..Self::live(period_ms) }
    }

    pub fn whole() -> Self {
        Self { period: None, queued: u32::MAX, ..Self::live(1) }
    }

    /// Queues the frames whose sound has come by `now`.
    fn hear(&mut self, start: Instant, now: Instant) {
        let Some(period) = self.period else { return };
        // A burst comes when its last frame's sound is there.
        while start + period * (self.queued + self.burst - 1) <= now {
            self.queued += self.burst;
        }
    }
}

/// What draws them.
pub struct Device {
    pub lanes: usize,
    pub limits: Limits,
    /// Time of a batch of so many frames.
    pub cost: fn(u32) -> Duration,
    /// It stands still from here to there.
    pub stall: Range<Duration>,
}

impl Device {
    /// Lanes that draw one frame at a time, in `cost`, which is 8 or 10 ms.
    pub fn cpu(lanes: usize, cost: Duration) -> Self {
        let cost: fn(u32) -> Duration = if cost == 8 * MS { |len| 8 * MS * len } else { |len| 10 * MS * len };
        Self { lanes, limits: CPU, cost, stall: Duration::ZERO..Duration::ZERO }
    }

    /// Serves `viewers` for `length`; gives the number of batches.
    pub fn run(&self, viewers: &mut [Viewer], length: Duration) -> u32 {
        let start = Instant::now();
        let (mut now, mut batches, mut last_whole, mut last_silence) = (start, 0, start, start);
        let mut free_at = vec![start; self.lanes];
        while now - start < length {
            viewers.iter_mut().for_each(|viewer| viewer.hear(start, now));
            let waiting = waiting(viewers, start);
            let standing = (start + self.stall.start..start + self.stall.end).contains(&now);
            let in_flight = free_at.iter().filter(|&&at| at > now).count();
            let lane = free_at.iter().position(|&at| at <= now).filter(|_| !standing);
            let situation = Situation { now, in_flight, live_open: true, last_whole, last_silence };
            let cost = |_, len| (self.cost)(u32::try_from(len).unwrap());
            let decision = decide(waiting.iter().map(|(_, item)| *item), &situation, &self.limits, cost);
            let (Some(lane), Decision::Run(plan)) = (lane, decision) else {
                now += MS;
                continue;
            };
            batches += 1;
            let mut left: Vec<_> = waiting.into_iter().filter(|(_, item)| item.key == plan.key).collect();
            let done_at = now + cost(plan.key, plan.len);
            for _ in 0..plan.len {
                // As the queue does: whoever has just been served comes after the others.
                let served = |id: usize| viewers[id].served;
                let rank = |a: &(usize, Waiting), b: &(usize, Waiting)| {
                    let [a, b] = [a, b].map(|(id, item)| Waiting { served: served(*id), ..*item });
                    rank(&a, &b, now, plan.owed)
                };
                let at = (0..left.len()).min_by(|&a, &b| rank(&left[a], &left[b])).unwrap();
                let (id, item) = left.remove(at);
                let viewer = &mut viewers[id];
                (viewer.done, viewer.served) = (viewer.done + 1, batches.into());
                viewer.misses += u32::from(item.due.is_some_and(|due| done_at > due));
                match item.class() {
                    Class::Live => {}
                    Class::Silence => last_silence = now,
                    Class::Whole => last_whole = now,
                }
            }
            free_at[lane] = done_at;
        }
        batches
    }
}

/// At most eight frames of each, as the outbox has it.
fn waiting(viewers: &[Viewer], start: Instant) -> Vec<(usize, Waiting)> {
    let mut waiting = Vec::new();
    for (id, viewer) in viewers.iter().enumerate() {
        for frame in viewer.done..viewer.queued.min(viewer.done + 8) {
            let due = viewer.period.map(|period| start + period * frame + 150 * MS);
            let key = render(viewer.avatar.unwrap_or(id as u64));
            waiting.push((id, Waiting { key, due, gives_way: viewer.silent, served: viewer.served }));
        }
    }
    waiting
}
