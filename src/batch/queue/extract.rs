//! Taking a batch out of what waits.

use std::time::Instant;

use super::State;
use crate::batch::policy::{self, BatchPlan, Class, Waiting};
use crate::batch::work::Work;

/// Moves the planned items out in order of their rank; the rest keeps its order. In one pass over what waits: on a GPU with many
/// viewers that is thousands of items, some hundred times a second.
pub(super) fn extract(state: &mut State, plan: BatchPlan, now: Instant, batch: &mut Vec<Work>) {
    state.batches += 1;
    state.in_flight += 1;
    let State { work, batches, ranked, .. } = state;
    ranked.clear();
    for (at, work) in work.iter().enumerate().filter(|(_, work)| work.key() == plan.key) {
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
    take_out(work, ranked, batch);
    for work in &*batch {
        work.session.set_served(*batches);
    }
}

/// Moves the items at `ranked`, which are in the order of their rank, to `batch`; the rest of `work` keeps its order.
fn take_out(work: &mut Vec<Work>, ranked: &mut [(usize, Waiting)], batch: &mut Vec<Work>) {
    // By place, with the rank in place of it, so that one pass over `work` meets them one after the other.
    for (rank, item) in ranked.iter_mut().enumerate() {
        item.1.served = rank as u64;
    }
    ranked.sort_unstable_by_key(|(at, _)| *at);
    let (mut next, mut at) = (0, 0);
    batch.extend(work.extract_if(.., |_| {
        let taken = ranked.get(next).is_some_and(|(place, _)| *place == at);
        next += usize::from(taken);
        at += 1;
        taken
    }));
    // From the order of places back to that of ranks, by swaps along the permutation's cycles.
    for place in 0..batch.len() {
        while ranked[place].1.served != place as u64 {
            let rank = ranked[place].1.served as usize;
            batch.swap(place, rank);
            ranked.swap(place, rank);
        }
    }
}
