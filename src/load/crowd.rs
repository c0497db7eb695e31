//! All streams of a run, from the first call to the last frame.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::cpu::Process;
use super::report::Report;
use super::script::Script;
use super::speech::Speech;
use super::stream::{Call, LiveStream, Stage, call};
use super::tally::Tally;
use super::{LoadOptions, report};
use crate::rpc::client::{Client, ClientError, ClientOptions, ConversationOptions};

/// Unread bytes of one stream in this client: about four frames, so that a slow reader is felt by the daemon.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
/// A JPEG of any size we know of, several times over.
const MAX_MESSAGE_BYTES: usize = 64 << 20;
/// Calls that are made at once.
const CALLING: usize = 16;
/// How often progress is told.
const TICK: Duration = Duration::from_millis(250);
/// How long the sessions of the run before may take to end.
const SETTLE: Duration = Duration::from_secs(10);

/// Why there is no load to put on a daemon.
#[derive(Debug, thiserror::Error)]
pub enum CrowdError {
    /// The daemon cannot be reached, or refuses what was asked.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Nothing to ask for.
    #[error("{target} has no avatar that can be loaded; `lipsyncd avatar check` says why, or name one with --avatar")]
    NoAvatar {
        /// The daemon.
        target: String,
    },
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Seconds since its start.
    pub at_s: f64,
    /// Frames so far.
    pub frames: u64,
    /// Misses so far, percent.
    pub miss_percent: f64,
}

/// A daemon that is ready to be loaded.
pub struct Crowd {
    options: Arc<LoadOptions>,
    speech: Speech,
    about: Client,
    avatars: Vec<String>,
    server: report::Server,
    process: Option<Process>,
}

/// The streams that were taken, and what became of the others.
struct Taken {
    calls: Vec<(usize, Client, Call)>,
    refused: usize,
    failures: Vec<ClientError>,
}

impl Crowd {
    /// Connects, and has the avatars loaded, so that no stream waits for that.
    ///
    /// # Errors
    /// [`CrowdError`].
    pub async fn gather(options: LoadOptions, speech: Speech) -> Result<Self, CrowdError> {
        let mut about = connect(&options.target).await?;
        let mut avatars = options.avatars.clone();
        if avatars.is_empty() {
            avatars =
                about.avatars().await?.into_iter().filter(|avatar| avatar.sound).map(|avatar| avatar.id).collect();
        }
        if avatars.is_empty() {
            return Err(CrowdError::NoAvatar { target: options.target });
        }
        for avatar in &avatars {
            about.load(avatar).await?;
        }
        let stats = about.stats().await?;
        let process = address_of(&options.target).and_then(Process::listening_at);
        let server = report::Server { version: stats.version, backend: stats.backend };
        Ok(Self { options: Arc::new(options), speech, about, avatars, server, process })
    }

    /// Runs `streams` streams to their end. What breaks while they run is in the report.
    ///
    /// # Errors
    /// [`CrowdError`] when the daemon cannot be reached, or no longer has the avatars.
    pub async fn run(&mut self, streams: usize, tell: impl Fn(Progress)) -> Result<Report, CrowdError> {
        Arc::make_mut(&mut self.options).streams = streams;
        let mut tally = Tally::default();
        let Taken { calls, refused, mut failures } = self.call_all(&mut tally).await?;
        let held = calls.len();
        let stage = Arc::new(self.stage(tally));
        let before = self.processor();
        let mut living = JoinSet::new();
        for (index, client, call) in calls {
            let stream = LiveStream {
                stage: Arc::clone(&stage),
                client,
                avatar: self.avatar_of(index).to_owned(),
                script: Script::new(&self.options, &self.speech, index),
                slow: self.options.is_slow(index),
            };
            living.spawn(stream.live(call));
        }
        let watched = watch(&stage, &mut living, &mut failures, tell).await;
        let cpu = report::Cpu::between(before, self.processor(), watched);
        join(&mut living, &mut failures).await;
        let tally = stage.tally.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let outcome = report::Outcome { held, refused, failures, cpu, measured_s: watched, rate_hz: stage.rate_hz };
        Ok(Report::new(&self.options, &self.avatars, &self.server, outcome, tally))
    }

    /// Waits until the daemon has no session left, for a while.
    pub async fn settle(&mut self) {
        let deadline = Instant::now() + SETTLE;
        while Instant::now() < deadline {
            if self.about.stats().await.map_or(true, |stats| stats.sessions == 0) {
                return;
            }
            tokio::time::sleep(TICK).await;
        }
    }

