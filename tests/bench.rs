//! `lipsyncd bench` against the real server on a port of its own: the program as a user runs it.

mod common;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use common::{TINY, avatars_dir, cpu_backend, daemon_options, engine, eventually, templates, within};
use lipsyncd::avatar::{EvictPolicy, Registry, ResidencyLimits};
use lipsyncd::rpc::{self, Daemon, ServerOptions};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

const RATE_HZ: usize = 16_000;

struct TestServer {
    address: SocketAddr,
    daemon: Arc<Daemon>,
    stop: oneshot::Sender<()>,
}

impl TestServer {
    async fn start(max_sessions: usize) -> Self {
        let backend = cpu_backend();
        let limits = ResidencyLimits { max_resident_bytes: None, evict: EvictPolicy::default() };
        let registry = Arc::new(Registry::new(avatars_dir(), [Arc::clone(&backend)], limits, templates()));
        let options = daemon_options(max_sessions);
        let daemon = Arc::new(Daemon::new(engine(&backend, 2, 8, 1), registry, options));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let options = ServerOptions { max_message_bytes: 16 << 20, drain: Duration::ZERO, keepalive: None };
        tokio::spawn(rpc::run(Arc::clone(&daemon), listener, options, async {
            let _ = stopped.await;
        }));
        Self { address, daemon, stop }
    }

    /// Runs the program on this server; its exit code, its line, and what it said on stderr.
    async fn bench(&self, arguments: &[&str]) -> Outcome {
        bench(&format!("http://{}", self.address), arguments).await
    }
}

struct Outcome {
    code: i32,
    line: Value,
    said: String,
}

async fn bench(target: &str, arguments: &[&str]) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lipsyncd"));
    command.args(["bench", "--target", target]).args(arguments).stdin(Stdio::null());
    let output = within(tokio::task::spawn_blocking(move || command.output())).await.unwrap().unwrap();
    let (out, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(out.lines().count(), 1, "one line on stdout: {out}{said}");
    Outcome { code: output.status.code().unwrap(), line: serde_json::from_str(&out).unwrap(), said }
}

