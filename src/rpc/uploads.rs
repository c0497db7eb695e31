//! Requests as they come in: so many bytes of all together, and none that stays away in the middle.
//!
//! A message is gathered before anybody asks whether its call may come in, and as much room is made for it as its first bytes announce. So
//! that is counted here until the call is answered: by then the message has been read and let go of, or the call refused.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::maybe_done;
use hyper::body::Frame;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Body as HttpBody;

use super::daemon::Daemon;
use super::status::RpcError;

/// A gRPC message's flag and length before its bytes.
const HEADER_LEN: usize = 5;

/// Bytes of each call that are not counted: questions are answered and live streams let in, whatever whole files hold.
const FREE_BYTES: usize = 64 << 10;

/// Time that the rest of a request gets once the daemon stops: one that comes in one go is still answered.
const LAST_PIECES: Duration = Duration::from_secs(1);

/// The call whose messages come one by one for as long as it lasts. It bounds itself how long they stay away, and once it has its place
/// how many there are; a stop ends it by other ways.
const LIVE_PATH: &str = "/lipsync.v1.LipSync/Converse";

/// Room that a call's request takes; to be kept until it is answered.
#[derive(Default)]
pub(super) struct Held(Mutex<Option<OwnedSemaphorePermit>>);

impl Held {
    fn add(&self, room: OwnedSemaphorePermit) {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(held) => held.merge(room),
            none => *none = Some(room),
        }
    }
}

/// A request's body.
pub(super) struct Upload {
    body: Body,
    daemon: Arc<Daemon>,
    max_message_bytes: usize,
    /// Until the call is answered.
    held: Weak<Held>,
    headers: Headers,
    /// Bytes, of all messages so far.
    announced: usize,
    is_live: bool,
    /// Time that nothing may come in.
    idle: Option<Duration>,
    /// From the first time that nothing is there.
    clock: Option<Pin<Box<Sleep>>>,
    /// From then on too: completes when the daemon waits no more.
    stop: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Upload {
    /// The `body` of a call of `path`, whose room is noted in `held`. Messages beyond `max_message_bytes` take none.
    pub fn new(body: Body, path: &str, daemon: &Arc<Daemon>, max_message_bytes: usize, held: &Arc<Held>) -> Self {
        Self {
            body,
            daemon: Arc::clone(daemon),
            max_message_bytes,
            held: Arc::downgrade(held),
            headers: Headers::default(),
            announced: 0,
            is_live: path == LIVE_PATH,
            idle: daemon.idle(),
            clock: None,
            stop: None,
        }
    }

    /// Takes room for the messages that begin in `data`.
    fn make_room(&mut self, mut data: &[u8]) -> Result<(), RpcError> {
        let Some(held) = self.held.upgrade() else { return Ok(()) };
        while let Some(len) = self.headers.next(&mut data) {
            if len <= self.max_message_bytes {
                let before = self.announced.max(FREE_BYTES);
                self.announced = self.announced.saturating_add(HEADER_LEN + len);
                let more = self.announced.saturating_sub(before);
                if more > 0 {
                    held.add(self.daemon.doors().upload_room(more)?);
                }
            }
            if self.is_live {
                self.held = Weak::new();
                break;
            }
        }
        Ok(())
    }

    /// Completes when what has not come is not waited for any more, with the reason.
    fn poll_given_up(&mut self, context: &mut Context<'_>) -> Poll<RpcError> {
        if let Some(idle) = self.idle
            && self.clock.get_or_insert_with(|| Box::pin(sleep(idle))).as_mut().poll(context).is_ready()
        {
            return Poll::Ready(RpcError::Stalled { seconds: idle.as_secs() });
        }
        let stop = self.stop.get_or_insert_with(|| {
            let stopping = self.daemon.stopping().clone();
            Box::pin(maybe_done(async move {
                stopping.cancelled().await;
                sleep(LAST_PIECES).await;
            }))
        });
        ready!(stop.as_mut().poll(context));
        Poll::Ready(RpcError::Stopping)
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let frame = match Pin::new(&mut this.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => frame,
            Poll::Pending if !this.is_live => {
                let error = ready!(this.poll_given_up(context));
                return Poll::Ready(Some(Err(error.into())));
            }
            polled => return polled,
        };
        if let (Some(clock), Some(idle)) = (&mut this.clock, this.idle) {
            clock.as_mut().reset(Instant::now() + idle);
        }
        let room = this.make_room(frame.data_ref().map_or(&[], |data| data));
        if let Err(full) = &room {
            this.daemon.refused(full);
        }
        Poll::Ready(Some(room.map(|()| frame).map_err(Status::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

/// Finds the messages of a body that comes in pieces.
#[derive(Default)]
struct Headers {
    header: [u8; HEADER_LEN],
    /// Bytes of the header that have come.
    read: usize,
    /// Bytes of the message that have not.
    left: usize,
}

impl Headers {
    /// The length of the next message that begins in `data`, which is cut behind its header; `None` when all of it has been read.
    fn next(&mut self, data: &mut &[u8]) -> Option<usize> {
        let inside = self.left.min(data.len());
        self.left -= inside;
        *data = &data[inside..];
        let some = (HEADER_LEN - self.read).min(data.len());
        self.header[self.read..][..some].copy_from_slice(&data[..some]);
        self.read += some;
        *data = &data[some..];
        if self.read < HEADER_LEN {
            return None;
        }
        let [_, len @ ..] = self.header;
        self.read = 0;
        self.left = u32::from_be_bytes(len) as usize;
        Some(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_however_their_body_is_cut() {
        let lens = [0_usize, 1, 300, 0, 7];
        let body: Vec<u8> =
            lens.iter().flat_map(|&len| [&[0][..], &(len as u32).to_be_bytes(), &vec![255; len]].concat()).collect();
        for piece in 1..=body.len() {
            let mut headers = Headers::default();
            let mut found = Vec::new();
            for mut data in body.chunks(piece) {
                while let Some(len) = headers.next(&mut data) {
                    found.push(len);
                }
                assert!(data.is_empty());
            }
            assert_eq!(found, lens, "in pieces of {piece}");
        }
    }
}
