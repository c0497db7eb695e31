//! New connections, also after the system had none to give.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

use super::linger::Lingering;

/// Pause after the system refuses to accept, as when descriptors are short: it would refuse again at once.
const PAUSE: Duration = Duration::from_millis(100);

/// While it goes on refusing, the log says so no more often.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// The connections that come to `listener`. Those that have not begun when `stopping` turns true are closed.
pub(super) fn connections(
    listener: TcpListener,
    stopping: watch::Receiver<bool>,
) -> impl Stream<Item = Result<Lingering, Infallible>> {
    unfold((listener, stopping, None), |(listener, stopping, mut warned)| async move {
        let stream = accept(&listener, &mut warned).await;
        Some((Ok(Lingering::new(stream, stopping.clone())), (listener, stopping, warned)))
    })
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
                if warned.is_none_or(|at| at.elapsed() >= WARN_EVERY) {
                    tracing::warn!(
                        "no connection can be accepted: {error}; new ones wait. Each takes a descriptor (`ulimit -n`, LimitNOFILE)"
                    );
                    *warned = Some(Instant::now());
                }
                sleep(PAUSE).await;
            }
        }
    }
}

/// Whether one connection has failed, and the next may be there.
fn is_of_one(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused)
}