/// A WAV file of so many samples of 16-bit noise.
fn wav(samples: usize) -> (tempfile::TempDir, PathBuf) {
    let data: Vec<u8> = common::speech::speech(3, samples, 16_000)
        .into_iter()
        .flat_map(|sample| ((sample * 20_000.0) as i16).to_le_bytes())
        .collect();
    let mut file = Vec::new();
    file.extend(b"RIFF");
    file.extend((36 + data.len() as u32).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data");
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(data);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("speech.wav");
    std::fs::write(&path, file).unwrap();
    (dir, path)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_frame_of_a_known_sound_is_counted_once() {
    let server = TestServer::start(100).await;
    // On a busy machine that takes longer than a run of a second.
    server.daemon.load(TINY, None).await.unwrap();
    // 0.8 s and one sample: 21 frames.
    let (_dir, path) = wav(RATE_HZ * 8 / 10 + 1);
    let path = path.to_str().unwrap();
    // In one message, so that the end of the run cuts none short.
    let run = ["--streams", "3", "--seconds", "1", "--chunk-ms", "1000", "--avatar", TINY, "--check"];
    let done = server.bench(&[&run[..], &["--audio", path]].concat()).await;
    assert_eq!(done.code, 0, "{}", done.said);
    let line = &done.line;
    let utterances = line["utterances"].as_u64().unwrap();
    assert!(utterances >= 3, "each stream has spoken: {line}");
    assert_eq!(line["frames"]["count"].as_u64().unwrap(), 21 * utterances, "{line}");
    assert_eq!(line["first_frame_ms"]["count"].as_u64().unwrap(), utterances);
    let sound_s = utterances as f64 * (RATE_HZ * 8 / 10 + 1) as f64 / RATE_HZ as f64;
    assert!((line["audio_seconds"].as_f64().unwrap() - sound_s).abs() < 1e-3);
    for nothing in ["missing", "gaps", "stale", "unasked", "faulty"] {
        assert_eq!(line["frames"][nothing], 0, "{nothing}: {line}");
    }
    assert_eq!(line["streams"], serde_json::json!({"asked": 3, "held": 3, "refused": 0, "failed": 0}));
    assert_eq!((line["server"]["backend"].as_str(), line["error"].as_str()), (Some("cpu"), None));
    assert!(line["cpu"]["server_cores"].as_f64().unwrap() > 0.0, "the server is this process");
    eventually("every session has ended", || server.daemon.sessions() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_streams_are_counted_and_the_others_go_on() {
    let server = TestServer::start(2).await;
    // On a busy machine that takes longer than a run of a second and a half.
    server.daemon.load(TINY, None).await.unwrap();
    let arguments = ["--streams", "5", "--seconds", "1.5", "--realtime", "--avatar", TINY];
    let done = server.bench(&arguments).await;
    assert_eq!(done.code, 0, "{}", done.said);
    assert_eq!(done.line["streams"], serde_json::json!({"asked": 5, "held": 2, "refused": 3, "failed": 0}));
    assert_eq!(done.line["refusal_ms"]["count"], 3);
    assert!(done.line["frames"]["count"].as_u64().unwrap() > 0);
    assert_eq!(done.line["frames"]["missing"], 0, "{}", done.line);
}

#[tokio::test(flavor = "multi_thread")]
async fn rude_viewers_leave_the_books_in_order() {
    let server = TestServer::start(100).await;
    let plot = tempfile::tempdir().unwrap();
    let picture = plot.path().join("run.png");
    let rude = ["--interrupts", "60", "--disconnects", "30", "--slow-readers", "0.25", "--duty", "0.7", "--check"];
    let run = ["--streams", "4", "--seconds", "4", "--realtime", "--plot", picture.to_str().unwrap()];
    let done = server.bench(&[&run[..], &rude[..]].concat()).await;
    assert_eq!(done.code, 0, "{}", done.said);
    let line = &done.line;
    assert_eq!(line["avatars"], serde_json::json!([TINY]), "all the daemon has");
    for happened in [&line["interrupts"]["count"], &line["disconnects"], &line["frames"]["count"]] {
        assert!(happened.as_u64().unwrap() > 0, "{line}");
    }
    // Slow readers leave frames behind, and so do calls that are broken off: neither is missed.
    for nothing in ["gaps", "unasked", "faulty", "missing"] {
        assert_eq!(line["frames"][nothing], 0, "{nothing}: {line}");
    }
    let decoder = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(&picture).unwrap()));
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    let colours: std::collections::HashSet<&[u8]> = pixels.chunks(3).collect();
    assert!(colours.len() > 4, "something is drawn");
    eventually("every session has ended", || server.daemon.sessions() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_with_idle_frames_have_a_frame_for_every_tick() {
    let server = TestServer::start(100).await;
    let rude = [
        "--idle-frames",
        "--audio-speed",
        "4",
        "--duty",
        "0.5",
        "--interrupts",
        "20",
        "--disconnects",
        "10",
        "--check",
    ];
    let run = ["--streams", "3", "--seconds", "6", "--realtime", "--avatar", TINY];
    let done = server.bench(&[&run[..], &rude[..]].concat()).await;
    assert_eq!(done.code, 0, "{}", done.said);
    let line = &done.line;
    let (spoken, idle) = (line["frames"]["count"].as_u64().unwrap(), line["idle"]["frames"].as_u64().unwrap());
    assert!(spoken > 25 && idle > 25, "{line}");
    // Three streams of 25 frames/s for six seconds, less what it takes to begin a call and what is lost with a broken one.
    assert!((300..=3 * 25 * 12).contains(&(spoken + idle)), "{line}");
    for nothing in ["gaps", "unasked", "faulty", "missing"] {
        assert_eq!(line["frames"][nothing], 0, "{nothing}: {line}");
    }
    assert_eq!(line["audio_speed"], 4.0);
    eventually("every session has ended", || server.daemon.sessions() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_most_streams_of_a_daemon_with_two_places_are_two() {
    let server = TestServer::start(2).await;
    // A generous budget: whether this machine is quick enough today is not the question.
    let arguments = ["--find-capacity", "--seconds", "1", "--budget-ms", "60000", "--avatar", TINY];
    let done = server.bench(&arguments).await;
    assert_eq!(done.code, 0, "{}", done.said);
    assert_eq!(done.line["capacity"]["streams"], 2, "{}", done.line);
    let tried: Vec<u64> = done.line["capacity"]["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["streams"].as_u64().unwrap())
        .collect();
    assert_eq!(tried, [1, 2, 4, 3]);
    assert_eq!(done.line["streams"]["held"], 2, "the figures are those of the largest run");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_measured_is_said_in_a_sentence_and_a_line() {
    let server = TestServer::start(100).await;
    let unknown = server.bench(&["--avatar", "nobody"]).await;
    assert_eq!(unknown.code, 2);
    assert!(unknown.said.contains("nobody") && unknown.line["error"].as_str().unwrap().contains("nobody"));
    let target = format!("http://{}", server.address);
    let (daemon, stop) = (server.daemon, server.stop);
    let arguments = ["--streams", "2", "--seconds", "60", "--realtime", "--avatar", TINY];
    let dying = bench(&target, &arguments);
    let kill = async {
        eventually("both streams are held", || daemon.sessions() == 2).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        stop.send(()).unwrap();
    };
    let (dying, ()) = tokio::join!(dying, kill);
    assert_eq!(dying.code, 1);
    assert_eq!(dying.line["streams"]["failed"], 2, "{}", dying.line);
    assert!(dying.said.contains("2 of 2 streams broke: the daemon is gone, or cannot do it now: "), "{}", dying.said);
    let gone = bench(&target, &[]).await;
    assert_eq!(gone.code, 1);
    assert!(gone.said.contains("lipsyncd serve") && gone.line["error"].is_string(), "{}", gone.said);
}
