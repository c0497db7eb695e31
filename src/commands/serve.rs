//! `lipsyncd serve`: the daemon.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args as ClapArgs;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::devices::Wanted;
use super::preload::preload;
use super::starting::StartWatch;
use super::{CommandError, end, watch};
use crate::avatar::{Keep, Registry, ResidencyLimits, TemplateOptions};
use crate::batch::{AdmissionLimits, Fleet};
use crate::config::Config;
use crate::cuda::leave;
use crate::picture::template::OnDemandTemplates;
use crate::rpc::{self, Daemon, DaemonOptions, DoorOptions, ServerOptions};
use crate::telemetry::metrics::{MetricsPort, Page};
use crate::telemetry::systemd::Notifier;
use crate::telemetry::{self, LogOptions};

/// Templates at qualities that clients ask for beside the daemon's own: about 1500 frames of 1280x720.
const ON_DEMAND_TEMPLATE_BYTES: usize = 256 << 20;

/// How long a thread that has nothing to do waits for more: those for files and for whatever else takes a while.
const SPARE_THREAD: Duration = Duration::from_secs(1);

/// What work that cannot be stopped, such as the loading of an avatar, gets to end when everything else has.
const LAST_WORK: Duration = Duration::from_secs(1);

/// What `lipsyncd serve` takes.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// TOML file; every key can also be given as LIPSYNCD_<KEY> in the environment
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Whoever collects the log finds in it what the daemon ended of.
pub(super) fn run(args: &Args) -> ExitCode {
    let file = args.config.as_deref();
    match Config::load(file) {
        Ok(config) => {
            let format = config.log_format;
            end(run_with(config), format)
        }
        Err(error) => end(Err(CommandError::input(error)), Config::log_format(file)),
    }
}

fn run_with(config: Config) -> Result<(), CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_keep_alive(SPARE_THREAD)
        .build()
        .map_err(CommandError::failed)?;
    let traces = {
        let _within = runtime.enter();
        let options = LogOptions { filter: &config.log, format: config.log_format, otlp: config.otlp.as_ref() };
        telemetry::start(options).map_err(CommandError::input)?
    };
    for variable in &config.ignored_variables {
        tracing::warn!("{variable} is no key, and is ignored");
    }
    let format = config.log_format;
    let result = runtime.block_on(serve(config));
    traces.flush();
    let begun = Instant::now();
    runtime.shutdown_timeout(LAST_WORK);
    if begun.elapsed() >= LAST_WORK {
        tracing::warn!("ended with work still running, such as the loading of an avatar");
        let code = result.as_ref().map_or_else(CommandError::code, |()| 0);
        end(result, format);
        // Its thread still runs, and must find nothing of the process taken down.
        leave(code.into());
    }
    result
}

async fn serve(config: Config) -> Result<(), CommandError> {
    if !config.avatars.is_dir() {
        let dir = config.avatars.display();
        return Err(CommandError::input(format!(
            "avatars: {dir} is not a folder; set `avatars` (LIPSYNCD_AVATARS) to the folder of bundles"
        )));
    }
    // Before anything that takes a while: a stop that comes early is honoured as soon as there is a device.
    let shutdown = Box::pin(shutdown_signal().map_err(CommandError::failed)?);
    let daemon = open(&config)?;
    let notifier = Notifier::from_env().unwrap_or_else(|error| {
        tracing::warn!("{error}");
        None
    });
    let notifier = notifier.map(Arc::new);
    let served = serve_with(&daemon, config, notifier, shutdown).await;
    // Lanes whose GPU does not answer never end. Here they hold up the end of the process for [`LAST_WORK`] at most.
    tokio::task::spawn_blocking(move || drop(daemon));
    served
}

