//! New connections: as many as leave the daemon descriptors of its own, also after the system had none to give.

use std::convert::Infallible;
use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::linger::Lingering;
use super::traffic::Traffic;
use crate::machine::most_descriptors;

/// Descriptors that connections leave for the figures' readers, and for avatars and plans that are loaded; of few, a quarter.
const KEPT_DESCRIPTORS: usize = 256;

/// Pause after the system refuses to accept, as when descriptors are short: it would refuse again at once.
const PAUSE: Duration = Duration::from_millis(100);

/// While it goes on refusing, the log says so no more often.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// The connections that come to `listener`; what they send is noted in `traffic`. Those that have not begun when the daemon is `stopping`
/// are closed.
pub(super) fn connections(
    listener: TcpListener,
    stopping: CancellationToken,
    traffic: Traffic,
) -> impl Stream<Item = Result<Lingering, Infallible>> {
    let places = Places::of(most_descriptors().unwrap_or(Semaphore::MAX_PERMITS));
    unfold((listener, places, None), move |(listener, places, mut warned)| {
        let (stopping, traffic) = (stopping.clone(), traffic.clone());
        async move {
            let place = places.take(&mut warned).await;
            let stream = accept(&listener, &mut warned).await;
            Some((Ok(Lingering::new(stream, place, stopping, traffic)), (listener, places, warned)))
        }
    })
}

/// How many connections may be open.
struct Places {
    most: usize,
    free: Arc<Semaphore>,
}

impl Places {
    /// As many as a process of so many `descriptors` has for connections.
    fn of(descriptors: usize) -> Self {
        let most = descriptors.saturating_sub(KEPT_DESCRIPTORS.min(descriptors / 4)).min(Semaphore::MAX_PERMITS);
        Self { most, free: Arc::new(Semaphore::new(most)) }
    }

    /// Waits for one, which is free again when what is given is dropped; none is only given where there is no bound any more.
    async fn take(&self, warned: &mut Option<Instant>) -> Option<OwnedSemaphorePermit> {
        if self.free.available_permits() == 0 {
            warn(warned, &format_args!("{} are open", self.most));
        }
        Arc::clone(&self.free).acquire_owned().await.ok()
    }
}

async fn accept(listener: &TcpListener, warned: &mut Option<Instant>) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!("a connection waits to fill its packets: {error}");
                }
                return stream;
            }
            Err(error) if is_of_one(&error) => {}
            Err(error) => {
                warn(warned, &error);
                sleep(PAUSE).await;
            }
        }
    }
}

fn warn(warned: &mut Option<Instant>, reason: &dyn Display) {
    if warned.is_none_or(|at| at.elapsed() >= WARN_EVERY) {
        tracing::warn!(
            "no connection can be accepted: {reason}; new ones wait. Each takes a descriptor (`ulimit -n`, LimitNOFILE)"
        );
        *warned = Some(Instant::now());
    }
}

/// Whether one connection has failed, and the next may be there.
fn is_of_one(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused)
}
