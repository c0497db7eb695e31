//! What is counted of sessions: those that somebody sees, from when their sound enters.

use std::time::{Duration, Instant};

use crate::common::server::Setup;
use crate::common::speech::speech;
use crate::common::{JPEG, TINY, bundle, cpu_backend, daemon_options, engine, load, open, within};
use lipsyncd::session::{Event, FirstFrameTimes, Pace, SessionOptions};
use lipsyncd::telemetry::metrics::Page;

const RATE_HZ: u32 = 16_000;
const BUDGET: Duration = Duration::from_millis(150);

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_nobody_sees_are_counted_on_no_device() {
    let server = Setup::new(daemon_options(100)).start().await;
    let avatar = server.daemon.load(TINY, None).await.unwrap().avatar;
    let engine = &server.daemon.fleet().engines()[0];
    let of = |pace| open(engine, &avatar, SessionOptions { pace, ..SessionOptions::new(JPEG, RATE_HZ) });
    let unseen = of(Pace::Rehearsal);
    let page = || Page::new(&server.daemon).render().unwrap();
    let counted = |kind: &str, sessions: usize| {
        let line = format!("lipsyncd_device_sessions{{device=\"cpu\",kind=\"{kind}\"}} {sessions}\n");
        assert!(page().contains(&line), "{line}{}", page());
    };
    counted("live", 0);
    counted("whole", 0);
    let seen = (of(Pace::Live { budget: BUDGET }), of(Pace::Whole));
    counted("live", 1);
    counted("whole", 1);
    drop((unseen, seen));
    counted("live", 0);
    counted("whole", 0);
    server.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_utterance_that_waited_for_the_one_before_begins_when_it_enters_the_session() {
    let backend = cpu_backend();
    let (avatar, engine) = (load(&backend, &bundle()), engine(&backend, 1, 8, 1));
    let options = SessionOptions { pace: Pace::Live { budget: BUDGET }, ..SessionOptions::new(JPEG, RATE_HZ) };
    let (mut intake, mut reader) = open(&engine, &avatar, options);
    let sound = speech(7, 640, RATE_HZ);
    let long_ago = Instant::now() - Duration::from_secs(3600);
    let begun = Instant::now();
    assert_eq!(intake.push_block(&sound, long_ago), sound.len());
    intake.finish_now(long_ago);
    let first = loop {
        if let Event::UtteranceDone { first_frame, .. } = within(reader.next()).await.unwrap().unwrap() {
            break first_frame.expect("it has a frame");
        }
    };
    let FirstFrameTimes { look_ahead, queue, compute, encode, hand_over } = first;
    assert!(look_ahead + queue + compute + encode + hand_over <= begun.elapsed(), "{first:?}");
}
