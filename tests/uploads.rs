//! Requests that come in, over real sockets: they do not take more memory than they may, nor stay away in the middle.

mod common;

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use common::server::{Setup, TestServer};
use common::speech::speech;
use common::talk::proto::{AudioFormat, GetStatsRequest, SynthesizeRequest};
use common::talk::{RATE_HZ, Talk, bytes_of, connect};
use common::{TINY, daemon_options, eventually, within};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use lipsyncd::rpc::{DaemonOptions, DoorOptions};
use lipsyncd::telemetry::metrics::Page;
use prost::Message;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::http;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

const SYNTHESIZE: &str = "/lipsync.v1.LipSync/Synthesize";

type Pieces = StreamBody<ReceiverStream<Result<Frame<Bytes>, Infallible>>>;

/// A connection that calls are made on piece by piece.
struct Plain(SendRequest<Pieces>);

/// A call whose request is being sent.
struct Sending {
    pieces: mpsc::Sender<Result<Frame<Bytes>, Infallible>>,
    /// How it is refused, or that it is not.
    answer: JoinHandle<Status>,
}

impl Plain {
    async fn connect(server: &TestServer) -> Self {
        let stream = TokioIo::new(TcpStream::connect(server.address).await.unwrap());
        let (sender, connection) = handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    /// Begins a call of `path` with a message of `len` bytes.
    async fn begin(&mut self, path: &str, len: usize) -> Sending {
        let sending = self.open(path);
        sending.send([&[0][..], &u32::try_from(len).unwrap().to_be_bytes()].concat().into()).await;
        sending
    }

    /// Begins a call of `path`, and says nothing yet.
    fn open(&mut self, path: &str) -> Sending {
        let (pieces, body) = mpsc::channel(1);
        let request = http::Request::post(format!("http://daemon{path}")).header("content-type", "application/grpc");
        let request = request.header("te", "trailers").body(StreamBody::new(ReceiverStream::new(body))).unwrap();
        let answer = self.0.send_request(request);
        let answer = tokio::spawn(async move {
            let mut answer = answer.await.unwrap();
            while let Some(Ok(_)) = answer.body_mut().frame().await {}
            Status::from_header_map(answer.headers()).unwrap_or_else(|| Status::ok("it was let in"))
        });
        Sending { pieces, answer }
    }
}

impl Sending {
    async fn send(&self, piece: Bytes) {
        within(self.pieces.send(Ok(Frame::data(piece)))).await.unwrap();
    }
}

/// So many `seconds` of speech, in four times 16,000 bytes each.
fn request(seconds: usize) -> SynthesizeRequest {
    SynthesizeRequest {
        avatar_id: TINY.to_owned(),
        audio: bytes_of(&speech(7, seconds * RATE_HZ as usize, RATE_HZ)),
        audio_format: AudioFormat::F32le.into(),
        sample_rate_hz: RATE_HZ,
        ..SynthesizeRequest::default()
    }
}

/// Room for one request of 48 seconds.
const ROOM_BYTES: usize = 4 << 20;

async fn server(max_synth: usize, max_queued_synth: usize) -> TestServer {
    let options = daemon_options(100);
    let doors = DoorOptions { max_upload_bytes: ROOM_BYTES, max_synth, max_queued_synth, ..options.doors };
    Setup::new(DaemonOptions { doors, ..options }).start().await
}

fn assert_full(status: &Status) {
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(status.message().contains("max_upload_bytes"), "{status}");
    assert!(status.get_details_retry_info().is_some_and(|info| info.retry_delay.is_some()), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_rest_does_not_come_ends_and_one_that_comes_slowly_does_not() {
    let idle = Duration::from_secs(2);
    let server = Setup::new(DaemonOptions { idle: Some(idle), ..daemon_options(100) }).start().await;
    let mut connection = Plain::connect(&server).await;
    let others = ["/monolithic.MonolithicService/InferBatchComposite", "/grpc.health.v1.Health/Check"];
    let mut stalled = Vec::new();
    for path in [SYNTHESIZE].into_iter().chain(others) {
        let sending = connection.begin(path, 1 << 20).await;
        sending.send(Bytes::from_static(&[0; 1000])).await;
        stalled.push(sending);
    }
    // A WAV file of one byte.
    let mut message = SynthesizeRequest { audio: Bytes::from_static(b"R"), ..request(0) };
    message.audio_format = AudioFormat::Wav.into();
    let message = message.encode_to_vec();
    assert!(message.len() > 15);
    let slow = connection.begin(SYNTHESIZE, message.len()).await;
    for byte in message {
        tokio::time::sleep(idle / 10).await;
        slow.send(Bytes::from(vec![byte])).await;
    }
    for sending in stalled {
        let status = within(sending.answer).await.unwrap();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
        assert!(status.message().contains("nothing of this request"), "{status}");
    }
    drop(slow.pieces);
    let status = within(slow.answer).await.unwrap();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    server.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_requests_that_are_not_whole_and_calls_that_say_nothing() {
    let mut setup = Setup::new(daemon_options(100));
    setup.server.drain = Duration::from_secs(3600);
    let server = setup.start().await;
    let mut connection = Plain::connect(&server).await;
    let mut unfinished = Vec::new();
    for path in [SYNTHESIZE, "/monolithic.MonolithicService/InferBatchComposite"] {
        unfinished.push(connection.begin(path, 1 << 20).await);
    }
    unfinished.push(connection.open("/lipsync.v1.LipSync/Converse"));
    let asking = connection.open("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
    // Once this one is answered, those before it are known.
    let whole = connection.begin("/lipsync.v1.LipSync/GetStats", 0).await;
    drop(whole.pieces);
    assert_eq!(within(whole.answer).await.unwrap().code(), Code::Ok);
    server.stop.send(()).unwrap();
    for sending in unfinished {
        let status = within(sending.answer).await.unwrap();
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        assert!(status.get_details_retry_info().is_some(), "{status:?}");
    }
    assert_eq!(within(asking.answer).await.unwrap().code(), Code::Ok);
    within(server.running).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_have_no_room_are_refused_by_their_first_bytes_and_small_ones_never() {
    let server = server(10, 0).await;
    let mut connection = Plain::connect(&server).await;
    let (one, other) = (connection.begin(SYNTHESIZE, 3 << 20).await, connection.begin(SYNTHESIZE, 3 << 20).await);
    let (mut one_answer, mut other_answer) = (one.answer, other.answer);
    let (refused, held) = tokio::select! {
        status = within(&mut one_answer) => (status.unwrap(), (other.pieces, other_answer)),
        status = within(&mut other_answer) => (status.unwrap(), (one.pieces, one_answer)),
    };
    assert_full(&refused);
    let page = Page::new(&server.daemon).render().unwrap();
    assert!(page.contains("lipsyncd_refusals_total{reason=\"uploads\"} 1\n"), "{page}");
    let mut client = connect(server.address).await;
    within(client.get_stats(GetStatsRequest {})).await.unwrap();
    drop(Talk::open(&mut client, false, None).await.unwrap());
    assert_full(&within(client.synthesize(request(48))).await.unwrap_err());
    drop(within(client.synthesize(request(1))).await.unwrap());
    assert!(!held.1.is_finished());
    held.1.abort();
    drop(held);
    // Until the daemon has seen that it was given up.
    let mut tries = 0;
    while let Err(status) = within(client.synthesize(request(48))).await {
        assert_full(&status);
        tries += 1;
        assert!(tries < 1000, "its room is never free");
    }
    server.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_files_that_wait_hold_their_room_and_those_that_are_drawn_do_not() {
    let server = server(1, 5).await;
    let mut client = connect(server.address).await;
    let drawn = within(client.synthesize(request(48))).await.unwrap();
    let mut second = client.clone();
    let waiting = tokio::spawn(async move { second.synthesize(request(48)).await });
    eventually("it waits", || server.daemon.sessions() == 2).await;
    assert_full(&within(client.synthesize(request(48))).await.unwrap_err());
    drop(drawn);
    let drawn = within(waiting).await.unwrap().unwrap();
    let third = tokio::spawn(async move { client.synthesize(request(48)).await });
    eventually("there is room for it", || server.daemon.sessions() == 2).await;
    drop(drawn);
    drop(within(third).await.unwrap().unwrap());
    server.ends_clean().await;
}
