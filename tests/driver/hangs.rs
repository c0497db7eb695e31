//! GPUs that stop answering: no call of the driver fails, and some never end. After half a minute they count as lost.

use std::time::{Duration, Instant};

use crate::common::talk::{connect, under_way};
use crate::common::{TINY, within};
use crate::faults::{assert_farewell, ending, ends_with_1, gone, preload, start};
use crate::serving::{client, synthesize};
use crate::stand_in::{HANGS, StandIn};
use crate::two::{LONG, OnTwo, read};
use crate::unusable::{run, run_for};

/// Its lanes never end, and are not waited for.
#[tokio::test(flavor = "multi_thread")]
async fn a_gpu_that_hangs_holds_up_no_stop() {
    for frames in [0, 5] {
        let driver = StandIn::new();
        let mut program = start(&driver);
        if frames > 0 {
            assert_eq!(synthesize(&mut client(&program).await, TINY, frames).await.len(), frames);
        }
        driver.tell("hangs", HANGS);
        program.ask_to_end();
        assert_eq!(ending(&mut program).await, Some(0), "after {frames} frames");
    }
}

/// All at once, since each takes as long as a GPU may take to answer.
#[ignore = "takes half a minute, beside the others: make rust-test"]
#[tokio::test(flavor = "multi_thread")]
async fn a_gpu_that_hangs_is_lost_after_half_a_minute() {
    tokio::join!(
        under_a_call(),
        under_a_load(),
        under_questions(),
        beside_another(),
        under_a_start(),
        before_there_are_lanes()
    );
}

async fn under_a_call() {
    let driver = StandIn::new();
    let mut program = start(&driver);
    let mut live = under_way(&mut connect(program.address).await, false, None).await;
    driver.tell("hangs", HANGS);
    let begun = Instant::now();
    assert_farewell(&live.end().await);
    assert!(begun.elapsed() > Duration::from_secs(29), "{:?}", begun.elapsed());
    ends_with_1(&mut program).await;
}

async fn under_a_load() {
    let driver = StandIn::new();
    let mut program = start(&driver);
    let mut client = client(&program).await;
    driver.tell("hangs", HANGS);
    let load = tokio::spawn(async move { client.load(TINY).await });
    assert_farewell(&gone(within(load).await.unwrap()));
    ends_with_1(&mut program).await;
}

/// Whoever asks for figures, and however many: the daemon is not theirs to hold up.
async fn under_questions() {
    let driver = StandIn::new();
    let mut program = start(&driver);
    let mut asking = client(&program).await;
    assert_eq!(synthesize(&mut asking, TINY, 5).await.len(), 5);
    driver.tell("hangs", HANGS);
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let mut client = asking.clone();
        all.spawn(async move { drop(client.stats().await) });
    }
    ends_with_1(&mut program).await;
}

async fn beside_another() {
    let driver = StandIn::new();
    let OnTwo { mut program, calls: [first, second], client } = OnTwo::start(&driver).await;
    driver.tell("hangs.1", HANGS);
    let begun = Instant::now();
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let mut client = client.clone();
        asking.spawn(async move {
            // Each is answered, with what was known before.
            loop {
                assert_eq!(OnTwo::sessions(&mut client).await.len(), 2);
            }
        });
    }
    assert!(matches!(read(first).await, (LONG, None)));
    assert!(asking.try_join_next().is_none(), "one was not answered");
    asking.shutdown().await;
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(15), "the other GPU's viewer was held up: {took:?}");
    let (_, end) = read(second).await;
    assert_farewell(&gone(end.map_or(Ok(()), Err)));
    ends_with_1(&mut program).await;
}

/// Where a pool of memory grows.
async fn under_a_start() {
    let start = tokio::task::spawn_blocking(|| preload("cuMemAllocAsync", HANGS));
    let (code, log) = start.await.unwrap();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("the GPU is lost: it has not answered for 30 s"), "{log}");
}

/// Where nothing is preloaded, and the only thread that starts the daemon waits.
async fn before_there_are_lanes() {
    let driver = StandIn::new();
    driver.tell("cuMemAlloc_v2", HANGS);
    let output = tokio::task::spawn_blocking(move || run("serve", &driver, &[])).await.unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains("ending before it served: GPU 0 has not answered for 30 s"), "{log}");
}

#[ignore = "takes two minutes, beside the others: make rust-test"]
#[test]
fn a_gpu_that_does_not_open_ends_the_start_after_two_minutes() {
    let driver = StandIn::new();
    driver.tell("cuDevicePrimaryCtxRetain", HANGS);
    let output = run_for("180", &["serve"], &driver, &[]);
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains("ending before it served: the NVIDIA driver has not opened GPU 0 for 120 s"), "{log}");
}
