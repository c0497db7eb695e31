//! The places in front of the engine: so many sessions, so many of one client, so many whole files at a time. And those of clients
//! that fetch the avatars' own frames, which the engine has no part in.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use self::crowd::Crowd;
pub(super) use self::crowd::InCrowd;
use super::status::RpcError;
use crate::telemetry::{CallInfo, CallKind};

mod crowd;

/// How many may come in.
#[derive(Debug, Clone, Copy)]
pub struct DoorOptions {
    /// Sessions open at once; and as many calls that fetch backgrounds.
    pub max_sessions: usize,
    /// Of either, those of one client, known by its IP address; `None` for as many as it likes.
    pub max_sessions_per_client: Option<usize>,
    /// Of the sessions, whole files being drawn.
    pub max_synth: usize,
    /// Of the sessions, whole files waiting to be drawn.
    pub max_queued_synth: usize,
    /// Bytes of requests that are coming in, wait or are being read; the largest message has to fit.
    pub max_upload_bytes: usize,
    /// Backgrounds being encoded at a time. The lanes draw on the same cores.
    pub background_encoders: usize,
}

pub(super) struct Doors {
    options: DoorOptions,
    sessions: Crowd,
    fetches: Crowd,
    drawing: Arc<Semaphore>,
    queued: Arc<AtomicUsize>,
    uploads: Arc<Semaphore>,
    encoders: Arc<Semaphore>,
    stopping: CancellationToken,
}

/// What a call holds for as long as it lasts.
pub(super) struct Place {
    _session: InCrowd,
    _drawing: Option<OwnedSemaphorePermit>,
}

impl Doors {
    /// Open until the daemon is `stopping`.
    pub fn new(options: DoorOptions, stopping: CancellationToken) -> Self {
        let semaphore = |places: usize| Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
        let crowd = |what| Crowd::new(what, options.max_sessions, options.max_sessions_per_client);
        Self {
            options,
            sessions: crowd("sessions"),
            fetches: crowd("places for GetAvatarFrames"),
            drawing: semaphore(options.max_synth),
            queued: Arc::default(),
            uploads: semaphore(options.max_upload_bytes),
            encoders: semaphore(options.background_encoders),
            stopping,
        }
    }

    /// Sessions open now, those that wait to be drawn included.
    pub fn taken(&self) -> usize {
        self.sessions.taken()
    }

    /// A place, at once for a live call; a whole file may wait for one that is being drawn, in turn.
    pub async fn enter(&self, info: &CallInfo) -> Result<Place, RpcError> {
        if self.stopping.is_cancelled() {
            return Err(RpcError::Stopping);
        }
        let session = self.sessions.enter(info.peer)?;
        let drawing = if info.kind == CallKind::Live { None } else { Some(self.turn().await?) };
        Ok(Place { _session: session, _drawing: drawing })
    }

    /// A place for a call that fetches backgrounds, at once. Whoever takes patches has a session beside it, so these are counted apart.
    pub fn fetch(&self, info: &CallInfo) -> Result<InCrowd, RpcError> {
        if self.stopping.is_cancelled() {
            return Err(RpcError::Stopping);
        }
        self.fetches.enter(info.peer)
    }

    /// Room for so many `bytes` of a request, at once.
    pub fn upload_room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, RpcError> {
        let full = RpcError::UploadsFull { max_upload_bytes: self.options.max_upload_bytes };
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        Arc::clone(&self.uploads).try_acquire_many_owned(bytes).map_err(|_| full)
    }

    /// A turn to encode one background, in the order of asking.
    pub async fn encoder(&self) -> Result<OwnedSemaphorePermit, RpcError> {
        Arc::clone(&self.encoders).acquire_owned().await.map_err(|_| RpcError::Stopping)
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, RpcError> {
        let drawing = Arc::clone(&self.drawing);
        if let Ok(turn) = Arc::clone(&drawing).try_acquire_owned() {
            return Ok(turn);
        }
        let _queued = Queued::join(&self.queued, self.options.max_queued_synth)
            .ok_or(RpcError::QueueFull { max_queued_synth: self.options.max_queued_synth })?;
        tokio::select! {
            turn = drawing.acquire_owned() => turn.map_err(|_| RpcError::Stopping),
            () = self.stopping.cancelled() => Err(RpcError::Stopping),
        }
    }
}

/// One of those that wait; a call that is given up leaves the queue as it is dropped.
struct Queued(Arc<AtomicUsize>);

impl Queued {
    fn join(queued: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        queued
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |waiting| (waiting < most).then_some(waiting + 1))
            .ok()?;
        Some(Self(Arc::clone(queued)))
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const OPTIONS: DoorOptions = DoorOptions {
        max_sessions: 6,
        max_sessions_per_client: Some(2),
        max_synth: 1,
        max_queued_synth: 1,
        max_upload_bytes: 1 << 20,
        background_encoders: 1,
    };

    fn call(kind: CallKind, peer: [u8; 4]) -> CallInfo {
        CallInfo { kind, request_id: None, peer: Some(Ipv4Addr::from(peer).into()), deadline: None }
    }

    #[tokio::test]
    async fn a_client_has_so_many_places_by_either_family_and_gets_them_back() {
        let doors = Doors::new(OPTIONS, CancellationToken::new());
        let info = call(CallKind::Live, [10, 0, 0, 1]);
        let mapped = CallInfo { peer: Some(Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped().into()), ..info.clone() };
        let first = doors.enter(&info).await.ok().unwrap();
        let _second = doors.enter(&mapped).await.ok().unwrap();
        let refused = doors.enter(&info).await.err().unwrap();
        assert!(matches!(refused, RpcError::ClientFull { max_sessions_per_client: 2, .. }), "{refused}");
        assert!(doors.enter(&call(CallKind::Live, [10, 0, 0, 2])).await.is_ok(), "another client");
        assert_eq!(doors.taken(), 2, "a refused call holds nothing");
        drop(first);
        assert!(doors.enter(&info).await.is_ok());
    }

    #[tokio::test]
    async fn whole_files_wait_in_turn_to_a_bound_and_not_beyond_a_stop() {
        let stopping = CancellationToken::new();
        let doors = Arc::new(Doors::new(OPTIONS, stopping.clone()));
        let whole = |n| call(CallKind::Whole, [10, 0, 1, n]);
        let first = doors.enter(&whole(1)).await.ok().unwrap();
        let wait = |n| {
            let doors = Arc::clone(&doors);
            tokio::spawn(async move { doors.enter(&whole(n)).await })
        };
        let second = wait(2);
        while doors.queued.load(Ordering::Acquire) == 0 {
            tokio::task::yield_now().await;
        }
        let third = doors.enter(&whole(3)).await.err().unwrap();
        assert!(matches!(third, RpcError::QueueFull { max_queued_synth: 1 }), "{third}");
        assert!(doors.enter(&call(CallKind::Live, [10, 0, 1, 4])).await.is_ok(), "live calls pass by");
        drop(first);
        let second = second.await.unwrap().ok().unwrap();
        let fourth = wait(5);
        while doors.queued.load(Ordering::Acquire) == 0 {
            tokio::task::yield_now().await;
        }
        stopping.cancel();
        assert!(matches!(fourth.await.unwrap(), Err(RpcError::Stopping)));
        drop(second);
        assert_eq!((doors.taken(), doors.queued.load(Ordering::Acquire)), (0, 0));
    }
}
