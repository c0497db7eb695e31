//! The live streams of an engine, and those about to be.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::admission::Demand;
use crate::session::SessionCore;

/// Who has a place.
enum Place {
    Open(Weak<SessionCore>),
    /// Its session is being opened.
    Promised(Weak<Demand>),
}

/// The places that are taken. A place is promised before its session's buffers are made, which takes longer than all the rest: of
/// many who come at once, those who have no room are told so at once.
#[derive(Default)]
pub(super) struct Places(Mutex<Vec<Place>>);

/// A place until its session is open, or this drops.
#[must_use]
pub(super) struct Promise {
    _held: Arc<Demand>,
}

/// The streams at one moment, with nobody coming in meanwhile.
pub(super) struct View<'a>(MutexGuard<'a, Vec<Place>>);

impl Places {
    pub(super) fn view(&self) -> View<'_> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.retain(|place| match place {
            Place::Open(session) => session.strong_count() > 0,
            Place::Promised(demand) => demand.strong_count() > 0,
        });
        View(places)
    }
}

impl View<'_> {
    /// What the streams take, by `demand` where they are open.
    pub(super) fn demands(&self, demand: impl Fn(&SessionCore) -> Option<Demand>) -> Vec<Demand> {
        let of = |place: &Place| match place {
            Place::Open(session) => demand(&*session.upgrade()?),
            Place::Promised(demand) => demand.upgrade().map(|demand| *demand),
        };
        self.0.iter().filter_map(of).collect()
    }

    pub(super) fn promise(mut self, demand: Demand) -> Promise {
        let demand = Arc::new(demand);
        self.0.push(Place::Promised(Arc::downgrade(&demand)));
        Promise { _held: demand }
    }

    /// Gives the place that was promised, where one was, to `session`.
    pub(super) fn open(mut self, promise: Option<Promise>, session: &Arc<SessionCore>) {
        drop(promise);
        self.0.push(Place::Open(Arc::downgrade(session)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_holds_its_place_until_it_drops() {
        let places = Places::default();
        let demand = Demand { lanes: 0.5, speech: 0.3, waits: false };
        let count = || places.view().demands(|_| None).len();
        let promises = [places.view().promise(demand), places.view().promise(demand)];
        assert_eq!(places.view().demands(|_| None), [demand, demand]);
        let [first, second] = promises;
        drop(first);
        assert_eq!(count(), 1);
        drop(second);
        assert_eq!(count(), 0);
    }
}
