//! The real server on a port of its own, driven by clients over the network.

#[path = "../common/mod.rs"]
mod common;
mod wire;

use std::time::Duration;

use common::server::{Setup, TestServer};
use common::{TINY, daemon_options, eventually, within};
use lipsyncd::rpc::ServerOptions;
use lipsyncd::telemetry::metrics::Page;
use tokio::sync::mpsc;
use tonic::Code;
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use wire::proto::converse_request::Message as Say;
use wire::proto::converse_response::Message as Heard;
use wire::proto::lip_sync_client::LipSyncClient;
use wire::proto::{EndUtterance, Interrupt, SynthesizeRequest, UnloadAvatarRequest};
use wire::{Talk, bytes_of, connect, endpoint, jpegs, request, sound, synthesize};

async fn start(max_sessions: usize, max_message_bytes: usize) -> TestServer {
    let server = ServerOptions { max_message_bytes, drain: Duration::from_secs(40), keepalive: None };
    Setup { server, ..Setup::new(daemon_options(max_sessions)) }.start().await
}

/// For tests that look at neither limit.
async fn roomy() -> TestServer {
    start(100, 16 << 20).await
}

#[tokio::test]
async fn synthesize_streams_every_frame_of_the_sound() {
    let server = roomy().await;
    let mut client = connect(&server).await;
    let frames = synthesize(&mut client, request(&sound(1, 30)[..18_900], 4)).await.unwrap();
    assert_eq!(frames.len(), 30);
    let avatar = server.daemon.registry().loaded(&TINY.parse().unwrap()).expect("it has just been drawn");
    for (index, frame) in (0u64..).zip(&frames) {
        assert_eq!((frame.index, frame.utterance), (index, 0));
        assert_eq!((frame.pts_us, frame.audio_sample), (index * 40_000, index * 640));
        assert_eq!(frame.avatar_frame as usize, avatar.frame_at(4 + index));
        let (width_px, height_px, _) = common::decode_jpeg(&frame.jpeg);
        assert_eq!((width_px, height_px), (270, 203));
    }
    let small = SynthesizeRequest { jpeg_quality: 20, ..request(&sound(1, 2), 0) };
    let small = synthesize(&mut client, small).await.unwrap();
    assert!(small[0].jpeg.len() * 2 < frames[0].jpeg.len(), "quality 20 is smaller than 75");
    server.ends_clean().await;
}

#[tokio::test]
async fn converse_gives_the_frames_of_synthesize_utterance_by_utterance() {
    let server = roomy().await;
    let mut client = connect(&server).await;
    let (first, second) = (sound(2, 22), &sound(3, 13)[..8_000]);
    let expected = [
        synthesize(&mut client, request(&first, 0)).await.unwrap(),
        synthesize(&mut client, request(second, 22)).await.unwrap(),
    ];
    let mut talk = Talk::open(&mut client).await.unwrap();
    talk.speak(&first).await;
    talk.say(Say::EndUtterance(EndUtterance {})).await;
    // The second is said before the first is seen.
    talk.speak(second).await;
    talk.say(Say::EndUtterance(EndUtterance {})).await;
    for (number, (expected, samples)) in (0u32..).zip(expected.iter().zip([first.len(), second.len()])) {
        let (frames, done) = talk.utterance().await;
        assert!(jpegs(&frames) == jpegs(expected), "utterance {number} differs");
        assert!(frames.iter().all(|frame| frame.utterance == number));
        let told = (done.utterance, done.frames, done.samples);
        assert_eq!(told, (number, expected.len() as u64, samples as u64));
    }
    drop(talk);
    server.ends_clean().await;
}

#[tokio::test]
async fn a_message_of_seconds_keeps_its_place_among_short_ones() {
    let server = roomy().await;
    let mut client = connect(&server).await;
    let sound = sound(8, 50);
    let expected = synthesize(&mut client, request(&sound, 0)).await.unwrap();
    let mut talk = Talk::open(&mut client).await.unwrap();
    let (first, rest) = sound.split_at(3_200);
    let (long, last) = rest.split_at(24_000);
    talk.speak(first).await;
    talk.say(Say::Audio(bytes_of(long))).await;
    talk.speak(last).await;
    talk.say(Say::EndUtterance(EndUtterance {})).await;
    let (frames, done) = talk.utterance().await;
    assert!(jpegs(&frames) == jpegs(&expected));
    assert_eq!((done.frames, done.samples), (50, sound.len() as u64));
    drop(talk);
    server.ends_clean().await;
}

