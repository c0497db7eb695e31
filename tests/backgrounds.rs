//! Clients that fetch an avatar's own frames, over real sockets: many at once leave the cores to those who are drawn for.

mod common;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use common::server::{Setup, TestServer};
use common::talk::proto::get_avatar_frames_response::Item;
use common::talk::proto::lip_sync_client::LipSyncClient;
use common::talk::proto::{GetAvatarFramesRequest, GetAvatarFramesResponse};
use common::talk::{Talk, connect};
use common::{TINY, avatars_dir, daemon_options, eventually, within};
use lipsyncd::avatar::RegistryError;
use lipsyncd::picture::Quality;
use lipsyncd::rpc::{DaemonOptions, DoorOptions, RpcError};
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt as _;

async fn fetch(
    client: &mut LipSyncClient<Channel>,
    quality: u32,
) -> Result<Streaming<GetAvatarFramesResponse>, Status> {
    let request = GetAvatarFramesRequest { avatar_id: TINY.to_owned(), jpeg_quality: quality, ..Default::default() };
    Ok(within(client.get_avatar_frames(request)).await?.into_inner())
}

/// Every frame, by number, and that is all.
async fn frames(client: &mut LipSyncClient<Channel>, quality: u32) -> Vec<Vec<u8>> {
    let mut stream = fetch(client, quality).await.unwrap();
    let first = within(stream.message()).await.unwrap().unwrap();
    let Some(Item::Backgrounds(head)) = first.item else { panic!("the first message is `backgrounds`") };
    let mut frames = Vec::new();
    while let Some(answer) = within(stream.message()).await.unwrap() {
        let Some(Item::Frame(frame)) = answer.item else { panic!("the others are frames") };
        assert_eq!(frame.avatar_frame as usize, frames.len());
        frames.push(frame.jpeg.to_vec());
    }
    assert_eq!(frames.len(), head.frames as usize);
    frames
}

async fn server(doors: impl FnOnce(DoorOptions) -> DoorOptions) -> TestServer {
    let options = daemon_options(100);
    let server = Setup::new(DaemonOptions { doors: doors(options.doors), ..options }).start().await;
    server.daemon.load(TINY, None).await.unwrap();
    server
}

/// Threads of this process that are called `name`.
fn threads(name: &str) -> usize {
    let is_one =
        |task: &fs::DirEntry| fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name);
    fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok).filter(is_one).count()
}

#[test]
fn of_many_calls_as_many_encode_at_a_time_as_may_and_all_get_their_frames() {
    const WORKERS: usize = 2;
    const CALLS: u32 = 60;
    const ENCODERS: usize = 2;
    // Every blocking task has a thread of its own where none waits for one, and it stays for ten seconds.
    let name = "backgrounds";
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(WORKERS).thread_name(name).enable_all().build().unwrap();
    let ended = Arc::new(AtomicBool::new(false));
    let most = Arc::new(AtomicUsize::new(0));
    let watch = std::thread::spawn({
        let (ended, most) = (Arc::clone(&ended), Arc::clone(&most));
        move || {
            while !ended.load(Ordering::Acquire) {
                most.fetch_max(threads(name), Ordering::AcqRel);
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    });
    runtime.block_on(async {
        let server = server(|doors| DoorOptions { background_encoders: ENCODERS, ..doors }).await;
        let mut client = connect(server.address).await;
        // At the daemon's own quality nothing is encoded.
        assert!(server.avatar().keeps_backgrounds(Quality::DEFAULT));
        frames(&mut client, 0).await;
        let before = threads(name);
        most.store(0, Ordering::Release);
        let calls = (1..=CALLS).map(|quality| {
            let mut client = client.clone();
            tokio::spawn(async move { frames(&mut client, quality).await })
        });
        let calls: Vec<_> = calls.collect();
        for (quality, call) in (1..).zip(calls) {
            let frames = call.await.unwrap();
            let expected = |index| server.avatar().background_jpeg(index, Quality::new(quality).unwrap()).unwrap();
            assert!((0..frames.len()).all(|index| frames[index] == expected(index)), "quality {quality}");
        }
        let most = most.load(Ordering::Acquire);
        // A thread that has just encoded may not wait yet when the next turn begins; with one for each call it is far over a hundred.
        assert!(most < before + CALLS as usize / 2, "{before} threads before, {most} at the most");
        server.ends_clean().await;
    });
    ended.store(true, Ordering::Release);
    watch.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_so_many_such_calls_beside_its_sessions() {
    let server = server(|doors| DoorOptions { max_sessions_per_client: Some(1), ..doors }).await;
    let mut client = connect(server.address).await;
    let talk = Talk::open(&mut client, false, None).await.unwrap();
    let mut first = fetch(&mut client, 100).await.unwrap();
    let refused = fetch(&mut client, 0).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    assert!(refused.message().contains("max_sessions_per_client"), "{refused}");
    assert!(refused.get_details_retry_info().is_some_and(|info| info.retry_delay.is_some()));
    while within(first.message()).await.unwrap().is_some() {}
    let free = async { while fetch(&mut client, 0).await.is_err() {} };
    within(free).await;
    drop(talk);
    eventually("it has gone", || server.daemon.sessions() == 0).await;
    server.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_stops_begins_no_more_of_them_and_ends_those_it_has() {
    let server = server(|doors| doors).await;
    let mut client = connect(server.address).await;
    let mut begun = fetch(&mut client, 30).await.unwrap();
    server.daemon.stop();
    let refused = fetch(&mut client, 30).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    let mut answers = 0;
    while within(begun.message()).await.unwrap().is_some() {
        answers += 1;
    }
    assert_eq!(answers, 1 + server.avatar().frame_count());
    server.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_avatar_whose_frames_are_being_fetched_is_not_let_go_for_another() {
    let folder = tempfile::tempdir().unwrap();
    for id in [TINY, "other"] {
        std::os::unix::fs::symlink(avatars_dir().join(TINY), folder.path().join(id)).unwrap();
    }
    let start = async |most| {
        let setup = Setup::new(daemon_options(100));
        Setup { avatars: folder.path().to_owned(), max_resident_bytes: Some(most), ..setup }.start().await
    };
    let small = start(1).await;
    let Err(RpcError::Registry(RegistryError::TooLarge { needed, .. })) = small.daemon.load(TINY, None).await else {
        panic!("one byte is not enough")
    };
    small.ends_clean().await;

    let server = start(needed).await;
    let registry = server.daemon.registry();
    let mut client = connect(server.address).await;
    // More than the client's window has room for: it is fetched until somebody reads it.
    let unread = fetch(&mut client, 100).await.unwrap();
    let held = server.avatar().resident_bytes();
    match server.daemon.load("other", None).await {
        Err(RpcError::Registry(RegistryError::NoRoom { in_use, .. })) => assert_eq!(in_use, held),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("two are in memory"),
    }
    assert_eq!((registry.all_loaded().len(), registry.leaving_bytes()), (1, 0));
    drop(unread);
    within(async { while server.daemon.load("other", None).await.is_err() {} }).await;
    assert_eq!((registry.all_loaded().len(), registry.loads().evicted), (1, 1));
    // Lanes hold the last frames of a load for a moment, which is no reason to refuse the next.
    for id in [TINY, "other"].repeat(4) {
        server.daemon.load(id, None).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(registry.all_loaded().len(), 1);
    }
    server.ends_clean().await;
}
