//! The real server on a port of its own, driven by clients over the network.

mod common;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::speech::speech;
use common::{TINY, avatars_dir, cpu_backend, daemon_options, engine, eventually, templates, within};
use lipsyncd::avatar::{EvictPolicy, Registry, ResidencyLimits};
use lipsyncd::rpc::{self, Daemon, ServerError, ServerOptions};
use proto::converse_request::Message as Say;
use proto::converse_response::Message as Heard;
use proto::lip_sync_client::LipSyncClient;
use proto::{
    AudioFormat, ConverseRequest, ConverseResponse, EndUtterance, Frame, Interrupt, Interrupted, Start,
    SynthesizeRequest, UnloadAvatarRequest, UtteranceDone,
};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// What the build script generated, clients included; the library keeps its own copy to itself.
#[allow(dead_code, clippy::pedantic, clippy::nursery)] // Generated, and not all of it is called here.
mod proto {
    tonic::include_proto!("lipsync.v1");
}

const RATE_HZ: u32 = 16_000;

/// A server, and the daemon behind it.
struct TestServer {
    address: SocketAddr,
    daemon: Arc<Daemon>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), ServerError>>,
}

impl TestServer {
    async fn start(max_sessions: usize, max_message_bytes: usize) -> Self {
        let backend = cpu_backend();
        let limits = ResidencyLimits { max_resident_bytes: None, evict: EvictPolicy::default() };
        let registry = Arc::new(Registry::new(avatars_dir(), [Arc::clone(&backend)], limits, templates()));
        let options = daemon_options(max_sessions);
        let daemon = Arc::new(Daemon::new(engine(&backend, 2, 8, 1), registry, options));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let options = ServerOptions { max_message_bytes, drain: Duration::from_secs(40), keepalive: None };
        let running = tokio::spawn(rpc::run(Arc::clone(&daemon), listener, options, async {
            let _ = stopped.await;
        }));
        Self { address, daemon, stop, running }
    }

    /// For tests that look at neither limit.
    async fn roomy() -> Self {
        Self::start(100, 16 << 20).await
    }

    /// A connection of its own.
    async fn connect(&self) -> Channel {
        self.endpoint().connect().await.unwrap()
    }

    async fn client(&self) -> LipSyncClient<Channel> {
        LipSyncClient::new(self.connect().await)
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::from_shared(format!("http://{}", self.address)).unwrap()
    }

    /// No session is left and the server ends when it is asked to.
    async fn ends_clean(self) {
        eventually("every session has ended", || self.daemon.sessions() == 0).await;
        self.stop.send(()).unwrap();
        within(self.running).await.unwrap().unwrap();
    }
}

