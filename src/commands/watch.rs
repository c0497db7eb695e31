//! Tells the service manager how the daemon is while it starts, serves and stops.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use crate::rpc::Daemon;
use crate::telemetry::systemd::Notifier;

/// How often `systemctl status` gets a new line, where no watchdog asks for more.
const STATUS_EVERY: Duration = Duration::from_secs(5);
/// How often a start that goes on says so, and how long the manager then waits for more.
const STARTING_EVERY: Duration = Duration::from_secs(5);
const STARTING_MORE: Duration = Duration::from_secs(30);
/// What the process takes to end beyond the drain.
const BEYOND_DRAIN: Duration = Duration::from_secs(10);

/// A task that tells the manager something again and again until it is dropped.
pub(super) type Telling = AbortOnDropHandle<()>;

/// Says until dropped that `status` is going on, so that the start is not given up.
pub(super) fn starting(notifier: &Arc<Notifier>, status: String) -> Telling {
    let notifier = Arc::clone(notifier);
    Telling::new(tokio::spawn(async move {
        let mut every = tokio::time::interval(STARTING_EVERY);
        loop {
            every.tick().await;
            notifier.starting(&status, STARTING_MORE);
        }
    }))
}

/// Says that the daemon is ready, and until dropped how it is. The watchdog is fed only while this task gets
/// its turn and no batch has run for a whole period: a device that hangs ends in a restart.
pub(super) fn serving(notifier: &Arc<Notifier>, daemon: &Arc<Daemon>) -> Telling {
    let (notifier, daemon) = (Arc::clone(notifier), Arc::downgrade(daemon));
    let period = notifier.watchdog();
    notifier.ready();
    Telling::new(tokio::spawn(async move {
        let mut every = tokio::time::interval(period.map_or(STATUS_EVERY, |period| (period / 2).min(STATUS_EVERY)));
        let mut well_before = true;
        loop {
            every.tick().await;
            let Some((status, oldest)) = look(&daemon) else { return };
            let well = period.is_none_or(|period| oldest < period);
            if well_before && !well {
                tracing::error!("a batch has been running for {oldest:?}; the watchdog is no longer fed");
            }
            well_before = well;
            notifier.alive(&status, well);
        }
    }))
}

fn look(daemon: &Weak<Daemon>) -> Option<(String, Duration)> {
    let daemon = daemon.upgrade()?;
    let (sessions, avatars) = (daemon.sessions(), daemon.registry().all_loaded().len());
    let oldest = daemon.fleet().engines().iter().map(|engine| engine.device_recorder().lanes().oldest).max();
    Some((format!("{sessions} sessions, {avatars} avatars loaded"), oldest.unwrap_or_default()))
}

/// Says that the daemon is ending and that it may take as long as `drain`.
pub(super) fn stopping(notifier: &Notifier, drain: Duration) {
    notifier.stopping(drain + BEYOND_DRAIN);
}
