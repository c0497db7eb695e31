//! Many viewers who connect, speak, interrupt, stall and vanish at random, on the real program: no frame of a wrong avatar or wrong
//! sound, and nothing left behind.
//!
//! Short as it stands, for every run of the tests; `make soak` gives it ten minutes and two hundred viewers:
//! `LIPSYNCD_SOAK_SECONDS` and `LIPSYNCD_SOAK_VIEWERS`.

#[path = "../common/mod.rs"]
mod common;
mod talk;
mod viewer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::program::{Holding, Program};
use common::reference::{Reference, two_avatars};
use common::speech::speech;
use lipsyncd::telemetry::SessionState;
use lipsyncd::telemetry::label::Label as _;
use viewer::{Counts, Stage, Viewer};

const RATE_HZ: u32 = 16_000;

/// A part of the run in which everything has been met: avatars, forms, silent pictures, the heap's own caches.
const WARM: f64 = 0.2;

/// What the runtime and the recorder keep of the most that there was at once; two hundred bytes a call in ten minutes.
const KEPT_KIB: f64 = 2048.0;

/// Looks, a tenth of a second apart, after which what does not change is what there is.
const QUIET_LOOKS: u32 = 15;

/// Looks are printed so often.
const PRINTED_S: f64 = 20.0;

/// How often the process is looked at.
const LOOK: Duration = Duration::from_millis(500);

fn asked(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn viewers_come_and_go_and_every_frame_is_theirs() {
    let (seconds, viewers) = (asked("LIPSYNCD_SOAK_SECONDS", 20), asked("LIPSYNCD_SOAK_VIEWERS", 40));
    let folder = tempfile::tempdir().unwrap();
    let avatars = two_avatars(folder.path());
    let sounds: Vec<Vec<f32>> =
        [6_400, 11_111, 16_000].iter().map(|&samples| speech(samples as u64, samples, RATE_HZ)).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut references = Vec::new();
    for (name, dir) in avatars {
        references.push((name, runtime.block_on(Reference::make(&dir, &sounds))));
    }
    // A viewer who has vanished may still be held for a moment when it calls again.
    let most = (2 * viewers + 10).to_string();
    // Whatever this machine carries: the question is not whether frames come in time.
    let environment = [("LIPSYNCD_UTILISATION_PERCENT", "0"), ("LIPSYNCD_MAX_SESSIONS", most.as_str())];
    let mut program = Program::start(folder.path(), &environment);
    let stage = Arc::new(Stage { address: program.address, sounds, references });
    let heap_kib = || program.metric("lipsyncd_heap_bytes") / 1024.0;
    let (before, heap_before) = (runtime.block_on(quiet(&program, &stage)), heap_kib());
    let length = Duration::from_secs(seconds);
    let (counts, looks) = runtime.block_on(run(&program, &stage, viewers, length));
    println!("{viewers} viewers, {seconds} s: {counts:?}");
    counts.assert_all_happened();
    let (after, heap_after) = (runtime.block_on(quiet(&program, &stage)), heap_kib());
    println!("before {before:?}, heap {heap_before:.0} KiB, after {after:?}, heap {heap_after:.0} KiB");
    // A thread of the runtime for file work may have been there before and has ended since.
    assert!(after.descriptors <= before.descriptors, "descriptors are left");
    assert!(after.threads <= before.threads, "threads are left");
    assert!(heap_after < heap_before + KEPT_KIB, "memory is left");
    assert_eq!(program.metric("lipsyncd_batches_failed_total"), 0.0);
    print(&looks);
    check_warm(&looks, seconds);
    assert_eq!(program.stop(), Some(0));
}

/// One look at the process in the middle of it.
#[derive(Debug, Clone, Copy)]
struct Look {
    at_s: f64,
    resident_kib: u64,
    heap_kib: f64,
    /// Of lanes, since each was warm.
    allocations: f64,
}

async fn run(program: &Program, stage: &Arc<Stage>, viewers: u64, length: Duration) -> (Counts, Vec<Look>) {
    let begun = Instant::now();
    let mut living = tokio::task::JoinSet::new();
    for seed in 0..viewers {
        living.spawn(Viewer::new(Arc::clone(stage), seed).live(begun + length));
    }
    let mut looks = Vec::new();
    let mut counts = Counts::default();
    while !living.is_empty() {
        tokio::select! {
            ended = living.join_next() => if let Some(ended) = ended {
                // A panic in a viewer is the test's.
                counts += ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
            },
            () = tokio::time::sleep(LOOK) => looks.push(Look {
                at_s: begun.elapsed().as_secs_f64(),
                resident_kib: program.holding().resident_kib,
                heap_kib: program.metric("lipsyncd_heap_bytes") / 1024.0,
                allocations: program.metric("lipsyncd_heap_allocations_since_warmup"),
            }),
        }
    }
    (counts, looks)
}

/// Lets one viewer of each kind through, so that all is loaded, and waits until nothing is held.
async fn quiet(program: &Program, stage: &Arc<Stage>) -> Holding {
    Viewer::new(Arc::clone(stage), 1000).try_everything().await;
    let states =
        SessionState::ALL.iter().map(|state| format!("lipsyncd_sessions_in_state{{state=\"{}\"}}", state.word()));
    let held: Vec<String> = states
        .chain(
            ["lipsyncd_sessions", "lipsyncd_queue_depth", "lipsyncd_pool_buffers", "lipsyncd_device_sessions"]
                .map(Into::into),
        )
        .collect();
    let mut holding = program.holding();
    let mut unchanged = 0;
    for _ in 0..600 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        // Before the metrics are asked for, whose connection the daemon may still be closing afterwards.
        let now = program.holding();
        let still = held.iter().map(|series| program.metric(series)).sum::<f64>();
        let same = (now.threads, now.descriptors) == (holding.threads, holding.descriptors);
        unchanged = if still == 0.0 && same { unchanged + 1 } else { 0 };
        holding = now;
        // Connections take a moment to be closed.
        if unchanged == QUIET_LOOKS {
            return now;
        }
    }
    let held: Vec<_> = held.iter().map(|series| (series, program.metric(series))).collect();
    panic!("something is held: {held:?} {holding:?}");
}