fn bytes_of(samples: &[f32]) -> Bytes {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

/// `frames` frames of sound.
fn sound(seed: u64, frames: usize) -> Vec<f32> {
    speech(seed, frames * RATE_HZ as usize / 25, RATE_HZ)
}

fn request(samples: &[f32], start_position: u64) -> SynthesizeRequest {
    SynthesizeRequest {
        avatar_id: TINY.to_owned(),
        audio: bytes_of(samples),
        audio_format: AudioFormat::F32le.into(),
        sample_rate_hz: RATE_HZ,
        start_position,
        jpeg_quality: 0,
        output: 0,
    }
}

async fn synthesize(client: &mut LipSyncClient<Channel>, request: SynthesizeRequest) -> Result<Vec<Frame>, Status> {
    let mut stream = within(client.synthesize(request)).await?.into_inner();
    let mut frames = Vec::new();
    while let Some(response) = within(stream.message()).await? {
        frames.push(response.frame.expect("every response holds a frame"));
    }
    Ok(frames)
}

fn jpegs(frames: &[Frame]) -> Vec<&[u8]> {
    frames.iter().map(|frame| frame.jpeg.as_ref()).collect()
}

/// The client's side of a `Converse` call.
struct Talk {
    say: mpsc::Sender<ConverseRequest>,
    hear: Streaming<ConverseResponse>,
}

impl Talk {
    async fn open(client: &mut LipSyncClient<Channel>) -> Result<Self, Status> {
        let (say, said) = mpsc::channel(64);
        let start = Start {
            avatar_id: TINY.to_owned(),
            audio_format: AudioFormat::F32le.into(),
            sample_rate_hz: RATE_HZ,
            start_position: 0,
            jpeg_quality: 0,
            output: 0,
            idle_frames: false,
        };
        say.send(ConverseRequest { message: Some(Say::Start(start)) }).await.unwrap();
        let hear = within(client.converse(ReceiverStream::new(said))).await?.into_inner();
        let mut talk = Self { say, hear };
        let Heard::Started(started) = talk.next().await? else { panic!("the first message is `started`") };
        assert_eq!((started.fps, started.width, started.height), (25, 270, 203));
        Ok(talk)
    }

    async fn say(&self, message: Say) {
        within(self.say.send(ConverseRequest { message: Some(message) })).await.unwrap();
    }

    /// `samples` in chunks of an odd size.
    async fn speak(&self, samples: &[f32]) {
        for chunk in samples.chunks(333) {
            self.say(Say::Audio(bytes_of(chunk))).await;
        }
    }

    async fn next(&mut self) -> Result<Heard, Status> {
        let message = within(self.hear.message()).await?;
        Ok(message.and_then(|response| response.message).expect("the call ended without a status"))
    }

    /// Frames up to the end of the utterance.
    async fn utterance(&mut self) -> (Vec<Frame>, UtteranceDone) {
        let mut frames = Vec::new();
        loop {
            match self.next().await.unwrap() {
                Heard::Frame(frame) => frames.push(frame),
                Heard::UtteranceDone(done) => return (frames, done),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Frames up to the cut.
    async fn cut(&mut self) -> (Vec<Frame>, Interrupted) {
        let mut frames = Vec::new();
        loop {
            match self.next().await.unwrap() {
                Heard::Frame(frame) => frames.push(frame),
                Heard::Interrupted(cut) => return (frames, cut),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn synthesize_streams_every_frame_of_the_sound() {
    let server = TestServer::roomy().await;
    let mut client = server.client().await;
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
    let server = TestServer::roomy().await;
    let mut client = server.client().await;
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
async fn an_interrupt_cuts_and_the_next_utterance_goes_on() {
    let server = TestServer::roomy().await;
    let mut client = server.client().await;
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
    let server = TestServer::roomy().await;
    let mut client = server.client().await;
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
    let server = TestServer::roomy().await;
    let mut client = server.client().await;
    let mut health = HealthClient::new(server.connect().await);
    let service = HealthCheckRequest { service: "lipsync.v1.LipSync".to_owned() };
    let mut watch = within(health.watch(service)).await.unwrap().into_inner();
    let status = |response: tonic_health::pb::HealthCheckResponse| response.status;
    assert_eq!(status(within(watch.message()).await.unwrap().unwrap()), ServingStatus::Serving as i32);

    let mut idle = Talk::open(&mut client).await.unwrap();
    // The stream's window holds part of it, so that it is still running when the stop comes.
    let narrow = server.endpoint().initial_stream_window_size(65_535).connect().await.unwrap();
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
}

#[tokio::test]
async fn a_session_too_many_is_refused_and_a_place_left_is_free() {
    let server = TestServer::start(1, 16 << 20).await;
    let mut client = server.client().await;
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
    let server = TestServer::roomy().await;
    // Each on a connection of its own that goes with it: in the middle of sound, of frames, of nothing.
    let mut speaking_client = server.client().await;
    let speaking = Talk::open(&mut speaking_client).await.unwrap();
    speaking.speak(&sound(9, 30)).await;
    let mut idle_client = server.client().await;
    let idle = Talk::open(&mut idle_client).await.unwrap();
    let mut reading_client = server.client().await;
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
    let server = TestServer::roomy().await;
    // On the same connection too, whose window has room for all.
    let endpoint = server.endpoint().initial_stream_window_size(65_535).initial_connection_window_size(4 << 20);
    let mut client = LipSyncClient::new(endpoint.connect().await.unwrap());
    let expected = synthesize(&mut client, request(&sound(11, 20), 0)).await.unwrap();
    let mut deaf = Vec::new();
    for seed in 0..4 {
        // Ten seconds: far more than windows and buffers hold.
        deaf.push(within(client.synthesize(request(&sound(seed, 250), 0))).await.unwrap().into_inner());
    }
    for mut reader in [client, server.client().await] {
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
    let server = TestServer::start(100, 100_000).await;
    let mut client = server.client().await;
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
    let server = TestServer::roomy().await;
    let mut client = server.client().await;
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
