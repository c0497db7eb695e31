//! One daemon on two devices: two real backends, each with its own networks, lanes and queue.

#[path = "../common/mod.rs"]
mod common;
mod lost;
mod memory;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::gpu::NamedGpu;
use common::server::{Setup, TestServer, wav};
use common::speech::speech;
use common::{JPEG, TINY, bundle, bytes, cpu_backend, daemon_options, engine, eventually, load, perform, within};
use lipsyncd::avatar::AvatarId;
use lipsyncd::backend::{Backend, DeviceId};
use lipsyncd::batch::{AdmissionLimits, rehearse};
use lipsyncd::rpc::DaemonOptions;
use lipsyncd::rpc::client::{Client, ClientError, ConversationOptions, Listener, RemoteFrames, Speaker};
use lipsyncd::session::SessionOptions;
use lipsyncd::telemetry::WorkClass;

const GIB: u64 = 1 << 30;
const RATE_HZ: u32 = 16_000;

/// Two devices of one lane each, with so much memory; an avatar takes 1 GiB.
async fn pair(memory_gib: [u64; 2], daemon: DaemonOptions) -> TestServer {
    let device = |at: usize| -> Arc<dyn Backend> { NamedGpu::new(cpu_backend(), at as u32, memory_gib[at] * GIB, GIB) };
    Setup { devices: vec![(device(0), 1), (device(1), 1)], ..Setup::new(daemon) }.start().await
}

fn tiny() -> AvatarId {
    TINY.parse().unwrap()
}

/// Devices that the avatar is on, in the order it came to them.
fn devices(server: &TestServer) -> Vec<usize> {
    server.daemon.registry().replicas(&tiny()).iter().map(|replica| replica.device().0).collect()
}

/// A call that takes far more frames than anybody buffers, and is not read.
async fn unread(client: &mut Client) -> RemoteFrames {
    client.synthesize(TINY, wav(&vec![0.1; 60 * RATE_HZ as usize], RATE_HZ), 0, 0).await.unwrap()
}

async fn talk(client: &mut Client) -> Result<(Speaker, Listener), ClientError> {
    talk_to(TINY, client).await
}

