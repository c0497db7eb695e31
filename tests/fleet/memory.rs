//! Devices without room: who is refused, who gives way, and who stays.

use std::sync::Arc;

use lipsyncd::backend::Backend;
use lipsyncd::batch::{AdmissionLimits, rehearse};
use lipsyncd::rpc::DaemonOptions;
use lipsyncd::rpc::client::ClientError;
use tempfile::TempDir;

use crate::common::gpu::NamedGpu;
use crate::common::server::{Setup, TestServer, wav};
use crate::common::{JPEG, TINY, bundle, cpu_backend, daemon_options, engine, eventually, load, within};
use crate::{GIB, RATE_HZ, copy_tiny, devices, pair, talk_to, unread};

/// The small avatar under two names, on these devices of one lane each. The folder goes with the first of the answers.
async fn serve_two(names: [&str; 2], gpus: &[Arc<NamedGpu>], daemon: DaemonOptions) -> (TempDir, TestServer) {
    let folder = tempfile::tempdir().unwrap();
    names.iter().for_each(|name| copy_tiny(folder.path(), name));
    let devices = gpus.iter().map(|gpu| -> (Arc<dyn Backend>, usize) { (gpu.clone(), 1) }).collect();
    let server = Setup { avatars: folder.path().to_owned(), devices, ..Setup::new(daemon) }.start().await;
    (folder, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_avatar_stays_on_its_device_where_the_other_has_no_memory() {
    let server = pair([0, 8], daemon_options(100)).await;
    let mut client = server.client().await;
    let first = unread(&mut client).await;
    let second = unread(&mut client).await;
    assert_eq!(devices(&server), [1]);
    drop((first, second));
    server.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_device_is_left_for_one_that_has_had_memory_only_since_the_last_look() {
    let gpus = [NamedGpu::new(cpu_backend(), 0, GIB, GIB), NamedGpu::new(cpu_backend(), 1, GIB, GIB)];
    let (_folder, server) = serve_two([TINY, "other"], &gpus, daemon_options(100)).await;
    let mut client = server.client().await;
    server.daemon.load(TINY, Some(0)).await.unwrap();
    server.daemon.load("other", Some(1)).await.unwrap();
    let first = unread(&mut client).await;
    let seen = || server.daemon.fleet().engines()[1].backend().memory().unwrap().free_bytes;
    eventually("the second device is known to be full", || seen() == 0).await;
    assert!(server.daemon.registry().unload(&"other".parse().unwrap()));
    eventually("it is not any more", || gpus[1].free_bytes() == GIB).await;
    let second = unread(&mut client).await;
    assert_eq!(devices(&server), [0, 1]);
    drop((first, second));
    server.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_stays_on_the_avatars_own_device_when_the_other_turns_out_to_be_full() {
    // By the size of its files a second avatar would fit on device 1.
    let gpus = [NamedGpu::new(cpu_backend(), 0, GIB, GIB), NamedGpu::new(cpu_backend(), 1, 2 * GIB - 1, GIB)];
    // However slow this machine is, a stream that says nothing takes nothing of a device.
    let limits = AdmissionLimits { utilisation: 1e6, expected_speech: 0.0 };
    let daemon = DaemonOptions { admission: Some(limits), ..daemon_options(100) };
    let (_folder, server) = serve_two([TINY, "other"], &gpus, daemon).await;
    let mut client = server.client().await;
    server.daemon.load(TINY, Some(0)).await.unwrap();
    server.daemon.load("other", Some(1)).await.unwrap();
    // One that is open and says nothing: its avatar is in use, and its device has time.
    let quiet = talk_to("other", &mut client).await.unwrap();
    let mut watched = Vec::new();
    for _ in 0..3 {
        watched.push(unread(&mut client).await);
        within(watched.last_mut().unwrap().next()).await.unwrap();
    }
    assert_eq!(devices(&server), [0]);
    let registry = server.daemon.registry();
    assert_eq!(registry.loads().no_room, 1, "the full device is asked once, and then not for a while");
    drop((quiet, watched));
    server.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_avatar_that_no_emptying_makes_room_for_sends_none_away() {
    // Nothing of "second" can be drawn there, however empty it is.
    let gpu = NamedGpu::with_lanes(cpu_backend(), 0, 3 * GIB, (GIB, 4 * GIB));
    let (_folder, server) = serve_two(["first", "second"], std::slice::from_ref(&gpu), daemon_options(100)).await;
    for id in ["first", "second", "first"] {
        let refused = server.daemon.load(id, None).await.err().expect("it cannot be drawn");
        assert!(refused.to_string().contains("cannot be drawn"), "{refused}");
    }
    let loads = server.daemon.registry().loads();
    assert_eq!((loads.loaded, loads.evicted, loads.failed), (0, 0, 3));
    server.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_failed_batch_took_is_no_measure_of_the_device() {
    let backend: Arc<dyn Backend> = NamedGpu::with_lanes(cpu_backend(), 0, 3 * GIB, (GIB, 4 * GIB));
    let engine = engine(&backend, 1, 8, 1);
    let avatar = load(&backend, &bundle());
    rehearse(&engine, &avatar, JPEG).await.expect_err("its lanes find no memory");
    assert!(engine.frames_per_second(&avatar).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_device_idle_avatars_give_way_and_those_in_use_stay() {
    let gpu = NamedGpu::new(cpu_backend(), 0, GIB, GIB);
    let (_folder, server) = serve_two(["first", "second"], std::slice::from_ref(&gpu), daemon_options(100)).await;
    let registry = server.daemon.registry();
    let loaded = || registry.all_loaded().iter().map(|avatar| avatar.id().to_string()).collect::<Vec<_>>();
    server.daemon.load("first", None).await.unwrap();
    assert_eq!(loaded(), ["first"]);
    let mut client = server.client().await;
    let sound = wav(&vec![0.1; 60 * RATE_HZ as usize], RATE_HZ);
    let mut watched = client.synthesize("second", sound.clone(), 0, 0).await.unwrap();
    within(watched.next()).await.unwrap();
    assert_eq!(loaded(), ["second"]);
    let refused = client.synthesize("first", sound, 0, 0).await.err().expect("there is no room");
    let ClientError::Refused(status) = &refused else { panic!("{refused}") };
    assert_eq!(status.code(), tonic::Code::ResourceExhausted, "{refused}");
    assert!(refused.to_string().contains("in use"), "{refused}");
    assert_eq!((loaded(), registry.loads().evicted, registry.loads().no_room), (vec!["second".to_owned()], 1, 1));
    within(watched.next()).await.unwrap();
    drop(watched);
    server.ends_clean().await;
}

/// What lanes take beside an avatar's networks is taken when they first draw it, which is a part of loading it.
#[tokio::test(flavor = "multi_thread")]
async fn an_avatar_that_loads_and_cannot_be_drawn_for_lack_of_memory_is_refused_alone() {
    let gpu = NamedGpu::with_lanes(cpu_backend(), 0, 3 * GIB, (GIB, GIB));
    let (_folder, server) = serve_two(["first", "second"], std::slice::from_ref(&gpu), daemon_options(100)).await;
    let registry = server.daemon.registry();
    let loaded = || registry.all_loaded().iter().map(|avatar| avatar.id().to_string()).collect::<Vec<_>>();
    let free_gib = || gpu.free_bytes() / GIB;
    let mut client = server.client().await;
    let sound = wav(&vec![0.1; 60 * RATE_HZ as usize], RATE_HZ);
    let mut watched = client.synthesize("first", sound.clone(), 0, 0).await.unwrap();
    within(watched.next()).await.unwrap();
    assert_eq!(free_gib(), 1);
    let refused = client.synthesize("second", sound.clone(), 0, 0).await.err().expect("there is no room");
    let ClientError::Refused(status) = &refused else { panic!("{refused}") };
    assert_eq!(status.code(), tonic::Code::ResourceExhausted, "{refused}");
    for part in ["\"second\"", "cannot be drawn", "in use: retry later"] {
        assert!(refused.to_string().contains(part), "{refused}");
    }
    assert_eq!((loaded(), registry.loads().no_room), (vec!["first".to_owned()], 1));
    // With the last that holds it, which may be the lane that has just refused its frames.
    eventually("what it took is given back", || free_gib() == 1).await;
    within(watched.next()).await.unwrap();
    drop(watched);
    eventually("the call is over", || server.daemon.sessions() == 0).await;
    let mut watched = client.synthesize("second", sound, 0, 0).await.unwrap();
    within(watched.next()).await.unwrap();
    assert_eq!((loaded(), registry.loads().evicted), (vec!["second".to_owned()], 1));
    assert_eq!(free_gib(), 1);
    drop(watched);
    server.ends_clean().await;
}
