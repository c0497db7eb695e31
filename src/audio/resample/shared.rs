//! The plans that there are: one for each pair of rates, however many streams there are of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::{ResampleError, ResamplePlan};

/// Plans kept after their last stream, 2 MiB each at most; of more, those asked for longest ago are given up.
const RECENT: usize = 4;

static PLANS: Plans = Plans::new();

/// The rates of what goes in and of what comes out.
type Rates = (u32, u32);

struct Plans {
    known: Mutex<Known>,
    /// Held by whoever computes a plan: those who want the same one have it from there.
    computing: Mutex<()>,
}

struct Known {
    /// Every one that somebody has.
    all: Vec<(Rates, Weak<ResamplePlan>)>,
    /// Kept though nobody may have them; asked for last comes last.
    recent: Vec<Arc<ResamplePlan>>,
}

impl ResamplePlan {
    /// As [`Self::new`], once for all who have it at the same time, and for whoever asks soon after them.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn shared(from_hz: u32, to_hz: u32) -> Result<Arc<Self>, ResampleError> {
        PLANS.get((from_hz, to_hz))
    }

    /// What [`Self::shared`] gives, where it is there and costs nothing.
    #[must_use]
    pub fn known(from_hz: u32, to_hz: u32) -> Option<Arc<Self>> {
        PLANS.find((from_hz, to_hz))
    }
}

impl Plans {
    const fn new() -> Self {
        Self { known: Mutex::new(Known { all: Vec::new(), recent: Vec::new() }), computing: Mutex::new(()) }
    }

    fn get(&self, rates: Rates) -> Result<Arc<ResamplePlan>, ResampleError> {
        if let Some(plan) = self.find(rates) {
            return Ok(plan);
        }
        let _computing = self.computing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = self.find(rates) {
            return Ok(plan);
        }
        let plan = Arc::new(ResamplePlan::new(rates.0, rates.1)?);
        let mut known = self.known();
        known.all.retain(|(_, plan)| plan.strong_count() > 0);
        known.all.push((rates, Arc::downgrade(&plan)));
        let given_up = known.used(&plan);
        drop(known);
        drop(given_up);
        Ok(plan)
    }

    fn find(&self, rates: Rates) -> Option<Arc<ResamplePlan>> {
        let mut known = self.known();
        let plan = known.all.iter().find(|(of, _)| *of == rates)?.1.upgrade()?;
        let given_up = known.used(&plan);
        drop(known);
        drop(given_up);
        Some(plan)
    }

    /// Nothing that can panic leaves the plans half changed.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Keeps `plan` as the one asked for last, and gives the one that is given up for it, to be freed outside the lock.
    fn used(&mut self, plan: &Arc<ResamplePlan>) -> Option<Arc<ResamplePlan>> {
        self.recent.retain(|other| !Arc::ptr_eq(other, plan));
        self.recent.push(Arc::clone(plan));
        (self.recent.len() > RECENT).then(|| self.recent.remove(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_computed_once_while_it_is_used_and_four_are_kept_after_that() {
        let plans = Plans::new();
        let of = |hz| plans.get((hz, 16_000)).unwrap();
        let used: Vec<_> = (8000..8000 + RECENT as u32 + 2).map(of).collect();
        for plan in &used {
            assert!(Arc::ptr_eq(plan, &of(plan.from_hz())), "{plan:?} again");
        }
        drop(used);
        let kept: Vec<_> = (8000..8000 + RECENT as u32 + 2).filter(|&hz| plans.find((hz, 16_000)).is_some()).collect();
        assert_eq!(kept, [8002, 8003, 8004, 8005], "those asked for longest ago are given up");
        of(9000);
        assert_eq!(plans.known().all.len(), RECENT + 1, "those that nobody has are not remembered");
        assert!(plans.get((0, 16_000)).is_err() && plans.find((0, 16_000)).is_none());
    }

    #[test]
    fn those_who_want_a_plan_at_once_have_the_same() {
        let plans = Plans::new();
        let all: Vec<_> = std::thread::scope(|scope| {
            let threads = [(); 4].map(|()| scope.spawn(|| plans.get((44_101, 16_000)).unwrap()));
            threads.map(|thread| thread.join().unwrap()).into()
        });
        assert!(all.iter().all(|plan| Arc::ptr_eq(plan, &all[0])));
    }
}