async fn talk_to(avatar: &str, client: &mut Client) -> Result<(Speaker, Listener), ClientError> {
    let options = ConversationOptions { avatar, sample_rate_hz: RATE_HZ, start_position: 0, idle_frames: false };
    let (speaker, listener, _) = within(client.converse(options)).await?;
    Ok((speaker, listener))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_avatar_goes_to_the_roomier_device_spreads_when_that_is_busy_and_looks_the_same_on_both() {
    let server = pair([4, 8], daemon_options(100)).await;
    let mut client = server.client().await;
    let sound = speech(21, 20 * 640, RATE_HZ);
    let backend = cpu_backend();
    let plain = engine(&backend, 1, 8, 1);
    let expected = perform(&plain, &load(&backend, &bundle()), SessionOptions::new(JPEG, RATE_HZ), &sound).await;
    let frames = async |client: &mut Client| {
        let mut stream = client.synthesize(TINY, wav(&sound, RATE_HZ), 0, 0).await.unwrap();
        let mut frames = Vec::new();
        while let Some((_, jpeg)) = within(stream.next()).await.unwrap() {
            frames.push(jpeg);
        }
        frames
    };
    assert!(frames(&mut client).await == bytes(&expected.frames));
    assert_eq!(devices(&server), [1], "device 1 has more memory free");
    eventually("the call is over", || server.daemon.sessions() == 0).await;
    let busy = unread(&mut client).await;
    let drawn = |at: usize| server.daemon.fleet().engines()[at].device_recorder().items(WorkClass::Frame);
    assert_eq!(drawn(0), 0);
    assert!(frames(&mut client).await == bytes(&expected.frames), "the other device draws other frames");
    assert_eq!(devices(&server), [1, 0]);
    // Those in which nothing is heard may be drawn once a pose or each time.
    assert!((1..=20).contains(&drawn(0)), "{}", drawn(0));
    let avatars = server.daemon.registry().all_loaded();
    assert_eq!(avatars.len(), 1, "it is one avatar");
    assert_eq!(avatars[0].usage().requests, 3, "with one account");
    drop(busy);
    eventually("all have gone", || server.daemon.sessions() == 0).await;
    assert!(server.daemon.registry().unload(&tiny()));
    drop(avatars);
    let free = |at: usize| server.daemon.fleet().engines()[at].backend().memory().unwrap().free_bytes;
    eventually("both devices let go of it", || (free(0), free(1)) == (4 * GIB, 8 * GIB)).await;
    server.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn live_streams_fill_both_devices_before_one_is_refused() {
    // As much of each device as four streams take, by a measurement of this machine.
    let backend = cpu_backend();
    let trial = engine(&backend, 1, 8, 1);
    let avatar = load(&backend, &bundle());
    rehearse(&trial, &avatar, JPEG).await.unwrap();
    let stream = f64::from(avatar.fps()) / trial.frames_per_second(&avatar).unwrap();
    let limits = AdmissionLimits { utilisation: 4.0 * stream, expected_speech: 1.0 };
    let server = pair([8, 8], DaemonOptions { admission: Some(limits), ..daemon_options(1000) }).await;
    let mut client = server.client().await;
    let mut talks = Vec::new();
    loop {
        match talk(&mut client).await {
            Ok(open) => talks.push(open),
            Err(error) => {
                assert!(error.is_full(), "{error}");
                break;
            }
        }
        assert!(talks.len() < 200, "nobody is refused");
    }
    let fleet = server.daemon.fleet();
    let live: Vec<usize> = fleet.engines().iter().map(|engine| engine.open_sessions().0).collect();
    assert_eq!(live.iter().sum::<usize>(), talks.len());
    let carried = |at: usize| {
        let replicas = server.daemon.registry().replicas(&tiny());
        let replica = replicas.iter().find(|replica| replica.device() == DeviceId(at)).expect("it is on both");
        let streams = fleet.engines()[at].frames_per_second(replica).unwrap() / f64::from(replica.fps());
        (streams * limits.utilisation) as usize
    };
    assert_eq!(live, [carried(0), carried(1)], "each carries what it was measured to");
    drop(talks);
    server.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_whose_caller_has_gone_is_finished_once_and_those_who_wait_find_it_drawn() {
    let server = Setup::new(daemon_options(100)).start().await;
    // Begun, and no longer awaited.
    let gone = tokio::time::timeout(Duration::ZERO, server.daemon.load(TINY, None)).await;
    assert!(gone.is_err(), "it takes a while");
    let wait = async || {
        let acquired = server.daemon.load(TINY, None).await.unwrap();
        let measured = server.daemon.fleet().frames_per_second(std::slice::from_ref(&acquired.avatar));
        (acquired.loading, measured.is_some())
    };
    assert_eq!(tokio::join!(wait(), wait()), ((None, true), (None, true)));
    assert_eq!(server.daemon.registry().loads().loaded, 1);
    server.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gpu_that_is_asked_for_is_taken_and_the_figures_say_which() {
    let server = pair([8, 8], daemon_options(100)).await;
    let on = async |gpu| server.daemon.load(TINY, gpu).await.unwrap().avatar.device().0;
    assert_eq!(on(Some(1)).await, 1);
    assert_eq!(on(None).await, 1, "it is loaded already");
    assert_eq!(on(Some(7)).await, 1, "there is no such GPU");
    assert_eq!(on(Some(0)).await, 0);
    let names: Vec<&str> = server.daemon.fleet().named().map(|(name, _)| name).collect();
    assert_eq!(names, ["cpu:0", "cpu:1"]);
    let page = lipsyncd::telemetry::metrics::Page::new(&server.daemon);
    page.look().await;
    let page = page.render().unwrap();
    for name in names {
        assert!(page.contains(&format!("lipsyncd_lanes{{device=\"{name}\"}} 1\n")), "{page}");
        assert!(
            page.contains(&format!("lipsyncd_device_memory_bytes{{device=\"{name}\",state=\"free\"}} {}\n", 7 * GIB))
        );
        assert!(page.contains(&format!("avatar=\"{TINY}\",device=\"{name}\"}}")), "{page}");
    }
    server.ends_clean().await;
}

/// The golden avatar as avatar `id` of `folder`.
fn copy_tiny(folder: &Path, id: &str) {
    let mut copy = std::process::Command::new("cp");
    copy.arg("-r").arg(common::avatars_dir().join(TINY)).arg(folder.join(id));
    assert!(copy.status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn networks_that_were_replaced_are_not_mixed_with_those_in_use() {
    let folder = tempfile::tempdir().unwrap();
    copy_tiny(folder.path(), TINY);
    let device = |at: u32| -> Arc<dyn Backend> { NamedGpu::new(cpu_backend(), at, 8 * GIB, GIB) };
    let devices_of = vec![(device(0), 1), (device(1), 1)];
    let avatars = folder.path().to_owned();
    let server = Setup { avatars, devices: devices_of, ..Setup::new(daemon_options(100)) }.start().await;
    let mut client = server.client().await;
    let busy = unread(&mut client).await;
    let network = server.daemon.registry().bundle_dir(&tiny()).unwrap();
    let network = lipsyncd::avatar::Bundle::open(&network).unwrap().generator.path;
    let mut data = std::fs::read(&network).unwrap();
    data.push(0);
    std::fs::write(&network, data).unwrap();
    let second = unread(&mut client).await;
    assert_eq!(devices(&server), [0], "the second call is served where the avatar is");
    let refused = server.daemon.load(TINY, Some(1)).await.err().expect("asked for by name it is refused");
    assert!(refused.to_string().contains("changed since"), "{refused}");
    drop((busy, second));
    server.ends_clean().await;
}
