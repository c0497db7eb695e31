//! Devices that are lost while calls have them.

use std::sync::Arc;
use std::time::Duration;

use lipsyncd::backend::Backend;
use lipsyncd::rpc::client::{ClientError, Say};
use lipsyncd::rpc::{self, LAST_WORDS};
use tonic_types::StatusExt as _;

use super::common::gpu::NamedGpu;
use super::common::server::{Setup, TestServer};
use super::common::speech::speech;
use super::common::{cpu_backend, daemon_options, eventually, within};
use super::{GIB, RATE_HZ, devices, talk, unread};

/// A daemon on `count` devices, which can be lost.
async fn start(count: u32) -> (Vec<Arc<NamedGpu>>, TestServer) {
    let gpus: Vec<_> = (0..count).map(|at| NamedGpu::new(cpu_backend(), at, 8 * GIB, GIB)).collect();
    let devices = gpus.iter().map(|gpu| (Arc::clone(gpu) as Arc<dyn Backend>, 1)).collect();
    let server = Setup { devices, ..Setup::new(daemon_options(100)) }.start().await;
    (gpus, server)
}

/// The sentence of an end for want of the device, which must say that the client is to come again.
fn farewell<T>(ended: Result<T, ClientError>) -> String {
    let Err(ClientError::Gone(status)) = ended else { panic!("not gone: {:?}", ended.err()) };
    let hint = status.get_details_retry_info().and_then(|info| info.retry_delay);
    assert!(hint.is_some_and(|delay| !delay.is_zero()), "{status:?}");
    status.message().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_on_a_device_that_answers_no_more_are_told_so() {
    let (gpus, server) = start(1).await;
    let mut client = server.client().await;
    let (speaker, mut listener) = talk(&mut client).await.unwrap();
    let (_quiet, mut idle) = talk(&mut client).await.unwrap();
    let held = gpus[0].hold();
    let sound = speech(5, RATE_HZ as usize, RATE_HZ);
    let sound = sound.iter().flat_map(|sample| ((sample * 32767.0) as i16).to_le_bytes()).collect();
    within(speaker.ready()).await.unwrap().say(Say::Audio(sound));
    let mut whole = unread(&mut client).await;
    let waits = || server.daemon.fleet().engines()[0].device_recorder().lanes().oldest > Duration::ZERO;
    eventually("a batch is with the device", waits).await;
    gpus[0].lose();
    for sentence in [
        farewell(within(listener.next()).await),
        farewell(within(idle.next()).await),
        farewell(within(whole.next()).await),
    ] {
        assert!(sentence.contains("it was taken away") && sentence.contains("connect again"), "{sentence}");
    }
    drop(held);
    drop((speaker, listener, whole, idle));
    server.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_for_an_avatar_whose_load_never_ends_is_told_so_too() {
    let (gpus, server) = start(1).await;
    let held = gpus[0].hold();
    let mut client = server.client().await;
    let asked = tokio::spawn(async move { talk(&mut client).await });
    eventually("the avatar is being loaded", || gpus[0].is_loading()).await;
    assert!(devices(&server).is_empty());
    gpus[0].lose();
    let sentence = farewell(within(asked).await.unwrap());
    assert!(sentence.contains("stopping"), "{sentence}");
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_device_is_lost_the_calls_on_the_other_may_end() {
    let (gpus, server) = start(2).await;
    let mut client = server.client().await;
    let _on_first = unread(&mut client).await;
    let on_second = unread(&mut client).await;
    assert_eq!(devices(&server), [0, 1]);
    let end = rpc::lost(server.daemon.fleet(), Duration::from_secs(3600));
    tokio::pin!(end);
    assert!(tokio::time::timeout(Duration::ZERO, &mut end).await.is_err(), "nothing is lost");
    gpus[0].lose();
    assert!(tokio::time::timeout(2 * LAST_WORDS, &mut end).await.is_err(), "a call is running on the other device");
    drop(on_second);
    within(end).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_only_device_is_lost_nobody_is_waited_for_nor_when_the_drain_is_over() {
    for lost in [&[0, 1][..], &[0]] {
        let (gpus, server) = start(2).await;
        let mut client = server.client().await;
        let _running = (unread(&mut client).await, unread(&mut client).await);
        let drain = if lost.len() == 2 { Duration::from_secs(3600) } else { Duration::from_millis(1) };
        lost.iter().for_each(|at: &usize| gpus[*at].lose());
        within(rpc::lost(server.daemon.fleet(), drain)).await;
    }
}
