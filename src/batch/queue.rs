//! The waiting work of all sessions, behind one lock.
//!
//! Bounded by construction: a session queues no more windows than its feature history holds and no more
//! frames than its outbox has room for, and room for both is reserved when it opens.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::policy::{self, BatchKey, BatchPlan, Limits};
use super::work::{Work, WorkKind};
use crate::session::SessionCore;

/// Windows and frames waiting for a slot.
pub struct WorkQueue {
    limits: Limits,
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    windows: VecDeque<Work>,
    frames: VecDeque<Work>,
    reserved_windows: usize,
    reserved_frames: usize,
    stopping: bool,
}

impl WorkQueue {
    /// An empty queue that forms batches within `limits`.
    #[must_use]
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, state: Mutex::default(), arrived: Condvar::new() })
    }

    /// The largest batches it forms.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Makes room for a session's work, so that queueing never allocates.
    pub(crate) fn reserve(&self, windows: usize, frames: usize) {
        let mut state = self.lock();
        state.reserved_windows += windows;
        state.reserved_frames += frames;
        let (windows, frames) = (state.reserved_windows, state.reserved_frames);
        let queued = state.windows.len();
        state.windows.reserve(windows.saturating_sub(queued));
        let queued = state.frames.len();
        state.frames.reserve(frames.saturating_sub(queued));
    }

    /// Gives back what [`Self::reserve`] took.
    pub(crate) fn release(&self, windows: usize, frames: usize) {
        let mut state = self.lock();
        state.reserved_windows -= windows;
        state.reserved_frames -= frames;
    }

    /// Queues work, oldest first.
    pub(crate) fn push(&self, work: Work) {
        let mut state = self.lock();
        match work.kind {
            WorkKind::Window(_) => state.windows.push_back(work),
            WorkKind::Frame(_) => state.frames.push_back(work),
        }
        drop(state);
        self.arrived.notify_one();
    }

    /// Drops everything `session` has waiting.
    pub(crate) fn forget(&self, session: &SessionCore) {
        let mut state = self.lock();
        let other = |work: &Work| !std::ptr::eq(Arc::as_ptr(&work.session), session);
        state.windows.retain(other);
        state.frames.retain(other);
    }

    /// Waits for work and moves the next batch into `batch`, which must be empty and roomy.
    /// `None` once the queue has stopped and nothing waits.
    pub(crate) fn take(&self, batch: &mut Vec<Work>) -> Option<BatchKey> {
        let mut state = self.lock();
        loop {
            let plan = policy::next_batch(
                state.windows.iter().map(Work::model),
                state.frames.iter().map(Work::model),
                &self.limits,
            );
            if let Some(plan) = plan {
                extract(&mut state, plan, batch);
                let more = !state.windows.is_empty() || !state.frames.is_empty();
                drop(state);
                if more {
                    self.arrived.notify_one();
                }
                return Some(plan.key);
            }
            if state.stopping {
                return None;
            }
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
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
        (state.windows.len(), state.frames.len())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Moves the planned items out, keeping the order of the rest.
fn extract(state: &mut State, plan: BatchPlan, batch: &mut Vec<Work>) {
    let (queue, model) = match plan.key {
        BatchKey::Encode(model) => (&mut state.windows, model),
        BatchKey::Render(model) => (&mut state.frames, model),
    };
    let mut index = 0;
    while batch.len() < plan.len {
        match queue.get(index) {
            Some(work) if work.model() == model => batch.extend(queue.remove(index)),
            Some(_) => index += 1,
            None => break,
        }
    }
}
