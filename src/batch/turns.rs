//! Whose speech is being drawn, and who waits for that: in a call with idle frames an utterance can begin a moment later, and
//! nobody sees more than a mouth that opens later. Better that than all mouths stuttering.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Who has stood still for so long, as nobody reads it or it has no sound, takes nothing of the device and holds nobody up.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// Turns of one device. A turn is held from an utterance's first frame until its last one is drawn.
#[derive(Debug, Default)]
pub struct Turns {
    state: Mutex<State>,
}

/// A session among turns, and what the others see of it.
#[derive(Debug, Default)]
pub struct Speaker {
    moves: AtomicU64,
    awaits_device: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// Sessions that may ask.
    sessions: usize,
    speaking: Vec<Turn>,
    /// Longest first.
    waiting: VecDeque<Turn>,
}

#[derive(Debug)]
struct Turn {
    speaker: Arc<Speaker>,
    /// Lanes that its speech keeps busy.
    lanes: f64,
    /// Its moves when they were last looked at.
    moves: u64,
    /// When it was last seen to move.
    moved: Instant,
}

impl Speaker {
    /// It has shown a frame of its speech.
    pub fn moves_on(&self) {
        self.moves.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the device has work of it, so that it is not its own fault if it stands still.
    pub fn set_awaits_device(&self, awaits: bool) {
        self.awaits_device.store(awaits, Ordering::Relaxed);
    }
}

impl Turn {
    fn new(speaker: &Arc<Speaker>, lanes: f64, now: Instant) -> Self {
        Self { speaker: Arc::clone(speaker), lanes, moves: speaker.moves.load(Ordering::Relaxed), moved: now }
    }

    fn is_of(&self, speaker: &Arc<Speaker>) -> bool {
        Arc::ptr_eq(&self.speaker, speaker)
    }

    fn look(&mut self, now: Instant) {
        let moves = self.speaker.moves.load(Ordering::Relaxed);
        if moves != self.moves || self.speaker.awaits_device.load(Ordering::Relaxed) {
            (self.moves, self.moved) = (moves, now);
        }
    }

    /// The lanes that others have to leave it.
    fn lanes_at(&self, now: Instant) -> f64 {
        if now.saturating_duration_since(self.moved) < PATIENCE { self.lanes } else { 0.0 }
    }
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

    /// Gives back what [`Self::reserve`] took; `speaker` neither speaks nor waits any more.
    pub fn release(&self, speaker: &Arc<Speaker>) {
        self.end(speaker);
        self.lock().sessions -= 1;
    }

    /// Whether `speaker`, who keeps `lanes` lanes busy while it speaks, may begin at `now` so that at most `most` lanes are: then it
    /// has its turn, and otherwise its place in the queue until it asks again. Whoever is alone may begin in any case, and those who
    /// have stood still for [`PATIENCE`] do not count, until they move on.
    pub fn ask(&self, speaker: &Arc<Speaker>, lanes: f64, most: f64, now: Instant) -> bool {
        let mut state = self.lock();
        let place = state.waiting.iter().position(|turn| turn.is_of(speaker));
        if let Some(turn) = place.and_then(|place| state.waiting.get_mut(place)) {
            turn.moved = now;
        }
        state.speaking.iter_mut().for_each(|turn| turn.look(now));
        let before = state.waiting.iter().take(place.unwrap_or(state.waiting.len()));
        let taken: f64 = state.speaking.iter().chain(before).map(|turn| turn.lanes_at(now)).sum();
        let begins = taken == 0.0 || taken + lanes <= most;
        match (begins, place) {
            (true, Some(place)) => drop(state.waiting.remove(place)),
            (false, None) => state.waiting.push_back(Turn::new(speaker, lanes, now)),
            _ => {}
        }
        if begins {
            state.speaking.push(Turn::new(speaker, lanes, now));
        }
        begins
    }

    /// `speaker` speaks, whether there is room or not: it cannot wait.
    pub fn take(&self, speaker: &Arc<Speaker>, lanes: f64, now: Instant) {
        self.lock().speaking.push(Turn::new(speaker, lanes, now));
    }

