//! How much of the GPU's memory is free, looked up by a thread of its own: a GPU that does not answer must hold up nobody who asks for figures.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::backend::{BackendError, DeviceMemory};

/// What an answer may take before the last one has to do. A healthy GPU takes a fraction of a millisecond, or as long as its driver is at
/// something else.
const PATIENCE: Duration = Duration::from_millis(100);

/// The figures, for whoever asks.
pub(super) struct Gauge(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    last: Option<DeviceMemory>,
    /// How often it was asked, and how often before the look that gave `last` began.
    asked: u64,
    answered: u64,
    is_looking: bool,
    is_closed: bool,
}

impl Gauge {
    /// One that says `first` until `look` has given something else.
    ///
    /// # Errors
    /// [`BackendError::Thread`].
    pub(super) fn start(
        first: DeviceMemory,
        look: impl FnMut() -> Option<DeviceMemory> + Send + 'static,
    ) -> Result<Self, BackendError> {
        let state = State { last: Some(first), asked: 0, answered: 0, is_looking: false, is_closed: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let its = Arc::clone(&shared);
        let answer = move || its.answer(look);
        std::thread::Builder::new().name("gpu-memory".to_owned()).spawn(answer).map_err(BackendError::Thread)?;
        Ok(Self(shared))
    }

    /// The figures of the last look; has another begun.
    pub(super) fn last(&self) -> Option<DeviceMemory> {
        let mut state = self.0.lock();
        self.0.ask(&mut state);
        state.last
    }

    /// Waits until [`Self::last`] gives the figures of now, for [`PATIENCE`] at most.
    pub(super) fn look(&self) {
        let mut state = self.0.lock();
        let turn = self.0.ask(&mut state);
        let waits = |state: &mut State| state.answered < turn;
        drop(self.0.changed.wait_timeout_while(state, PATIENCE, waits));
    }
}

impl Drop for Gauge {
    /// A look that is under way may end within [`PATIENCE`], so that none meets the end of the process; the thread, which may be waiting for
    /// the GPU, is not waited for.
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_closed = true;
        self.0.changed.notify_all();
        drop(self.0.changed.wait_timeout_while(state, PATIENCE, |state| state.is_looking));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, state: &mut State) -> u64 {
        state.asked += 1;
        self.changed.notify_all();
        state.asked
    }

    fn answer(&self, mut look: impl FnMut() -> Option<DeviceMemory>) {
        let mut state = self.lock();
        loop {
            let is_idle = |state: &mut State| state.asked == state.answered && !state.is_closed;
            state = self.changed.wait_while(state, is_idle).unwrap_or_else(PoisonError::into_inner);
            if state.is_closed {
                return;
            }
            let turn = state.asked;
            state.is_looking = true;
            drop(state);
            let found = look();
            state = self.lock();
            (state.last, state.answered, state.is_looking) = (found, turn, false);
            self.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;

    fn free(free_bytes: u64) -> DeviceMemory {
        DeviceMemory { free_bytes, total_bytes: 100 }
    }

    #[test]
    fn a_gpu_that_does_not_answer_holds_up_nobody_and_is_believed_when_it_does() {
        let (answer, answers) = mpsc::channel();
        let gauge = Gauge::start(free(1), move || answers.recv().ok()).unwrap();
        let read = || {
            gauge.look();
            gauge.last()
        };
        answer.send(free(2)).unwrap();
        assert_eq!(read(), Some(free(2)));
        let begun = Instant::now();
        (0..100).for_each(|_| assert_eq!(gauge.last(), Some(free(2))));
        assert!(begun.elapsed() < 50 * PATIENCE, "it was waited for: {:?}", begun.elapsed());
        let begun = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert_eq!(read(), Some(free(2)), "the last"));
            }
        });
        assert!(begun.elapsed() >= PATIENCE);
        // The look that is under way, and one for those who have asked since.
        answer.send(free(3)).unwrap();
        answer.send(free(4)).unwrap();
        gauge.look();
        drop(answer);
        assert_eq!(gauge.0.lock().last, Some(free(4)));
        assert_eq!(read(), None);
    }

    #[test]
    fn one_that_goes_waits_for_the_look_under_way_but_not_for_ever() {
        let (answer, answers) = mpsc::channel::<()>();
        let gauge = Gauge::start(free(1), move || {
            let _ = answers.recv();
            None
        });
        let gauge = gauge.unwrap();
        assert_eq!(gauge.last(), Some(free(1)));
        while !gauge.0.lock().is_looking {
            std::thread::yield_now();
        }
        let begun = Instant::now();
        drop(gauge);
        assert!(begun.elapsed() >= PATIENCE);
        drop(answer);
    }

    #[test]
    fn the_thread_ends_with_its_gauge_and_drops_what_it_looks_with() {
        let (kept, gone) = mpsc::channel::<()>();
        let gauge = Gauge::start(free(1), move || {
            let _ = &kept;
            Some(free(2))
        });
        drop(gauge.unwrap());
        assert_eq!(gone.recv_timeout(Duration::from_secs(60)), Err(mpsc::RecvTimeoutError::Disconnected));
    }
}
