//! Answers that are taken away from a call whose client does not read them.
//!
//! Such a client cannot be told anything: HTTP/2 asks for the next answer only when there is room for it. Until then whatever makes
//! the answers would be held, for ever if need be. It is therefore only leased to the connection: when an answer that is ready is
//! not asked for within the call's bounds, a clock drops it, and whoever asks after all is told why.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::Stream;
use futures_util::task::AtomicWaker;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;

use super::activity::Bounds;
use super::status::RpcError;
use crate::telemetry::Overdue;

/// Time past its deadline in which a call's own answers may still say so.
const GRACE: Duration = Duration::from_millis(20);

/// The answers of a call, as its connection has them.
pub(super) struct Leased<S> {
    lease: Arc<Lease<S>>,
    _watch: AbortOnDropHandle<()>,
}

struct Lease<S> {
    answers: Mutex<Answers<S>>,
    bell: Arc<Bell>,
}

enum Answers<S> {
    Held(Pin<Box<S>>),
    TakenAway(Option<RpcError>),
}

/// Rung by the answers when there may be one; passes it on, and remembers since when nobody has come.
#[derive(Default)]
struct Bell {
    connection: AtomicWaker,
    ready_since: Mutex<Option<Instant>>,
}

impl Bell {
    fn ready(&self) -> MutexGuard<'_, Option<Instant>> {
        self.ready_since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ready().get_or_insert_with(Instant::now);
        self.connection.wake();
    }
}

impl<S, I> Leased<S>
where
    S: Stream<Item = Result<I, Status>> + Send + 'static,
{
    /// Leases `answers` within `bounds`; `overdue` is told when they are taken away.
    pub(super) fn new(answers: S, bounds: Bounds, overdue: Overdue) -> Self {
        let bell = Arc::new(Bell { ready_since: Mutex::new(Some(Instant::now())), ..Bell::default() });
        let lease = Arc::new(Lease { answers: Mutex::new(Answers::Held(Box::pin(answers))), bell });
        let watch = AbortOnDropHandle::new(tokio::spawn(watch(Arc::downgrade(&lease), bounds, overdue)));
        Self { lease, _watch: watch }
    }
}

impl<S, I> Stream for Leased<S>
where
    S: Stream<Item = Result<I, Status>>,
{
    type Item = Result<I, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Lease { answers, bell } = &*self.lease;
        bell.connection.register(context.waker());
        // Before asking: what rings from now on is for the next time.
        *bell.ready() = None;
        let waker = Waker::from(Arc::clone(bell));
        let answer = match &mut *answers.lock().unwrap_or_else(PoisonError::into_inner) {
            Answers::Held(answers) => answers.as_mut().poll_next(&mut Context::from_waker(&waker)),
            Answers::TakenAway(why) => return Poll::Ready(why.take().map(|why| Err(why.into()))),
        };
        if answer.is_ready() {
            // There may be another at once.
            bell.ready().get_or_insert_with(Instant::now);
        }
        answer
    }
}

/// Takes the answers away when they wait too long; ends with the call.
async fn watch<S>(lease: Weak<Lease<S>>, bounds: Bounds, overdue: Overdue) {
    loop {
        let Some(held) = lease.upgrade() else { return };
        let now = Instant::now();
        let unread = bounds.idle.map(|idle| (held.bell.ready().unwrap_or(now) + idle, idle));
        let why = match (bounds.deadline.map(|deadline| deadline + GRACE), unread) {
            (Some(deadline), _) if deadline <= now => RpcError::Deadline,
            (_, Some((at, idle))) if at <= now => RpcError::Unread { seconds: idle.as_secs() },
            (deadline, unread) => {
                drop(held);
                match deadline.into_iter().chain(unread.map(|(at, _)| at)).min() {
                    Some(at) => sleep_until(at).await,
                    None => return,
                }
                continue;
            }
        };
        overdue.note();
        let mut answers = held.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = std::mem::replace(&mut *answers, Answers::TakenAway(Some(why)));
        drop(answers);
        // Outside the lock: this frees the session.
        drop(gone);
        held.bell.connection.wake();
        return;
    }
}
