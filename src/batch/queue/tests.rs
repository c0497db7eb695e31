use std::time::Instant;

use super::*;

fn queue(lanes: usize) -> Arc<WorkQueue> {
    let limits = Limits { max_windows: 4, max_frames: 4, batching_pays: false };
    WorkQueue::new(lanes, limits, Recorder::new(), Arc::default())
}

#[test]
fn whoever_has_the_lanes_rest_waits_for_all_of_them_though_another_asks_meanwhile() {
    let queue = &*queue(2);
    let ask = || {
        let begun = Instant::now();
        queue.rest();
        begun.elapsed()
    };
    let one_has_rested = || {
        while queue.lock().unrested != 1 {
            std::thread::yield_now();
        }
    };
    std::thread::scope(|scope| {
        // The other lane is at work, for longer than it is waited for.
        scope.spawn(|| queue.take(&mut Vec::new(), &mut 0, || {}));
        let first = scope.spawn(ask);
        one_has_rested();
        let second = scope.spawn(ask);
        let waited = [first, second].map(|waits| waits.join().unwrap());
        queue.stop();
        assert!(waited.iter().all(|&waited| waited >= REST), "with a lane still at work: {waited:?}");
    });
}
