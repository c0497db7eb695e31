//! The real server on a port of its own, in this process.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lipsyncd::avatar::{EvictPolicy, LoadedAvatar, Registry, ResidencyLimits};
use lipsyncd::backend::Backend;
use lipsyncd::batch::{EngineOptions, Fleet, Limits};
use lipsyncd::rpc::client::{Client, ClientOptions};
use lipsyncd::rpc::{self, Daemon, DaemonOptions, ServerError, ServerOptions};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{TINY, avatars_dir, cpu_backend, eventually, templates, within};

/// How a server is started.
pub struct Setup {
    pub avatars: PathBuf,
    /// Each with its lanes.
    pub devices: Vec<(Arc<dyn Backend>, usize)>,
    pub max_resident_bytes: Option<u64>,
    pub daemon: DaemonOptions,
    pub server: ServerOptions,
}

impl Setup {
    /// The golden avatars on one CPU backend with two lanes.
    pub fn new(daemon: DaemonOptions) -> Self {
        let server = ServerOptions { max_message_bytes: 16 << 20, drain: Duration::ZERO, keepalive: None };
        let devices = vec![(cpu_backend(), 2)];
        Self { avatars: avatars_dir(), devices, max_resident_bytes: None, daemon, server }
    }

    /// Starts it.
    pub async fn start(self) -> TestServer {
        let limits = ResidencyLimits { max_resident_bytes: self.max_resident_bytes, evict: EvictPolicy::default() };
        let backends: Vec<_> = self.devices.iter().map(|(backend, _)| Arc::clone(backend)).collect();
        let registry = Arc::new(Registry::new(self.avatars, backends, limits, templates()));
        let batches = Limits { max_windows: 8, max_frames: 1, batching_pays: false };
        let devices = self.devices.into_iter();
        let devices = devices.map(|(backend, slots)| (backend, EngineOptions { slots, limits: batches })).collect();
        let fleet = Fleet::start(devices).unwrap_or_else(|error| panic!("{error}"));
        let daemon = Arc::new(Daemon::new(fleet, registry, self.daemon));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(rpc::run(Arc::clone(&daemon), listener, self.server, async {
            let _ = stopped.await;
        }));
        TestServer { address, daemon, stop, running }
    }
}

/// A server, and the daemon behind it.
pub struct TestServer {
    pub address: SocketAddr,
    pub daemon: Arc<Daemon>,
    pub stop: oneshot::Sender<()>,
    pub running: JoinHandle<Result<(), ServerError>>,
}

impl TestServer {
    /// A client with a connection of its own.
    pub async fn client(&self) -> Client {
        let options = ClientOptions { max_message_bytes: 16 << 20, stream_window_bytes: None };
        Client::connect(&format!("http://{}", self.address), options).await.unwrap()
    }

    /// The golden avatar, which has been drawn.
    pub fn avatar(&self) -> Arc<LoadedAvatar> {
        self.daemon.registry().loaded(&TINY.parse().unwrap()).expect("it is drawn")
    }

    /// What is held: places in the daemon and of the avatar, work that waits, turns taken and waited for, buffers free and lent.
    fn held(&self) -> [usize; 6] {
        let (avatar, fleet) = (self.avatar(), self.daemon.fleet());
        let (windows, frames) = fleet.waiting();
        let turns = fleet.engines().iter().map(|engine| engine.turns()).map(|(taken, waited)| taken + waited).sum();
        let (free, lent) = avatar.jpeg_pool().usage();
        [self.daemon.sessions(), avatar.usage().sessions, windows + frames, turns, free, lent]
    }

    /// Whether nothing is held any more by anybody, but for `sending` buffers, whose frames connections have begun to take for clients
    /// that do not read.
    pub fn holds_nothing_but(&self, sending: usize) -> bool {
        let [rest @ .., lent] = self.held();
        rest == [0; 5] && lent <= sending
    }

    /// Waits until nothing is held.
    pub async fn is_free(&self) {
        self.is_free_but(0).await;
    }

    /// Waits until nothing is held but such frames.
    pub async fn is_free_but(&self, sending: usize) {
        for _ in 0..1000 {
            if self.holds_nothing_but(sending) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("places, sessions, work, turns, free and lent buffers are still held: {:?}", self.held());
    }

    /// No session is left and the server ends when it is asked to.
    pub async fn ends_clean(self) {
        eventually("every session has ended", || self.daemon.sessions() == 0).await;
        self.stop.send(()).unwrap();
        within(self.running).await.unwrap().unwrap();
    }
}

/// A WAV file of 32-bit float sound.
pub fn wav(samples: &[f32], rate_hz: u32) -> Vec<u8> {
    let data: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let bytes = u32::try_from(data.len()).unwrap();
    let mut file = Vec::new();
    file.extend(b"RIFF");
    file.extend((36 + bytes).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x03\0\x01\0");
    file.extend(rate_hz.to_le_bytes());
    file.extend((4 * rate_hz).to_le_bytes());
    file.extend(b"\x04\0\x20\0data");
    file.extend(bytes.to_le_bytes());
    file.extend(data);
    file
}
