//! What is counted of sessions: those that somebody sees.

mod common;

use std::time::Duration;

use common::server::Setup;
use common::{JPEG, TINY, daemon_options, open};
use lipsyncd::session::{Pace, SessionOptions};
use lipsyncd::telemetry::metrics::Page;

const RATE_HZ: u32 = 16_000;
const BUDGET: Duration = Duration::from_millis(150);

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_nobody_sees_are_counted_on_no_device() {
    let server = Setup::new(daemon_options(100)).start().await;
    let avatar = server.daemon.load(TINY, None).await.unwrap().avatar;
    let engine = &server.daemon.fleet().engines()[0];
    let of = |pace| open(engine, &avatar, SessionOptions { pace, ..SessionOptions::new(JPEG, RATE_HZ) });
    let unseen = (of(Pace::Rehearsal), of(Pace::Backdrop { budget: BUDGET }));
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
