//! How long it takes until everything a call held is free, by the way it ends: `cargo bench --bench endings`.
//!
//! Every call is in the middle of ten seconds of speech. The clock begins with what ends it: the client's reset, the close of its
//! connection, its deadline, or the moment at which a ping that nobody answers is given up. It stops when place, turn, work and
//! buffers are all free; of a call that is not read at its deadline, but for the two frames that its connection has begun to take.

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use common::daemon_options;
use common::relay::Relay;
use common::server::{Setup, TestServer};
use common::talk::{connect, under_way};
use lipsyncd::rpc::ServerOptions;

const ROUNDS: usize = 30;
const KEEPALIVE: Duration = Duration::from_secs(2);
const DEADLINE: Duration = Duration::from_secs(3);

fn main() {
    // `cargo test --benches` asks every bench for a quick word.
    let rounds = if std::env::args().any(|argument| argument == "--bench") { ROUNDS } else { 1 };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    println!("time until everything is free, ms, of {rounds} calls each");
    println!("{:<34} {:>8} {:>8} {:>8}", "ended by", "median", "p95", "max");
    runtime.block_on(async {
        let setup = Setup::new(daemon_options(100));
        let server = ServerOptions { keepalive: Some(KEEPALIVE), ..setup.server };
        let server = Setup { server, ..setup }.start().await;
        for idle_frames in [false, true] {
            let film = if idle_frames { ", idle frames" } else { "" };
            tell(&format!("cancel{film}"), rounds, async || cancel(&server, idle_frames).await).await;
            tell(&format!("disconnect{film}"), rounds, async || disconnect(&server, idle_frames).await).await;
            tell(&format!("deadline{film}"), rounds, async || deadline(&server, idle_frames).await).await;
            tell(&format!("half-open connection{film}"), rounds, async || half_open(&server, idle_frames).await).await;
        }
    });
}

async fn tell(what: &str, rounds: usize, mut once: impl AsyncFnMut() -> Duration) {
    let mut times = Vec::new();
    for _ in 0..rounds {
        times.push(once().await.as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let at = |part: f64| times[((times.len() - 1) as f64 * part).round() as usize];
    println!("{what:<34} {:>8.1} {:>8.1} {:>8.1}", at(0.5), at(0.95), at(1.0));
}

async fn cancel(server: &TestServer, idle_frames: bool) -> Duration {
    let mut client = connect(server.address).await;
    let talk = under_way(&mut client, idle_frames, None).await;
    let begun = Instant::now();
    drop(talk);
    free(server, 0, begun).await
}

async fn disconnect(server: &TestServer, idle_frames: bool) -> Duration {
    let relay = Relay::to(server.address).await;
    let mut client = connect(relay.address).await;
    let _talk = under_way(&mut client, idle_frames, None).await;
    let begun = Instant::now();
    relay.cut();
    free(server, 0, begun).await
}

/// Of a call that is not read, which is the harder case.
async fn deadline(server: &TestServer, idle_frames: bool) -> Duration {
    let mut client = connect(server.address).await;
    let begun = Instant::now();
    let _talk = under_way(&mut client, idle_frames, Some("3S")).await;
    free(server, 2, begun).await.saturating_sub(DEADLINE)
}

async fn half_open(server: &TestServer, idle_frames: bool) -> Duration {
    let relay = Relay::to(server.address).await;
    let mut client = connect(relay.address).await;
    let _talk = under_way(&mut client, idle_frames, None).await;
    let begun = Instant::now();
    relay.freeze();
    // The ping leaves at most so long after the last sign of life, and is given up half as long after.
    free(server, 0, begun).await.saturating_sub(KEEPALIVE + KEEPALIVE / 2)
}

/// Until nothing is held but `sending` frames that a connection has begun to take.
async fn free(server: &TestServer, sending: usize, begun: Instant) -> Duration {
    while !server.holds_nothing_but(sending) {
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    begun.elapsed()
}