fn print(looks: &[Look]) {
    let mut next_s = 0.0;
    for look in looks {
        if look.at_s >= next_s {
            println!("{:4.0} s: resident {} KiB, of that heap {:.0} KiB", look.at_s, look.resident_kib, look.heap_kib);
            next_s = look.at_s + PRINTED_S;
        }
    }
}

/// After the warm part: lanes do not allocate, and memory is flat.
fn check_warm(looks: &[Look], seconds: u64) {
    let warm: Vec<&Look> =
        looks.iter().filter(|look| look.at_s > seconds as f64 * WARM && look.at_s < seconds as f64).collect();
    let (first, last) = (warm[0], warm[warm.len() - 1]);
    assert_eq!(last.allocations - first.allocations, 0.0, "lanes allocate while frames are drawn");
    let kib = || warm.iter().map(|look| look.resident_kib);
    let (least, most) = (kib().min().unwrap_or_default(), kib().max().unwrap_or_default());
    let mean = kib().sum::<u64>() as f64 / warm.len() as f64;
    let spread = [least, most].map(|kib| 100.0 * (kib as f64 / mean - 1.0));
    println!("resident after {:.0} s: {mean:.0} KiB, {:+.2} % .. {:+.2} %", first.at_s, spread[0], spread[1]);
    // Minutes tell a leak from the heap's breathing; seconds only a leak that anybody would see.
    let bound = if seconds >= 600 { 2.0 } else { 25.0 };
    assert!(spread.iter().all(|part| part.abs() <= bound), "memory is not flat");
}
