//! The waiting work of all sessions, behind one lock.
//!
//! Bounded by construction: a session queues no more windows than its feature history holds and no more
//! frames than its outbox has room for, and room for both is reserved when it opens.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::costs::Costs;
use super::health::Health;
use super::policy::{self, BatchKey, Decision, Limits, Situation, Waiting};
use super::turns::Turns;
use super::work::{Work, WorkKind};
use crate::avatar::LoadedAvatar;
use crate::session::{Pace, SessionCore};
use crate::telemetry::{DeviceRecorder, Recorder};

mod extract;
#[cfg(test)]
mod tests;

use extract::extract;

/// How often a lane without work looks for networks to let go of.
const REST: Duration = Duration::from_secs(1);

/// Windows and frames waiting for a slot.
pub struct WorkQueue {
    limits: Limits,
    lanes: usize,
    turns: Turns,
    costs: Costs,
    crowded_costs: Costs,
    recorder: Arc<Recorder>,
    device: Arc<DeviceRecorder>,
    health: Arc<Health>,
    state: Mutex<State>,
    arrived: Condvar,
    rested: Condvar,
}

struct State {
    /// In order of arrival; none is missing but while a batch is taken out.
    work: Vec<Option<Work>>,
    reserved: usize,
    /// Sessions by whether their frames are due, and whether nobody sees them.
    open: [[usize; 2]; 2],
    in_flight: usize,
    /// Batches that have left.
    batches: u64,
    last_whole: Instant,
    last_silence: Instant,
    stopping: bool,
    /// Times that all lanes have been asked to rest, and how many have not yet the last time.
    rests: u64,
    unrested: usize,
    /// What waits for the next batch's network, while it is chosen.
    ranked: Vec<(usize, Waiting)>,
}

impl State {
    fn open_of(&mut self, pace: Pace) -> &mut usize {
        &mut self.open[usize::from(pace.budget().is_some())][usize::from(pace.is_unseen())]
    }
}

impl WorkQueue {
    /// An empty queue for `lanes` lanes of a device of this `health` that forms batches within `limits`, whose sessions are recorded in `recorder`.
    #[must_use]
    pub fn new(lanes: usize, limits: Limits, recorder: Arc<Recorder>, health: Arc<Health>) -> Arc<Self> {
        let state = State {
            work: Vec::new(),
            reserved: 0,
            open: [[0; 2]; 2],
            in_flight: 0,
            batches: 0,
            last_whole: Instant::now(),
            last_silence: Instant::now(),
            stopping: false,
            rests: 0,
            unrested: 0,
            ranked: Vec::new(),
        };
        Arc::new(Self {
            limits,
            lanes,
            turns: Turns::default(),
            costs: Costs::default(),
            crowded_costs: Costs::default(),
            recorder,
            device: DeviceRecorder::new(),
            health,
            state: Mutex::new(state),
            arrived: Condvar::new(),
            rested: Condvar::new(),
        })
    }

    /// What batches have cost so far.
    #[must_use]
    pub fn costs(&self) -> &Costs {
        &self.costs
    }

    /// What batches have cost that ran while every lane had one: what they cost when the device is full.
    #[must_use]
    pub fn crowded_costs(&self) -> &Costs {
        &self.crowded_costs
    }

    /// Lanes that carry its batches.
    #[must_use]
    pub fn lanes(&self) -> usize {
        self.lanes
    }

    /// Whose speech is being drawn.
    #[must_use]
    pub fn turns(&self) -> &Turns {
        &self.turns
    }

    /// Lanes that speech of `avatar` keeps busy, as measured while every lane was; `None` before it has been.
    #[must_use]
    pub fn lanes_per_stream(&self, avatar: &LoadedAvatar) -> Option<f64> {
        let models = avatar.models();
        let frame = self.crowded_costs.best_per_item(BatchKey::Render(models.generator))?;
        let window = self.crowded_costs.best_per_item(BatchKey::Encode(models.encoder)).unwrap_or_default();
        Some((frame + window) * f64::from(avatar.fps()))
    }

    /// Where its sessions record what they do.
    #[must_use]
    pub fn recorder(&self) -> &Arc<Recorder> {
        &self.recorder
    }

    /// Where the queue and its lanes record what they do.
    #[must_use]
    pub fn device_recorder(&self) -> &Arc<DeviceRecorder> {
        &self.device
    }

    /// Whether its lanes still carry anything.
    #[must_use]
    pub fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Makes room for a session's work, so that queueing never allocates, and counts it as open.
    pub(crate) fn reserve(&self, items: usize, pace: Pace) {
        let mut state = self.lock();
        state.reserved += items;
        *state.open_of(pace) += 1;
        let missing = state.reserved.saturating_sub(state.work.len());
        state.work.reserve(missing);
        let missing = state.reserved.saturating_sub(state.ranked.len());
        state.ranked.reserve(missing);
    }

