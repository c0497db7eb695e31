//! Deadlines that pass while a call has no answer yet. Over real sockets, by a client that leaves them to the daemon: tonic's and
//! other channels keep them themselves and report what they saw.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::common::gpu::NamedGpu;
use crate::common::server::{Setup, TestServer};
use crate::common::speech::speech;
use crate::common::talk::proto::lip_sync_client::LipSyncClient;
use crate::common::talk::proto::{AudioFormat, SynthesizeRequest};
use crate::common::talk::{RATE_HZ, bytes_of};
use crate::common::{TINY, cpu_backend, daemon_options, eventually, within};
use bytes::Bytes;
use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use lipsyncd::backend::Backend;
use lipsyncd::rpc::{DaemonOptions, DoorOptions};
use lipsyncd::telemetry::metrics::Page;
use proto::CompositeBatchRequest;
use proto::monolithic_service_client::MonolithicServiceClient;
use tokio::net::TcpStream;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::{Code, Request, Status};

#[allow(dead_code, clippy::pedantic, clippy::nursery)] // Generated, and not all of it is called here.
mod proto {
    tonic::include_proto!("monolithic");
}

/// HTTP/2 and nothing else.
#[derive(Clone)]
struct Plain(SendRequest<Body>);

impl Plain {
    async fn connect(server: &TestServer) -> Self {
        let stream = TokioIo::new(TcpStream::connect(server.address).await.unwrap());
        let (sender, connection) = handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }
}

impl Service<http::Request<Body>> for Plain {
    type Response = http::Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

fn origin(server: &TestServer) -> http::Uri {
    format!("http://{}", server.address).parse().unwrap()
}

fn timed<T>(message: T, timeout: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("grpc-timeout", timeout.parse().unwrap());
    request
}

fn whole(seconds: usize) -> SynthesizeRequest {
    SynthesizeRequest {
        avatar_id: TINY.to_owned(),
        audio: bytes_of(&speech(3, seconds * RATE_HZ as usize, RATE_HZ)),
        audio_format: AudioFormat::F32le.into(),
        sample_rate_hz: RATE_HZ,
        ..SynthesizeRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_file_whose_turn_does_not_come_in_time_is_told_so() {
    let options = daemon_options(100);
    let doors = DoorOptions { max_synth: 1, max_queued_synth: 10, ..options.doors };
    let server = Setup::new(DaemonOptions { doors, ..options }).start().await;
    let mut client = LipSyncClient::with_origin(Plain::connect(&server).await, origin(&server));
    let running = within(client.synthesize(whole(60))).await.unwrap();
    for timeout in ["1n", "30m", "300m"] {
        let status = within(client.synthesize(timed(whole(1), timeout))).await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{timeout}: {status}");
    }
    eventually("those that waited are gone", || server.daemon.sessions() == 1).await;
    drop(running);
    server.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_about_health_that_does_not_come_in_time_is_told_so() {
    let server = Setup::new(daemon_options(100)).start().await;
    let body = Body::new(StreamBody::new(stream::pending::<Result<Frame<Bytes>, Status>>()));
    let request = http::Request::post(format!("http://{}/grpc.health.v1.Health/Check", server.address))
        .header("content-type", "application/grpc")
        .header("grpc-timeout", "30m")
        .body(body)
        .unwrap();
    let answer = within(Plain::connect(&server).await.call(request)).await.unwrap();
    let status = Status::from_header_map(answer.headers()).unwrap();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    drop(answer);
    server.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_not_drawn_in_time_is_told_so_and_counted() {
    let device = NamedGpu::new(cpu_backend(), 0, 1 << 33, 1 << 30);
    let devices: Vec<(Arc<dyn Backend>, usize)> = vec![(Arc::clone(&device) as Arc<dyn Backend>, 1)];
    let server = Setup { devices, ..Setup::new(daemon_options(100)) }.start().await;
    server.daemon.load(TINY, None).await.unwrap();
    let mut client = MonolithicServiceClient::with_origin(Plain::connect(&server).await, origin(&server));
    let request = CompositeBatchRequest {
        model_id: TINY.to_owned(),
        batch_size: 4,
        sample_rate: RATE_HZ as i32,
        raw_audio: bytes_of(&speech(4, RATE_HZ as usize, RATE_HZ)),
        ..CompositeBatchRequest::default()
    };
    let held = device.hold();
    let status = within(client.infer_batch_composite(timed(request.clone(), "300m"))).await.unwrap_err();
    drop(held);
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    eventually("it is over", || server.daemon.sessions() == 0).await;
    let page = Page::new(&server.daemon).render().unwrap();
    assert!(page.contains("lipsyncd_sessions_ended_total{kind=\"monolithic\",end=\"timeout\"} 1\n"), "{page}");
    let answer = within(client.infer_batch_composite(timed(request, "1H"))).await.unwrap().into_inner();
    assert!(answer.success && answer.composited_frames.len() == 4, "{}", answer.error);
    server.ends_clean().await;
}
