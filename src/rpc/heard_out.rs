//! What a client still says when its call has ended is heard out, and forgotten.
//!
//! A call may end while its client speaks: it is refused, it is faulty, the daemon stops. A request that is dropped then is reset behind the
//! answer, with `NO_ERROR` (RFC 9113, 8.1). HAProxy passes that on as `CANCEL`, and gRPC's C core believes it rather than the status it
//! has just been told. A client that has the answer ends its side by itself, and is given a moment for it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Body as HttpBody;

/// Time a client gets to end its side.
const MOMENT: Duration = Duration::from_secs(1);

/// Clients that are heard out at once. Each costs a task and the books of its call, not what it says; one more is reset as ever.
pub(super) const MOST: usize = 4096;

/// What the client of a call says.
pub(super) struct Said {
    body: Body,
    /// It has ended, or its connection has.
    over: bool,
    places: Arc<Semaphore>,
}

impl Said {
    /// Is heard out while there are `places`.
    pub fn new(body: Body, places: Arc<Semaphore>) -> Self {
        Self { body, over: false, places }
    }
}

impl HttpBody for Said {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.over |= matches!(polled, Poll::Ready(None | Some(Err(_))));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Said {
    fn drop(&mut self) {
        if self.over || self.body.is_end_stream() {
            return;
        }
        let place = Arc::clone(&self.places).try_acquire_owned();
        let (Ok(runtime), Ok(place)) = (Handle::try_current(), place) else { return };
        let mut body = std::mem::take(&mut self.body);
        runtime.spawn(async move {
            let _ = timeout(MOMENT, async { while let Some(Ok(_)) = body.frame().await {} }).await;
            drop(place);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use http_body_util::StreamBody;
    use tokio::sync::mpsc;
    use tokio_stream::wrappers::ReceiverStream;

    use super::*;

    type Client = mpsc::Sender<Result<Frame<Bytes>, Status>>;

    /// Longer than anything here takes.
    const STUCK: Duration = Duration::from_secs(60);

    fn said(places: &Arc<Semaphore>) -> (Client, Said) {
        let (client, said) = mpsc::channel(1);
        let body = Body::new(StreamBody::new(ReceiverStream::new(said)));
        (client, Said::new(body, Arc::clone(places)))
    }

    /// Whether anybody still listens to `client`.
    async fn says(client: &Client) -> bool {
        let more = Ok(Frame::data(Bytes::from_static(b"more")));
        timeout(STUCK, client.send(more)).await.expect("nobody takes it").is_ok()
    }

    #[tokio::test]
    async fn a_client_is_heard_to_its_end() {
        let places = Arc::new(Semaphore::new(1));
        let (client, mut body) = said(&places);
        assert!(says(&client).await);
        assert!(body.frame().await.is_some());
        drop(body);
        assert_eq!(places.available_permits(), 0);
        for _ in 0..3 {
            assert!(says(&client).await, "it waits for room that nobody makes");
        }
        drop(client);
        let free = timeout(STUCK, places.acquire()).await;
        assert!(free.is_ok(), "its place is kept");
    }

    #[tokio::test]
    async fn a_client_that_does_not_end_is_heard_for_a_moment() {
        let places = Arc::new(Semaphore::new(1));
        let (client, body) = said(&places);
        let begun = Instant::now();
        drop(body);
        while says(&client).await {
            tokio::time::sleep(Duration::from_millis(10)).await;
            assert!(begun.elapsed() < STUCK, "it is heard for ever");
        }
        assert!(begun.elapsed() >= MOMENT);
        assert_eq!(places.available_permits(), 1);
    }

    #[tokio::test]
    async fn one_that_has_ended_or_finds_no_place_is_not_heard() {
        let places = Arc::new(Semaphore::new(1));
        let (client, mut body) = said(&places);
        drop(client);
        assert!(body.frame().await.is_none());
        drop(body);
        assert_eq!(places.available_permits(), 1);
        let (_first, body) = said(&places);
        drop(body);
        let (second, body) = said(&places);
        drop(body);
        assert!(!says(&second).await);
    }
}
