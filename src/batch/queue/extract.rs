//! Taking a batch out of what waits.

use std::time::Instant;

use super::State;
use crate::batch::policy::{self, BatchPlan, Class, Waiting};
use crate::batch::work::Work;

/// Moves the planned items out in order of their rank; the rest keeps its order. In two passes over what waits: on a GPU with many
/// viewers that is thousands of items, some hundred times a second.
pub(super) fn extract(state: &mut State, plan: BatchPlan, now: Instant, batch: &mut Vec<Work>) {
    state.batches += 1;
    state.in_flight += 1;
    let State { work, batches, ranked, .. } = state;
    ranked.clear();
    for (at, work) in work.iter().flatten().enumerate().filter(|(_, work)| work.key() == plan.key) {
        let mut waiting = work.waiting();
        // A session's items after its first count as if it had just been served, so that one with much waiting does not fill the
        // batch before the others.
        if work.session.is_met_again(*batches) {
            waiting.served = *batches;
        }
        ranked.push((at, waiting));
    }
    let by_rank =
        |a: &(usize, Waiting), b: &(usize, Waiting)| policy::rank(&a.1, &b.1, now, plan.owed).then(a.0.cmp(&b.0));
    if ranked.len() > plan.len {
        ranked.select_nth_unstable_by(plan.len, by_rank);
        ranked.truncate(plan.len);
    }
    ranked.sort_unstable_by(by_rank);
    let holds = |class| ranked.iter().any(|(_, waiting)| waiting.class() == class);
    if holds(Class::Whole) {
        state.last_whole = now;
    }
    if holds(Class::Silence) {
        state.last_silence = now;
    }
    take_out(work, ranked.iter().map(|(at, _)| *at), batch);
    for work in &*batch {
        work.session.set_served(*batches);
    }
}

/// Moves the items at these places, in their order, to `taken`; the rest keeps its order.
fn take_out<T>(items: &mut Vec<Option<T>>, places: impl Iterator<Item = usize>, taken: &mut Vec<T>) {
    taken.extend(places.filter_map(|at| items[at].take()));
    items.retain(Option::is_some);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_in_the_order_of_its_ranks_and_what_still_waits_in_that_of_its_arrival() {
        let mut items: Vec<_> = ('a'..='f').map(Some).collect();
        let mut batch = Vec::new();
        take_out(&mut items, [4, 0, 3].into_iter(), &mut batch);
        assert_eq!((batch, items), (vec!['e', 'a', 'd'], vec![Some('b'), Some('c'), Some('f')]));
    }
}
