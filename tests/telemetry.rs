//! The real program under a service manager and with a collector of spans, both played by sockets.

mod common;

use std::net::Ipv4Addr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::speech::speech;
use common::{TINY, avatars_dir, within};
use lipsyncd::rpc::client::{Client, ClientOptions};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// `lipsyncd serve`, killed when dropped.
struct Program(Child);

impl Program {
    fn start(port: u16, environment: &[(&str, &str)]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_lipsyncd"))
            .arg("serve")
            .env("LIPSYNCD_LISTEN", format!("127.0.0.1:{port}"))
            .env("LIPSYNCD_AVATARS", avatars_dir())
            .env("LIPSYNCD_PRELOAD", TINY)
            .env("LIPSYNCD_SLOTS", "2")
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    /// Asks it to end, as a service manager does; gives its exit code.
    fn stop(&mut self) -> Option<i32> {
        let asked = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status().unwrap();
        assert!(asked.success());
        self.0.wait().unwrap().code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn wav(samples: &[f32], rate_hz: u32) -> Vec<u8> {
    let data = u32::try_from(samples.len() * 4).unwrap();
    let mut wav = Vec::new();
    wav.extend(b"RIFF");
    wav.extend((36 + data).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x03\0\x01\0");
    wav.extend(rate_hz.to_le_bytes());
    wav.extend((4 * rate_hz).to_le_bytes());
    wav.extend(b"\x04\0\x20\0data");
    wav.extend(data.to_le_bytes());
    wav.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    wav
}

/// Frames of a second of speech, from a daemon that may still be starting.
async fn speak(port: u16) -> usize {
    let server = format!("http://127.0.0.1:{port}");
    let begun = Instant::now();
    let mut client = loop {
        match Client::connect(&server, ClientOptions { max_message_bytes: 1 << 20, stream_window_bytes: None }).await {
            Ok(client) => break client,
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(60), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let mut frames = client.synthesize(TINY, wav(&speech(3, 16_000, 16_000), 16_000), 0, 0).await.unwrap();
    let mut count = 0;
    while frames.next().await.unwrap().is_some() {
        count += 1;
    }
    count
}

#[test]
fn the_service_manager_hears_of_the_start_the_watchdog_and_the_end() {
    let name = format!("lipsyncd-telemetry-{}", std::process::id());
    let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let hear = || {
        let mut message = [0; 1024];
        let len = manager.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..len]).into_owned()
    };
    let socket = format!("@{name}");
    let mut program = Program::start(0, &[("NOTIFY_SOCKET", &socket), ("WATCHDOG_USEC", "400000")]);

    let mut before_ready = Vec::new();
    let ready = loop {
        let message = hear();
        if message.contains("READY=1") {
            break message;
        }
        before_ready.push(message);
    };
    assert_eq!(ready, "READY=1");
    assert!(before_ready.iter().any(|message| message.contains("EXTEND_TIMEOUT_USEC=")), "{before_ready:?}");
    assert!(before_ready.iter().any(|message| message.contains(&format!("STATUS=loading avatar {TINY}"))));
    for _ in 0..3 {
        assert_eq!(hear(), "WATCHDOG=1\nSTATUS=0 sessions, 1 avatars loaded");
    }
    assert_eq!(program.stop(), Some(0));
    loop {
        let message = hear();
        if message.contains("STOPPING=1") {
            break;
        }
        assert!(message.starts_with("WATCHDOG=1"), "{message}");
    }
}

/// A collector that passes on what it is sent.
struct Collector(mpsc::UnboundedSender<Span>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let scopes = request.into_inner().resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        for span in scopes.flat_map(|scope| scope.spans) {
            let _ = self.0.send(span);
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn attribute<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

fn number(span: &Span, key: &str) -> Option<i64> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::IntValue(number) => Some(*number),
        _ => None,
    }
}

/// What a collector has of one call of 25 frames when the daemon, whose log is filtered by `log`, has ended.
async fn spans_with(log: &str) -> Vec<Span> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (spans, mut received) = mpsc::unbounded_channel();
    let collector = Server::builder().add_service(TraceServiceServer::new(Collector(spans)));
    let running = tokio::spawn(collector.serve_with_incoming(TcpIncoming::from(listener)));
    let port = free_port();
    let mut program = Program::start(port, &[("LIPSYNCD_OTLP", endpoint.as_str()), ("LIPSYNCD_LOG", log)]);
    assert_eq!(within(speak(port)).await, 25);
    let code = tokio::task::spawn_blocking(move || program.stop()).await.unwrap();
    assert_eq!(code, Some(0));
    running.abort();
    let mut all = Vec::new();
    while let Ok(span) = received.try_recv() {
        all.push(span);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_receives_the_spans_of_sessions_and_batches_by_the_end() {
    let all = spans_with("info,lipsyncd::batch=debug").await;
    let session: Vec<_> = all.iter().filter(|span| span.name == "session").collect();
    assert_eq!(session.len(), 1, "{all:?}");
    assert_eq!(attribute(session[0], "avatar"), Some(TINY));
    assert_eq!(attribute(session[0], "kind"), Some("whole"));
    assert_eq!(attribute(session[0], "end"), Some("done"));
    assert_eq!(number(session[0], "frames"), Some(25));
    assert!(session[0].end_time_unix_nano > session[0].start_time_unix_nano);
    let frames = all.iter().filter(|span| span.name == "batch" && attribute(span, "kind") == Some("frame"));
    assert_eq!(frames.count(), 25, "one batch a frame with max_batch = 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_of_sessions_go_out_whatever_the_log_is_and_those_of_batches_do_not() {
    for log in ["warn", "off", "lipsyncd::rpc=debug"] {
        let names: Vec<String> = spans_with(log).await.into_iter().map(|span| span.name).collect();
        assert_eq!(names, ["session"], "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_not_there_costs_no_frame_and_no_clean_end() {
    let port = free_port();
    let endpoint = format!("http://127.0.0.1:{}", free_port());
    let mut program = Program::start(port, &[("LIPSYNCD_OTLP", &endpoint)]);
    assert_eq!(within(speak(port)).await, 25);
    let begun = Instant::now();
    let code = tokio::task::spawn_blocking(move || program.stop()).await.unwrap();
    assert_eq!(code, Some(0));
    assert!(begun.elapsed() < Duration::from_secs(30), "the end waited for the collector");
}
