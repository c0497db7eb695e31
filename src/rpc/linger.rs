//! Connections that begin in time, and end without losing what was said last.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::maybe_done;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::{Connected, TcpConnectInfo};

use super::traffic::{Traffic, UnderWay};

/// Time the other end gets to read the end of a connection and to end its own.
pub(super) const LINGER: Duration = Duration::from_secs(2);

/// Time the other end gets to begin. Until it has, no keep-alive finds out whether it is there, and it cannot be told of a stop.
const BEGIN: Duration = Duration::from_secs(10);

/// Bytes that every client of HTTP/2 begins with (RFC 9113, 3.4).
const PREFACE_BYTES: usize = 24;

/// A connection that is closed unless the other end begins within [`BEGIN`], or before the daemon stops; and otherwise once the other end
/// has closed it too.
///
/// Closed at once, what still comes of the other end, flow control above all, is answered with a reset, which overtakes the last frames:
/// they are lost where they have not been read yet (RFC 9112, 9.6, says why; a proxy that drops what a broken connection has brought loses
/// them even then). So its sending side is shut, and what comes is read and dropped, for [`LINGER`] at most.
pub(super) struct Lingering {
    stream: TcpStream,
    /// Until the other end has begun.
    beginning: Option<Beginning>,
    /// Once the sending side is shut.
    until: Option<Pin<Box<Sleep>>>,
    traffic: Traffic,
    /// While the other end takes no more.
    held_up: Option<UnderWay>,
    /// Given back once the stream is closed.
    _place: Option<OwnedSemaphorePermit>,
}

/// What is missing of a connection's beginning, and when it is not waited for any more.
struct Beginning {
    bytes: usize,
    over: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Lingering {
    /// Is not waited for once the daemon is `stopping`; holds `place`, and notes in `traffic` what it sends.
    pub fn new(
        stream: TcpStream,
        place: Option<OwnedSemaphorePermit>,
        stopping: CancellationToken,
        traffic: Traffic,
    ) -> Self {
        Self { _place: place, traffic, ..Self::within(BEGIN, stream, stopping) }
    }

    fn within(time: Duration, stream: TcpStream, stopping: CancellationToken) -> Self {
        let over = async move {
            tokio::select! {
                () = sleep(time) => {}
                () = stopping.cancelled() => {}
            }
        };
        // Whoever reads on is told again.
        let over = Box::pin(maybe_done(over));
        let beginning = Some(Beginning { bytes: PREFACE_BYTES, over });
        Self { stream, beginning, until: None, traffic: Traffic::new(), held_up: None, _place: None }
    }

    /// Notes what came of sending.
    fn sent(&mut self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match polled {
            Poll::Pending if self.held_up.is_none() => self.held_up = Some(self.traffic.held_up()),
            Poll::Pending => {}
            Poll::Ready(_) => {
                self.held_up = None;
                self.traffic.sent();
            }
        }
        polled
    }

    /// Reads and drops until the other end closes.
    fn poll_closed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut bytes = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            match ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
    }
}

impl Connected for Lingering {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Lingering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let Some(beginning) = &mut self.beginning else { return polled };
        if polled.is_pending() {
            return beginning.over.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()));
        }
        beginning.bytes = beginning.bytes.saturating_sub(buffer.filled().len() - before);
        if beginning.bytes == 0 {
            self.beginning = None;
        }
        polled
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.sent(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.sent(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.until.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            self.until = Some(Box::pin(sleep(LINGER)));
        }
        if self.poll_closed(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
        self.until.as_mut().map_or(Poll::Ready(()), |until| until.as_mut().poll(context)).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    /// Longer than anything here takes.
    const STUCK: Duration = Duration::from_secs(60);
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    /// A client, and the connection it has.
    async fn pair(time: Duration, stopping: &CancellationToken) -> (TcpStream, Lingering) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        (client, Lingering::within(time, stream, stopping.clone()))
    }

    async fn read(connection: &mut Lingering) -> io::Result<usize> {
        timeout(STUCK, connection.read(&mut [0; 64])).await.expect("it is waited for")
    }

    #[tokio::test]
    async fn one_that_does_not_begin_is_not_waited_for() {
        let stopping = CancellationToken::new();
        let (mut client, mut connection) = pair(Duration::from_millis(50), &stopping).await;
        client.write_all(&PREFACE[..23]).await.unwrap();
        let mut bytes = 0;
        let error = loop {
            match read(&mut connection).await {
                Ok(read) => bytes += read,
                Err(error) => break error,
            }
        };
        assert_eq!((bytes, error.kind()), (23, io::ErrorKind::TimedOut));
        assert!(read(&mut connection).await.is_err(), "asked again, it waits");
    }

    #[tokio::test]
    async fn one_that_has_begun_may_be_silent() {
        let stopping = CancellationToken::new();
        let time = Duration::from_millis(500);
        let (mut client, mut connection) = pair(time, &stopping).await;
        client.write_all(PREFACE).await.unwrap();
        let mut preface = [0; PREFACE_BYTES];
        timeout(STUCK, connection.read_exact(&mut preface)).await.unwrap().unwrap();
        stopping.cancel();
        assert!(timeout(2 * time, connection.read(&mut [0])).await.is_err(), "its silence ended it");
        client.write_all(b"more").await.unwrap();
        assert_eq!(read(&mut connection).await.unwrap(), 4);
    }

    #[tokio::test]
    async fn a_stop_does_not_wait_for_one_that_has_not_begun() {
        let stopping = CancellationToken::new();
        let (_client, mut connection) = pair(Duration::MAX, &stopping).await;
        let reading = tokio::spawn(async move { read(&mut connection).await.map_err(|error| error.kind()) });
        stopping.cancel();
        assert_eq!(reading.await.unwrap(), Err(io::ErrorKind::TimedOut));
    }

    #[tokio::test]
    async fn a_stop_waits_for_what_a_slow_client_has_still_to_take() {
        let stopping = CancellationToken::new();
        let (mut client, mut connection) = pair(Duration::MAX, &stopping).await;
        let (traffic, time) = (connection.traffic.clone(), Duration::from_millis(50));
        let bytes = vec![7; 64 << 20];
        let writing = tokio::spawn(async move { connection.write_all(&bytes).await });
        assert!(timeout(10 * time, traffic.quiet(time)).await.is_err(), "it was not waited for");
        let mut left = 64 << 20;
        while left > 0 {
            left -= timeout(STUCK, client.read(&mut [0; 1 << 16])).await.unwrap().unwrap();
        }
        writing.await.unwrap().unwrap();
        timeout(STUCK, traffic.quiet(time)).await.unwrap();
    }
}
