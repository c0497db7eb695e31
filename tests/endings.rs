//! However a call ends, what it held is free: its place, its turn, its work, its buffers. Over real sockets.
//!
//! How long that takes is measured by `cargo bench --bench endings`.

mod common;

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::relay::Relay;
use common::server::{Setup, TestServer};
use common::speech::speech;
use common::talk::proto::{
    AudioFormat, ConverseRequest, EndUtterance, GetAvatarFramesRequest, Interrupt, SynthesizeRequest,
};
use common::talk::{Heard, RATE_HZ, Say, Talk, bytes_of, connect, under_way};
use common::{TINY, daemon_options, eventually, within};
use lipsyncd::rpc::{DaemonOptions, ServerOptions};
use lipsyncd::session::SessionOptions;
use lipsyncd::telemetry::metrics::Page;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request};

async fn server(idle: Option<Duration>, keepalive: Option<Duration>) -> TestServer {
    let setup = Setup::new(DaemonOptions { idle, ..daemon_options(100) });
    let server = ServerOptions { keepalive, ..setup.server };
    Setup { server, ..setup }.start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_cancelled_frees_everything_and_its_connection_lives_on() {
    let server = server(None, None).await;
    let mut client = connect(server.address).await;
    for idle_frames in [false, true] {
        drop(under_way(&mut client, idle_frames, None).await);
        server.is_free().await;
    }
    let talk = under_way(&mut client, false, None).await;
    drop((talk, client));
    server.is_free().await;
    server.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_goes_silent_without_closing_is_found_out() {
    let server = server(None, Some(Duration::from_millis(400))).await;
    let relay = Relay::to(server.address).await;
    let mut client = connect(relay.address).await;
    let speaking = under_way(&mut client, false, None).await;
    let watching = under_way(&mut client, true, None).await;
    relay.freeze();
    server.is_free().await;
    drop((speaking, watching));
    server.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_ends_at_its_deadline_whether_it_is_read_or_not() {
    let server = server(None, None).await;
    let mut client = connect(server.address).await;
    for idle_frames in [false, true] {
        let mut read = under_way(&mut client, idle_frames, Some("1500m")).await;
        let status = read.end().await;
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
        server.is_free().await;
        // Frames of ten seconds are far more than the window holds: it is parked.
        let mut unread = under_way(&mut client, idle_frames, Some("1500m")).await;
        server.is_free_but(2).await;
        assert_eq!(unread.end().await.code(), Code::DeadlineExceeded);
        server.is_free().await;
    }
    server.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_in_which_nothing_happens_times_out_and_one_that_is_kept_up_does_not() {
    let server = server(Some(Duration::from_millis(1200)), None).await;
    let mut client = connect(server.address).await;
    let mut kept = Talk::open(&mut client, false, None).await.unwrap();
    for idle_frames in [false, true] {
        let mut silent = Talk::open(&mut client, idle_frames, None).await.unwrap();
        let keep_up = async {
            loop {
                kept.say(Say::Audio(Bytes::new())).await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let status = tokio::select! {
            status = silent.end() => status,
            () = keep_up => unreachable!(),
        };
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
        assert!(status.message().contains("empty `audio`"), "{status}");
        assert_eq!(server.daemon.sessions(), 1);
    }
    kept.speak(&speech(2, 3_200, RATE_HZ)).await;
    kept.say(Say::EndUtterance(EndUtterance {})).await;
    assert!(matches!(kept.next().await.unwrap(), Heard::Started(_)));
    assert!(matches!(kept.next().await.unwrap(), Heard::Frame(_)), "it is as alive as ever");
    drop(kept);
    server.is_free().await;
    // Whoever opens a call and does not even say for what.
    let (say, said) = mpsc::channel::<ConverseRequest>(1);
    let status = within(client.converse(ReceiverStream::new(said))).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    drop(say);
    server.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_reads_is_let_go_of_though_it_cannot_be_told() {
    let server = server(Some(Duration::from_millis(1200)), None).await;
    let mut client = connect(server.address).await;
    let request = SynthesizeRequest {
        avatar_id: TINY.to_owned(),
        audio: bytes_of(&speech(3, 20 * RATE_HZ as usize, RATE_HZ)),
        audio_format: AudioFormat::F32le.into(),
        sample_rate_hz: RATE_HZ,
        ..SynthesizeRequest::default()
    };
    let mut whole = within(client.synthesize(request)).await.unwrap().into_inner();
    let mut live = under_way(&mut client, false, None).await;
    server.is_free_but(4).await;
    let status = live.end().await;
    assert!(status.code() == Code::DeadlineExceeded && status.message().contains("not been read"), "{status}");
    let status = loop {
        match within(whole.message()).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it ended as if it were whole"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    server.is_free().await;
    server.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_holds_back_its_own_sound_and_nobody_elses() {
    let server = server(Some(Duration::from_secs(10)), None).await;
    let mut client = connect(server.address).await;
    let mut slow = Talk::open(&mut client, false, None).await.unwrap();
    // As fast as the daemon takes it, read by nobody: sixty seconds of it wait there, and the rest here.
    let sound = speech(4, RATE_HZ as usize, RATE_HZ);
    let mut taken_s = 0;
    let speak = async {
        loop {
            slow.speak(&sound).await;
            taken_s += 1;
        }
    };
    let held_back = tokio::time::timeout(Duration::from_secs(4), speak).await;
    assert!(held_back.is_err(), "more than a minute and a half was taken");
    assert!((60..100).contains(&taken_s), "{taken_s} s");
    let mut other = Talk::open(&mut client, false, None).await.unwrap();
    assert!(matches!(other.next().await.unwrap(), Heard::Started(_)));
    other.speak(&sound).await;
    other.say(Say::EndUtterance(EndUtterance {})).await;
    for _ in 0..25 {
        assert!(matches!(other.next().await.unwrap(), Heard::Frame(_)));
    }
    assert!(matches!(slow.next().await.unwrap(), Heard::Started(_)));
    assert!(matches!(slow.next().await.unwrap(), Heard::Frame(frame) if frame.index == 0), "nothing was dropped");
    // What hyper has of it to send keeps the call open here, so that the daemon hears nothing of its end.
    drop((slow, other));
    server.is_free_but(2).await;
    server.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_interrupt_is_answered_however_late_the_answers_are_read() {
    let server = server(None, None).await;
    let mut client = connect(server.address).await;
    let mut talk = under_way(&mut client, false, None).await;
    // The window is full, so that no answer is asked for.
    eventually("frames wait", || server.avatar().jpeg_pool().usage().1 >= SessionOptions::LIVE_OUTBOX).await;
    for _ in 0..40 {
        talk.say(Say::Interrupt(Interrupt {})).await;
    }
    let page = || Page::new(&server.daemon).render().unwrap();
    eventually("they are being heard", || page().contains("lipsyncd_interrupts_total 1\n")).await;
    for answer in 0..40 {
        let cut = loop {
            match talk.next().await.unwrap() {
                Heard::Frame(_) if answer == 0 => {}
                Heard::Interrupted(cut) => break cut,
                other => panic!("after {answer} answers: {other:?}"),
            }
        };
        assert_eq!(cut.utterance, u32::from(answer > 0));
    }
    talk.speak(&speech(2, 3_200, RATE_HZ)).await;
    talk.say(Say::EndUtterance(EndUtterance {})).await;
    assert!(
        matches!(talk.next().await.unwrap(), Heard::Frame(frame) if frame.utterance == 1),
        "no answer is left over"
    );
    drop(talk);
    server.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn backgrounds_that_are_not_read_let_go_of_their_avatar() {
    for (idle, timeout, why) in [(Some(Duration::from_millis(1200)), "1H", "not been read"), (None, "4S", "deadline")] {
        let server = server(idle, None).await;
        // Its loading is not to take of the deadline.
        server.daemon.load(TINY, None).await.unwrap();
        let mut client = connect(server.address).await;
        let message = GetAvatarFramesRequest { avatar_id: TINY.to_owned(), jpeg_quality: 100, ..Default::default() };
        let mut request = Request::new(message);
        request.metadata_mut().insert("grpc-timeout", timeout.parse().unwrap());
        let mut unread = within(client.get_avatar_frames(request)).await.unwrap().into_inner();
        let avatar = Arc::downgrade(&server.avatar());
        assert!(server.daemon.registry().unload(&TINY.parse().unwrap()));
        eventually("nobody holds the avatar", || avatar.upgrade().is_none()).await;
        let status = loop {
            match within(unread.message()).await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it ended as if it were whole"),
                Err(status) => break status,
            }
        };
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
        assert!(status.message().contains(why), "{status}");
        drop((unread, client));
        server.ends_clean().await;
    }
}

/// HTTP/2 (RFC 9113): the preface with an empty SETTINGS, and the frame whose answer an ending server waits for.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const PING: u8 = 6;
const ACK: u8 = 1;

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_daemon_ends_is_not_reset_by_what_still_comes() {
    let setup = Setup::new(daemon_options(100));
    let options = ServerOptions { drain: Duration::from_secs(50), ..setup.server };
    let server = Setup { server: options, ..setup }.start().await;
    let mut connection = TcpStream::connect(server.address).await.unwrap();
    connection.write_all(PREFACE).await.unwrap();
    let mut head = [0; 9];
    within(connection.read_exact(&mut head)).await.unwrap();
    server.stop.send(()).unwrap();
    loop {
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        within(connection.read_exact(&mut payload)).await.unwrap();
        if (head[3], head[4] & ACK) == (PING, 0) {
            head[4] |= ACK;
            connection.write_all(&[&head[..], &payload].concat()).await.unwrap();
        }
        if let Err(end) = within(connection.read_exact(&mut head)).await {
            assert_eq!(end.kind(), ErrorKind::UnexpectedEof, "{end}");
            break;
        }
    }
    // As a client does that has read of the connection's end only in part.
    for _ in 0..3 {
        connection.write_all(b"\0\0\x08\x06\0\0\0\0\0last one").await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(connection.read(&mut head).await.unwrap(), 0);
    }
    assert!(!server.running.is_finished(), "it waits for the other end");
    drop(connection);
    within(server.running).await.unwrap().unwrap();
}