    /// Gives back what [`Self::reserve`] took.
    pub(crate) fn release(&self, items: usize, pace: Pace) {
        let mut state = self.lock();
        state.reserved -= items;
        *state.open_of(pace) -= 1;
    }

    /// Queues work, oldest first.
    pub(crate) fn push(&self, work: Work) {
        self.lock().work.push(Some(work));
        self.arrived.notify_one();
    }

    /// Drops everything `session` has waiting.
    pub(crate) fn forget(&self, session: &SessionCore) {
        self.lock().work.retain(|work| work.as_ref().is_some_and(|work| !work.is_of(session)));
    }

    /// Drops the frames of `session` in which its mouth would have closed.
    pub(crate) fn forget_closing(&self, session: &SessionCore) {
        let is_closing = |work: &Work| work.is_of(session) && matches!(work.kind, WorkKind::Closing { .. });
        self.lock().work.retain(|work| work.as_ref().is_some_and(|work| !is_closing(work)));
    }

    /// Has every lane let go of what was unloaded, and waits for that: until those at work have come to the end of their batch, for a
    /// second at most. Whoever asks meanwhile has them all do so again, for both.
    pub(crate) fn rest(&self) {
        let mut state = self.lock();
        state.rests += 1;
        state.unrested = self.lanes;
        self.arrived.notify_all();
        let resting = |state: &mut State| state.unrested > 0 && !state.stopping;
        drop(self.rested.wait_timeout_while(state, REST, resting).unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits until a batch is to leave and moves it into `batch`, which must be empty and roomy; [`Self::done`] follows.
    /// `None` once the queue has stopped and nothing waits. While nothing does, `rest` is called every [`REST`], and whenever
    /// [`Self::rest`] asks for it; `rests` is the lane's count of that, 0 at first.
    pub(crate) fn take(&self, batch: &mut Vec<Work>, rests: &mut u64, mut rest: impl FnMut()) -> Option<BatchKey> {
        let mut state = self.lock();
        loop {
            if *rests != state.rests {
                *rests = state.rests;
                drop(state);
                rest();
                state = self.lock();
                if *rests == state.rests {
                    state.unrested = state.unrested.saturating_sub(1);
                    self.rested.notify_all();
                }
                continue;
            }
            let now = Instant::now();
            let situation = Situation {
                now,
                in_flight: state.in_flight,
                live_open: state.open[1] != [0; 2],
                last_whole: state.last_whole,
                last_silence: state.last_silence,
            };
            let waiting = state.work.iter().flatten().map(Work::waiting);
            match policy::decide(waiting, &situation, &self.limits, |key, len| self.costs.batch(key, len)) {
                Decision::Run(plan) => {
                    extract(&mut state, plan, now, batch);
                    let more = !state.work.is_empty();
                    drop(state);
                    if more {
                        self.arrived.notify_one();
                    }
                    return Some(plan.key);
                }
                // Nobody adds to a batch any more.
                Decision::WaitUntil(_) if state.stopping => state.in_flight = 0,
                Decision::WaitUntil(until) => {
                    let patience = until.saturating_duration_since(now);
                    let (again, _) = self.arrived.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner);
                    state = again;
                }
                Decision::Idle if state.stopping => return None,
                Decision::Idle => {
                    let (again, waited) =
                        self.arrived.wait_timeout(state, REST).unwrap_or_else(PoisonError::into_inner);
                    state = again;
                    if waited.timed_out() {
                        drop(state);
                        rest();
                        state = self.lock();
                    }
                }
            }
        }
    }

    /// A batch that [`Self::take`] gave has been delivered. Gives how many were in flight, it included.
    pub(crate) fn done(&self) -> usize {
        let mut state = self.lock();
        let in_flight = state.in_flight;
        state.in_flight = in_flight.saturating_sub(1);
        drop(state);
        self.arrived.notify_one();
        in_flight
    }

    /// Lets the lanes end once nothing waits.
    pub(crate) fn stop(&self) {
        self.lock().stopping = true;
        self.arrived.notify_all();
    }

    /// Windows and frames waiting now.
    #[must_use]
    pub fn waiting(&self) -> (usize, usize) {
        let state = self.lock();
        let windows = state.work.iter().flatten().filter(|work| work.is_window()).count();
        (windows, state.work.len() - windows)
    }

    /// Whether nothing waits and nothing is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let state = self.lock();
        state.work.is_empty() && state.in_flight == 0
    }

    /// Live sessions open now, and the others; without those that nobody sees.
    #[must_use]
    pub fn open_sessions(&self) -> (usize, usize) {
        let [[whole, _], [live, _]] = self.lock().open;
        (live, whole)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
