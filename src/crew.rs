//! Work that several threads share, on as many of them as the system starts.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Builder, ScopedJoinHandle};

/// Calls `work` with each index below `count`, on up to `threads` threads, this one included; every thread makes its own `state` before.
///
/// Indices are taken in their order and none once one has failed, so what is told is the same whoever works on it.
///
/// # Errors
/// `state`'s, or that of the lowest index that failed.
pub(crate) fn in_turn<S, E: Send>(
    threads: NonZero<usize>,
    count: usize,
    state: impl Fn() -> Result<S, E> + Sync,
    work: impl Fn(&mut S, usize) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let failed = |index, error| {
        next.store(count, Ordering::Relaxed);
        (index, error)
    };
    let take_turns = || {
        let mut state = state().map_err(|error| failed(0, error))?;
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return Ok(());
            }
            work(&mut state, index).map_err(|error| failed(index, error))?;
        }
    };
    let threads = threads.min(NonZero::new(count).unwrap_or(NonZero::<usize>::MIN));
    let failures = share(threads, take_turns).into_iter().filter_map(Result::err);
    failures.min_by_key(|(index, _)| *index).map_or(Ok(()), |(_, error)| Err(error))
}

/// Calls `work` on this thread and on `threads - 1` others at once; gives what each call came to, this thread's last.
///
/// `work` takes its parts one after the other until none is left. So where the system refuses another thread (`TasksMax`, `ulimit -u`), those
/// that there are do all of it, in more time. With one thread none is started.
///
/// # Panics
/// As `work` does.
fn share<T: Send>(threads: NonZero<usize>, work: impl Fn() -> T + Sync) -> Vec<T> {
    share_among(threads, Builder::new, work)
}

fn share_among<T: Send>(threads: NonZero<usize>, thread: impl Fn() -> Builder, work: impl Fn() -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let helpers = (1..threads.get()).map_while(|_| thread().spawn_scoped(scope, &work).ok()).collect::<Vec<_>>();
        let own = work();
        let join = |helper: ScopedJoinHandle<'_, T>| helper.join().unwrap_or_else(|panic| resume_unwind(panic));
        helpers.into_iter().map(join).chain([own]).collect()
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    const THREE: NonZero<usize> = NonZero::new(3).unwrap();

    #[test]
    fn the_threads_are_at_work_together_and_this_one_is_of_them() {
        let (all, here) = (Barrier::new(3), thread::current().id());
        let at_work = share(THREE, || {
            all.wait();
            thread::current().id()
        });
        assert_eq!((at_work.len(), at_work.last()), (3, Some(&here)));
    }

    #[test]
    fn one_thread_does_everything_where_the_system_starts_no_other() {
        // No address space holds such a stack.
        let refused = || Builder::new().stack_size(1 << 50);
        assert!(refused().spawn(|| {}).is_err());
        let parts = AtomicUsize::new(0);
        let done = share_among(THREE, refused, || (0..5).map(|_| parts.fetch_add(1, Ordering::Relaxed)).sum::<usize>());
        assert_eq!(done, [10]);
    }

    #[test]
    fn the_lowest_index_that_fails_is_told_and_none_is_taken_after_a_failure() {
        let (both, taken) = (Barrier::new(2), AtomicUsize::new(0));
        // Indices 2 and 3 are at work together, and both fail.
        let work = |made: &mut usize, index: usize| {
            *made += 1;
            taken.fetch_add(1, Ordering::Relaxed);
            if index < 2 {
                return Ok(());
            }
            both.wait();
            Err((index, *made))
        };
        let failed = in_turn(NonZero::new(2).unwrap(), 100, || Ok(0), work).unwrap_err();
        assert_eq!((failed.0, taken.into_inner()), (2, 4));
        assert!((1..=3).contains(&failed.1), "each thread has its own state");
        assert_eq!(in_turn(THREE, 5, || Err("no state"), |(): &mut (), _| Ok(())), Err("no state"));
        assert_eq!(in_turn(THREE, 0, || Ok::<_, ()>(()), |(), _| Err(())), Ok(()));
    }

    #[test]
    #[should_panic(expected = "of a helper")]
    fn a_helpers_panic_is_passed_on() {
        let here = thread::current().id();
        share(THREE, || assert!(thread::current().id() == here, "of a helper"));
    }
}