    /// `speaker` neither speaks nor waits any more.
    pub fn end(&self, speaker: &Arc<Speaker>) {
        let mut state = self.lock();
        state.speaking.retain(|turn| !turn.is_of(speaker));
        state.waiting.retain(|turn| !turn.is_of(speaker));
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

    /// Turns of so many sessions, at a time that the test moves.
    struct Stage {
        turns: Turns,
        speakers: Vec<Arc<Speaker>>,
        now: Instant,
    }

    impl Stage {
        fn new(sessions: usize) -> Self {
            let turns = Turns::default();
            let speakers = (0..sessions).map(|_| turns.reserve()).map(|()| Arc::default()).collect();
            Self { turns, speakers, now: Instant::now() }
        }

        fn ask(&self, speaker: usize, lanes: f64) -> bool {
            self.turns.ask(&self.speakers[speaker], lanes, 1.0, self.now)
        }

        fn take(&self, speaker: usize, lanes: f64) {
            self.turns.take(&self.speakers[speaker], lanes, self.now);
        }

        fn end(&self, speaker: usize) {
            self.turns.end(&self.speakers[speaker]);
        }
    }

    #[test]
    fn turns_are_given_while_there_are_lanes_and_in_the_order_of_asking() {
        let stage = Stage::new(6);
        let ask = |speaker| stage.ask(speaker, 0.4);
        assert!(ask(1) && ask(2));
        assert!(!ask(3) && !ask(4), "a third would be 1.2 lanes");
        stage.end(1);
        assert!(!ask(4), "3 asked first");
        assert!(!ask(5));
        assert!(ask(3));
        assert_eq!(stage.turns.count(), (2, 2));
        stage.end(4);
        stage.end(2);
        assert!(ask(5), "who has gone holds nobody up");
        assert_eq!(stage.turns.count(), (2, 0));
    }

    #[test]
    fn a_small_one_may_pass_a_large_one_only_where_both_fit() {
        let stage = Stage::new(4);
        assert!(stage.ask(1, 0.5));
        assert!(!stage.ask(2, 0.6));
        assert!(!stage.ask(3, 0.1), "or the large one would wait for ever");
        stage.end(1);
        assert!(stage.ask(3, 0.1), "beside the large one, whenever that comes");
        assert!(stage.ask(2, 0.6));
    }

    #[test]
    fn who_cannot_wait_counts_and_who_is_alone_begins() {
        let stage = Stage::new(4);
        assert!(stage.ask(1, 7.0));
        stage.end(1);
        stage.take(2, 0.9);
        assert!(!stage.ask(3, 0.2));
        stage.end(2);
        assert!(stage.ask(3, 0.2));
    }

    #[test]
    fn who_speaks_and_stands_still_holds_nobody_up_until_it_moves_on() {
        let mut stage = Stage::new(4);
        stage.take(0, 0.9);
        assert!(!stage.ask(1, 0.9));
        stage.now += PATIENCE / 2;
        stage.speakers[0].moves_on();
        assert!(!stage.ask(1, 0.9));
        stage.now += PATIENCE - Duration::from_millis(1);
        assert!(!stage.ask(1, 0.9), "it moved half the time ago");
        stage.now += Duration::from_millis(1);
        assert!(stage.ask(1, 0.9));
        assert_eq!(stage.turns.count(), (2, 0));
        stage.end(1);
        stage.speakers[0].moves_on();
        assert!(!stage.ask(2, 0.9), "it has moved on");
    }

    #[test]
    fn who_stands_still_for_the_device_counts() {
        let mut stage = Stage::new(2);
        stage.take(0, 0.9);
        stage.speakers[0].set_awaits_device(true);
        for _ in 0..3 {
            stage.now += 2 * PATIENCE;
            assert!(!stage.ask(1, 0.9));
        }
        stage.speakers[0].set_awaits_device(false);
        stage.now += PATIENCE;
        assert!(stage.ask(1, 0.9));
    }

    #[test]
    fn who_waits_and_no_longer_asks_keeps_its_place_and_holds_nobody_up() {
        let mut stage = Stage::new(4);
        stage.take(0, 0.9);
        assert!(!stage.ask(1, 0.9) && !stage.ask(2, 0.9));
        stage.end(0);
        assert!(!stage.ask(2, 0.9), "1 asked first");
        stage.now += PATIENCE;
        assert!(stage.ask(2, 0.9));
        assert!(!stage.ask(3, 0.9) && !stage.ask(1, 0.9));
        stage.end(2);
        assert!(!stage.ask(3, 0.9) && stage.ask(1, 0.9), "its place is where it was");
    }
}