#[tokio::test]
async fn an_interrupt_cuts_and_the_next_utterance_goes_on() {
    let server = roomy().await;
    let mut client = connect(&server).await;
    let mut talk = Talk::open(&mut client).await.unwrap();
    // Ten seconds, more than is drawn before the client says stop.
    talk.speak(&sound(4, 100)).await;
    let Heard::Frame(first) = talk.next().await.unwrap() else { panic!("not a frame") };
    talk.say(Say::Interrupt(Interrupt {})).await;
    let (rest, cut) = talk.cut().await;
    assert_eq!(first.index, 0);
    let seen = 1 + rest.len() as u64;
    assert_eq!((cut.utterance, cut.frames, cut.audio_sample), (0, seen, seen * 640));
    assert_eq!(cut.next_position, seen);
    let next = sound(5, 12);
    talk.speak(&next).await;
    talk.say(Say::EndUtterance(EndUtterance {})).await;
    let (frames, done) = talk.utterance().await;
    assert_eq!((done.utterance, done.frames), (1, 12));
    let expected = synthesize(&mut client, request(&next, cut.next_position)).await.unwrap();
    assert!(jpegs(&frames) == jpegs(&expected), "something of the cut utterance remained");
    drop(talk);
    server.ends_clean().await;
}

#[tokio::test]
async fn closing_the_stream_ends_the_utterance() {
    let server = roomy().await;
    let mut client = connect(&server).await;
    let sound = sound(6, 15);
    let expected = synthesize(&mut client, request(&sound, 0)).await.unwrap();
    let mut talk = Talk::open(&mut client).await.unwrap();
    talk.speak(&sound).await;
    let (closed, _) = mpsc::channel(1);
    talk.say = closed;
    let (frames, done) = talk.utterance().await;
    assert!(jpegs(&frames) == jpegs(&expected));
    assert_eq!(done.frames, 15);
    assert!(within(talk.hear.message()).await.unwrap().is_none(), "the call ends with status OK");
    server.ends_clean().await;
}

#[tokio::test]
async fn stopping_lets_running_sound_end_and_idle_calls_go() {
    let server = roomy().await;
    let mut client = connect(&server).await;
    let mut health = HealthClient::new(endpoint(&server).connect().await.unwrap());
    let service = HealthCheckRequest { service: "lipsync.v1.LipSync".to_owned() };
    let mut watch = within(health.watch(service)).await.unwrap().into_inner();
    let status = |response: tonic_health::pb::HealthCheckResponse| response.status;
    assert_eq!(status(within(watch.message()).await.unwrap().unwrap()), ServingStatus::Serving as i32);

    let mut idle = Talk::open(&mut client).await.unwrap();
    // The stream's window holds part of it, so that it is still running when the stop comes.
    let narrow = endpoint(&server).initial_stream_window_size(65_535).connect().await.unwrap();
    let mut running = LipSyncClient::new(narrow);
    let mut stream = within(running.synthesize(request(&sound(7, 50), 0))).await.unwrap().into_inner();
    assert!(within(stream.message()).await.unwrap().is_some());

    server.stop.send(()).unwrap();
    assert_eq!(status(within(watch.message()).await.unwrap().unwrap()), ServingStatus::NotServing as i32);
    let Err(gone) = idle.next().await else { panic!("an idle call outlived the stop") };
    assert_eq!(gone.code(), Code::Unavailable, "{gone}");
    let mut frames = 1;
    while within(stream.message()).await.unwrap().is_some() {
        frames += 1;
    }
    assert_eq!(frames, 50, "the running call was cut short");
    // A watcher of the health, such as a load balancer, does not hold the end up.
    within(server.running).await.unwrap().unwrap();
    assert!(within(watch.message()).await.is_ok_and(|end| end.is_none()), "the watch ends as well");
    assert_eq!(server.daemon.sessions(), 0);
    let page = Page::new(&server.daemon).render().unwrap();
    assert!(page.contains("lipsyncd_sessions_ended_total{kind=\"live\",end=\"stopped\"} 1\n"), "{page}");
    assert!(page.contains("lipsyncd_sessions_ended_total{kind=\"whole\",end=\"done\"} 1\n"), "{page}");
}

#[tokio::test]
async fn a_session_too_many_is_refused_and_a_place_left_is_free() {
    let server = start(1, 16 << 20).await;
    let mut client = connect(&server).await;
    let talk = Talk::open(&mut client).await.unwrap();
    assert_eq!(server.daemon.sessions(), 1);
    let Err(full) = Talk::open(&mut client).await else { panic!("a second session of one") };
    assert_eq!(full.code(), Code::ResourceExhausted, "{full}");
    assert!(full.message().contains("max_sessions"), "{full}");
    let full = synthesize(&mut client, request(&sound(8, 1), 0)).await.unwrap_err();
    assert_eq!(full.code(), Code::ResourceExhausted, "{full}");
    drop(talk);
    eventually("the place is free", || server.daemon.sessions() == 0).await;
    assert_eq!(synthesize(&mut client, request(&sound(8, 1), 0)).await.unwrap().len(), 1);
    server.ends_clean().await;
}

