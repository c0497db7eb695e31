//! Whose speech is being drawn, and who waits for that: in a call with idle frames an utterance can begin a moment later, and
//! nobody sees more than a mouth that opens later. Better that than all mouths stuttering.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Turns of one device. A turn is held from an utterance's first frame until its last one is drawn.
#[derive(Debug, Default)]
pub struct Turns {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Sessions that may ask.
    sessions: usize,
    /// Who speaks, and the lanes that keeps busy.
    speaking: Vec<(usize, f64)>,
    /// Who waits, longest first.
    waiting: VecDeque<(usize, f64)>,
}

impl Turns {
    /// Makes room for one more session, so that turns never allocate while frames are drawn; [`Self::release`] follows.
    pub fn reserve(&self) {
        let mut state = self.lock();
        state.sessions += 1;
        let (speaking, waiting) = (state.sessions - state.speaking.len(), state.sessions - state.waiting.len());
        state.speaking.reserve(speaking);
        state.waiting.reserve(waiting);
    }

    /// Gives back what [`Self::reserve`] took; `session` neither speaks nor waits any more.
    pub fn release(&self, session: usize) {
        self.end(session);
        self.lock().sessions -= 1;
    }

    /// Whether `session`, which keeps `lanes` lanes busy while it speaks, may begin so that at most `most` lanes are: then it
    /// has its turn, and otherwise its place in the queue until it asks again. Whoever is alone may begin in any case.
    pub fn ask(&self, session: usize, lanes: f64, most: f64) -> bool {
        let mut state = self.lock();
        let place = state.waiting.iter().position(|(waiting, _)| *waiting == session);
        let before = state.waiting.iter().take(place.unwrap_or(state.waiting.len()));
        let taken: f64 = state.speaking.iter().chain(before).map(|(_, lanes)| lanes).sum();
        let begins = taken == 0.0 || taken + lanes <= most;
        match (begins, place) {
            (true, Some(place)) => drop(state.waiting.remove(place)),
            (false, None) => state.waiting.push_back((session, lanes)),
            _ => {}
        }
        if begins {
            state.speaking.push((session, lanes));
        }
        begins
    }

    /// `session` speaks, whether there is room or not: it cannot wait.
    pub fn take(&self, session: usize, lanes: f64) {
        self.lock().speaking.push((session, lanes));
    }

    /// `session` neither speaks nor waits any more.
    pub fn end(&self, session: usize) {
        let mut state = self.lock();
        state.speaking.retain(|(other, _)| *other != session);
        state.waiting.retain(|(other, _)| *other != session);
    }

    /// Sessions that speak, and sessions that wait to.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        let state = self.lock();
        (state.speaking.len(), state.waiting.len())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_given_while_there_are_lanes_and_in_the_order_of_asking() {
        let turns = Turns::default();
        (0..5).for_each(|_| turns.reserve());
        let ask = |session| turns.ask(session, 0.4, 1.0);
        assert!(ask(1) && ask(2));
        assert!(!ask(3) && !ask(4), "a third would be 1.2 lanes");
        turns.end(1);
        assert!(!ask(4), "3 asked first");
        assert!(!ask(5));
        assert!(ask(3));
        assert_eq!(turns.count(), (2, 2));
        turns.end(4);
        turns.end(2);
        assert!(ask(5), "who has gone holds nobody up");
        assert_eq!(turns.count(), (2, 0));
    }

    #[test]
    fn a_small_one_may_pass_a_large_one_only_where_both_fit() {
        let turns = Turns::default();
        assert!(turns.ask(1, 0.5, 1.0));
        assert!(!turns.ask(2, 0.6, 1.0));
        assert!(!turns.ask(3, 0.1, 1.0), "or the large one would wait for ever");
        turns.end(1);
        assert!(turns.ask(3, 0.1, 1.0), "beside the large one, whenever that comes");
        assert!(turns.ask(2, 0.6, 1.0));
    }

    #[test]
    fn who_cannot_wait_counts_and_who_is_alone_begins() {
        let turns = Turns::default();
        assert!(turns.ask(1, 7.0, 1.0));
        turns.end(1);
        turns.take(2, 0.9);
        assert!(!turns.ask(3, 0.2, 1.0));
        turns.end(2);
        assert!(turns.ask(3, 0.2, 1.0));
    }
}