    fn stage(&self, tally: Tally) -> Stage {
        Stage {
            zero: Instant::now(),
            options: Arc::clone(&self.options),
            rate_hz: self.speech.rate_hz(),
            tally: Mutex::new(tally),
        }
    }

    fn avatar_of(&self, index: usize) -> &str {
        &self.avatars[index % self.avatars.len()]
    }

    /// Makes every call, a few at a time, and sorts them by what was answered.
    async fn call_all(&self, tally: &mut Tally) -> Result<Taken, CrowdError> {
        let mut clients = Vec::new();
        for _ in 0..self.options.connection_count() {
            clients.push(connect(&self.options.target).await?);
        }
        let mut taken = Taken { calls: Vec::new(), refused: 0, failures: Vec::new() };
        let mut calling = JoinSet::new();
        for index in 0..self.options.streams {
            if calling.len() >= CALLING {
                taken.sort(calling.join_next().await, tally)?;
            }
            let mut client = clients[index % clients.len()].clone();
            let (avatar, sample_rate_hz) = (self.avatar_of(index).to_owned(), self.speech.rate_hz());
            let idle_frames = self.options.idle_frames;
            calling.spawn(async move {
                let asked = Instant::now();
                let options = ConversationOptions { avatar: &avatar, sample_rate_hz, start_position: 0, idle_frames };
                let call = call(&mut client, options).await;
                (index, client, call, asked.elapsed().as_secs_f64())
            });
        }
        while !calling.is_empty() {
            taken.sort(calling.join_next().await, tally)?;
        }
        taken.calls.sort_by_key(|(index, ..)| *index);
        Ok(taken)
    }

    /// Processor time of the daemon, where it can be read, and of this process.
    fn processor(&self) -> (Option<f64>, Option<f64>) {
        (self.process.as_ref().and_then(Process::seconds), Process::this().seconds())
    }
}

type Called = (usize, Client, Result<Call, ClientError>, f64);

impl Taken {
    fn sort(
        &mut self,
        called: Option<Result<Called, tokio::task::JoinError>>,
        tally: &mut Tally,
    ) -> Result<(), CrowdError> {
        // Calls are never aborted and do not panic: there is nothing to sort otherwise.
        let Some(Ok((index, client, call, took_s))) = called else { return Ok(()) };
        match call {
            Ok(call) => self.calls.push((index, client, call)),
            Err(error) if error.is_full() => {
                self.refused += 1;
                tally.refusal.record(took_s);
            }
            Err(error) if error.is_bad_request() => return Err(error.into()),
            Err(error) => self.failures.push(error),
        }
        Ok(())
    }
}

async fn connect(target: &str) -> Result<Client, ClientError> {
    let options =
        ClientOptions { max_message_bytes: MAX_MESSAGE_BYTES, stream_window_bytes: Some(STREAM_WINDOW_BYTES) };
    Client::connect(target, options).await
}

/// The first address behind `http://host:port`.
fn address_of(target: &str) -> Option<SocketAddr> {
    let host = target.split_once("://").map_or(target, |(_, host)| host);
    host.trim_end_matches('/').to_socket_addrs().ok()?.next()
}

/// Tells progress until the run's time is up or every stream has broken; gives the seconds that took.
async fn watch(
    stage: &Stage,
    living: &mut JoinSet<Result<(), ClientError>>,
    failures: &mut Vec<ClientError>,
    tell: impl Fn(Progress),
) -> f64 {
    loop {
        let at_s = stage.zero.elapsed().as_secs_f64();
        {
            let tally = stage.tally.lock().unwrap_or_else(PoisonError::into_inner);
            tell(Progress { at_s, frames: tally.frames, miss_percent: tally.miss_percent() });
        }
        if at_s >= stage.options.seconds || living.is_empty() {
            return at_s;
        }
        let left = Duration::from_secs_f64(stage.options.seconds - at_s);
        tokio::select! {
            () = tokio::time::sleep(TICK.min(left)) => {}
            Some(ended) = living.join_next() => failures.extend(failure(ended)),
        }
    }
}

async fn join(living: &mut JoinSet<Result<(), ClientError>>, failures: &mut Vec<ClientError>) {
    while let Some(ended) = living.join_next().await {
        failures.extend(failure(ended));
    }
}

fn failure(ended: Result<Result<(), ClientError>, tokio::task::JoinError>) -> Option<ClientError> {
    ended.ok()?.err()
}