async fn serve_with(
    daemon: &Arc<Daemon>,
    config: Config,
    notifier: Option<Arc<Notifier>>,
    mut shutdown: Pin<Box<impl Future<Output = ()> + Send + 'static>>,
) -> Result<(), CommandError> {
    let preloaded = tokio::select! {
        loaded = preload(daemon, &config.preload, notifier.as_ref()) => loaded,
        // A load on a device that does not answer never ends.
        () = daemon.fleet().broken() => Ok(()),
        () = &mut shutdown => {
            if let Some(notifier) = notifier {
                watch::stopping(&notifier, Duration::ZERO);
            }
            tracing::info!("stopped before it served");
            return Ok(());
        }
    };
    leave_if_broken(daemon);
    preloaded?;
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|error| CommandError::failed(format!("listen: {}: {error}; set `listen`", config.listen)))?;
    let address = listener.local_addr().map_err(CommandError::failed)?;
    let _metrics = open_metrics(config.metrics, daemon).await?;
    tracing::info!("listening on {address}");
    let drain = Duration::from_secs(config.drain_seconds);
    let server = ServerOptions {
        max_message_bytes: config.max_message_bytes,
        drain,
        keepalive: seconds(config.keepalive_seconds),
    };
    let _watch = notifier.as_ref().map(|notifier| watch::serving(notifier, daemon));
    let fleet = Arc::clone(daemon);
    let shutdown = async move {
        tokio::select! {
            () = shutdown => {}
            () = fleet.fleet().broken() => {}
        }
        if let Some(notifier) = notifier {
            watch::stopping(&notifier, drain);
        }
    };
    tokio::select! {
        result = rpc::run(Arc::clone(daemon), listener, server, shutdown) => result.map_err(CommandError::failed)?,
        () = rpc::lost(daemon.fleet(), drain) => {}
    }
    leave_if_broken(daemon);
    tracing::info!("stopped");
    Ok(())
}

/// The daemon on the devices that `config` wants, with no avatar loaded.
fn open(config: &Config) -> Result<Arc<Daemon>, CommandError> {
    let start = StartWatch::begin().map_err(CommandError::failed)?;
    let devices = Wanted::by(config).open()?;
    let slots = devices.iter().map(|(_, options)| options.slots).sum();
    let backends: Vec<_> = devices.iter().map(|(backend, _)| Arc::clone(backend)).collect();
    let fleet = Fleet::start(devices).map_err(CommandError::failed)?;
    drop(start);
    let residency = ResidencyLimits { max_resident_bytes: config.max_resident_bytes, evict: config.evict };
    let keep = Keep::Templates(TemplateOptions {
        quality: config.jpeg_quality,
        cache_dir: config.template_cache.clone(),
        on_demand: Arc::new(OnDemandTemplates::new(ON_DEMAND_TEMPLATE_BYTES)),
    });
    let registry = Arc::new(Registry::new(config.avatars.clone(), backends, residency, keep));
    let options = DaemonOptions {
        jpeg_quality: config.jpeg_quality,
        doors: doors(config, slots),
        admission: admission(config),
        latency_budget: Duration::from_millis(config.latency_budget_ms),
        idle: seconds(config.idle_seconds),
    };
    Ok(Arc::new(Daemon::new(fleet, registry, options)))
}

/// Ends the process at once when a device is lost: what is left would be taken down by calls to one that may not answer.
fn leave_if_broken(daemon: &Daemon) {
    if daemon.fleet().is_broken() {
        tracing::error!(
            "ending: a device or a lane is broken, as said above; whoever supervises this daemon starts it anew"
        );
        telemetry::flush();
        leave(1);
    }
}

/// 0 for none.
fn seconds(seconds: u64) -> Option<Duration> {
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

fn doors(config: &Config, slots: usize) -> DoorOptions {
    DoorOptions {
        max_sessions: config.max_sessions,
        max_sessions_per_client: (config.max_sessions_per_client > 0).then_some(config.max_sessions_per_client),
        max_synth: config.max_synth.unwrap_or(4 * slots),
        max_queued_synth: config.max_queued_synth,
        // Any one message has room.
        max_upload_bytes: config.max_upload_bytes.max(config.max_message_bytes),
        background_encoders: std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1)),
    }
}

fn admission(config: &Config) -> Option<AdmissionLimits> {
    let part = |percent: u64| percent as f64 / 100.0;
    (config.utilisation_percent > 0).then(|| AdmissionLimits {
        utilisation: part(config.utilisation_percent),
        expected_speech: part(config.expected_speech_percent),
    })
}

async fn open_metrics(address: Option<SocketAddr>, daemon: &Arc<Daemon>) -> Result<Option<MetricsPort>, CommandError> {
    let Some(address) = address else { return Ok(None) };
    let port = MetricsPort::open(address, Page::new(daemon)).await.map_err(CommandError::failed)?;
    tracing::info!("metrics on {}", port.address());
    Ok(Some(port))
}

/// Completes at SIGTERM (systemd, Kubernetes) or SIGINT (a person); a second one ends the process where it stands.
fn shutdown_signal() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (ask, asked) = oneshot::channel();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        next().await;
        // Whoever is not there to hear it is ending already.
        let _ = ask.send(());
        next().await;
        tracing::warn!("asked to end a second time: ending at once");
        telemetry::flush();
        leave(1);
    });
    Ok(async {
        let _ = asked.await;
    })
}