#[tokio::test]
async fn clients_that_vanish_free_their_places() {
    let server = roomy().await;
    // Each on a connection of its own that goes with it: in the middle of sound, of frames, of nothing.
    let mut speaking_client = connect(&server).await;
    let speaking = Talk::open(&mut speaking_client).await.unwrap();
    speaking.speak(&sound(9, 30)).await;
    let mut idle_client = connect(&server).await;
    let idle = Talk::open(&mut idle_client).await.unwrap();
    let mut reading_client = connect(&server).await;
    let mut reading = within(reading_client.synthesize(request(&sound(10, 500), 0))).await.unwrap().into_inner();
    assert!(within(reading.message()).await.unwrap().is_some());
    assert_eq!(server.daemon.sessions(), 3);
    drop((speaking, speaking_client));
    drop((idle, idle_client));
    drop((reading, reading_client));
    eventually("their places are free", || server.daemon.sessions() == 0).await;
    let avatar = server.daemon.registry().loaded(&TINY.parse().unwrap()).unwrap();
    eventually("their frames are gone", || avatar.jpeg_pool().usage() == (0, 0)).await;
    eventually("their work is gone", || server.daemon.fleet().waiting() == (0, 0)).await;
    server.ends_clean().await;
}

#[tokio::test]
async fn a_client_that_never_reads_holds_nobody_up() {
    let server = roomy().await;
    // On the same connection too, whose window has room for all.
    let endpoint = endpoint(&server).initial_stream_window_size(65_535).initial_connection_window_size(4 << 20);
    let mut client = LipSyncClient::new(endpoint.connect().await.unwrap());
    let expected = synthesize(&mut client, request(&sound(11, 20), 0)).await.unwrap();
    let mut deaf = Vec::new();
    for seed in 0..4 {
        // Ten seconds: far more than windows and buffers hold.
        deaf.push(within(client.synthesize(request(&sound(seed, 250), 0))).await.unwrap().into_inner());
    }
    for mut reader in [client, connect(&server).await] {
        let frames = synthesize(&mut reader, request(&sound(11, 20), 0)).await.unwrap();
        assert!(jpegs(&frames) == jpegs(&expected));
    }
    assert_eq!(server.daemon.sessions(), 4, "who does not read waits, and is not ended");
    let heard = within(deaf[0].message()).await.unwrap().and_then(|response| response.frame);
    assert_eq!(heard.map(|frame| frame.index), Some(0), "and finds everything");
    drop(deaf);
    server.ends_clean().await;
}

#[tokio::test]
async fn messages_beyond_the_limit_are_refused_and_the_next_is_served() {
    let server = start(100, 100_000).await;
    let mut client = connect(&server).await;
    let refused = synthesize(&mut client, request(&sound(12, 50), 0)).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange, "{refused}");
    assert!(refused.message().contains("100000"), "the limit is named: {refused}");
    let mut talk = Talk::open(&mut client).await.unwrap();
    talk.say(Say::Audio(vec![0; 100_001].into())).await;
    let Err(refused) = talk.next().await else { panic!("a message beyond the limit was taken") };
    assert_eq!(refused.code(), Code::OutOfRange, "{refused}");
    assert_eq!(synthesize(&mut client, request(&sound(12, 3), 0)).await.unwrap().len(), 3);
    server.ends_clean().await;
}

#[tokio::test]
async fn an_unloaded_avatar_is_drawn_to_the_end_and_loaded_again() {
    let server = roomy().await;
    let mut client = connect(&server).await;
    let expected = synthesize(&mut client, request(&sound(13, 20), 0)).await.unwrap();
    let mut talk = Talk::open(&mut client).await.unwrap();
    talk.speak(&sound(13, 20)).await;
    let unload = || UnloadAvatarRequest { avatar_id: TINY.to_owned() };
    within(client.unload_avatar(unload())).await.unwrap();
    let nothing = within(client.unload_avatar(unload())).await.unwrap_err();
    assert_eq!(nothing.code(), Code::FailedPrecondition, "{nothing}");
    talk.say(Say::EndUtterance(EndUtterance {})).await;
    let (frames, _) = talk.utterance().await;
    assert!(jpegs(&frames) == jpegs(&expected), "the session kept its avatar");
    let again = synthesize(&mut client, request(&sound(13, 20), 0)).await.unwrap();
    assert!(jpegs(&again) == jpegs(&expected));
    drop(talk);
    server.ends_clean().await;
}
