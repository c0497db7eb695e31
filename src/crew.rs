//! Work that several threads share, on as many of them as the system starts.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::thread::{self, Builder, ScopedJoinHandle};

/// Calls `work` on this thread and on `threads - 1` others at once; gives what each call came to, this thread's last.
///
/// `work` takes its parts one after the other until none is left. So where the system refuses another thread (`TasksMax`, `ulimit -u`), those
/// that there are do all of it, in more time. With one thread none is started.
///
/// # Panics
/// As `work` does.
pub(crate) fn share<T: Send>(threads: NonZero<usize>, work: impl Fn() -> T + Sync) -> Vec<T> {
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
    use std::sync::atomic::{AtomicUsize, Ordering};

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
    #[should_panic(expected = "of a helper")]
    fn a_helpers_panic_is_passed_on() {
        let here = thread::current().id();
        share(THREE, || assert!(thread::current().id() == here, "of a helper"));
    }
}
