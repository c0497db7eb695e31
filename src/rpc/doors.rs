//! The places in front of the engine: so many sessions, so many of one client, so many whole files at a time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::status::RpcError;
use crate::telemetry::{CallInfo, CallKind};

/// How many may come in.
#[derive(Debug, Clone, Copy)]
pub struct DoorOptions {
    /// Sessions open at once.
    pub max_sessions: usize,
    /// Of them, sessions of one client, known by its IP address; `None` for as many as it likes.
    pub max_sessions_per_client: Option<usize>,
    /// Of them, whole files being drawn.
    pub max_synth: usize,
    /// Of them, whole files waiting to be drawn.
    pub max_queued_synth: usize,
}

pub(super) struct Doors {
    options: DoorOptions,
    places: Arc<Semaphore>,
    drawing: Arc<Semaphore>,
    queued: Arc<AtomicUsize>,
    clients: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// What a call holds for as long as it lasts.
pub(super) struct Place {
    _place: OwnedSemaphorePermit,
    _client: Option<ClientPlace>,
    _drawing: Option<OwnedSemaphorePermit>,
}

impl Doors {
    pub fn new(options: DoorOptions) -> Self {
        let semaphore = |places: usize| Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
        Self {
            options,
            places: semaphore(options.max_sessions),
            drawing: semaphore(options.max_synth),
            queued: Arc::default(),
            clients: Arc::default(),
        }
    }

    /// Sessions open now, those that wait to be drawn included.
    pub fn taken(&self) -> usize {
        self.options.max_sessions - self.places.available_permits()
    }

    /// A place, at once for a live call; a whole file may wait for one that is being drawn, in turn.
    pub async fn enter(&self, info: &CallInfo, stopping: watch::Receiver<bool>) -> Result<Place, RpcError> {
        if *stopping.borrow() {
            return Err(RpcError::Stopping);
        }
        let full = RpcError::Full { max_sessions: self.options.max_sessions };
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| full)?;
        let client = match (self.options.max_sessions_per_client, info.peer) {
            (Some(most), Some(peer)) => Some(self.client_place(peer, most)?),
            _ => None,
        };
        let drawing = if info.kind == CallKind::Live { None } else { Some(self.turn(stopping).await?) };
        Ok(Place { _place: place, _client: client, _drawing: drawing })
    }

    fn client_place(&self, peer: IpAddr, most: usize) -> Result<ClientPlace, RpcError> {
        // A client that reaches us by IPv4 through an IPv6 socket is one client.
        let peer = peer.to_canonical();
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let open = clients.entry(peer).or_default();
        if *open >= most {
            return Err(RpcError::ClientFull { max_sessions_per_client: most });
        }
        *open += 1;
        drop(clients);
        Ok(ClientPlace { peer, clients: Arc::clone(&self.clients) })
    }

    async fn turn(&self, mut stopping: watch::Receiver<bool>) -> Result<OwnedSemaphorePermit, RpcError> {
        let drawing = Arc::clone(&self.drawing);
        if let Ok(turn) = Arc::clone(&drawing).try_acquire_owned() {
            return Ok(turn);
        }
        let _queued = Queued::join(&self.queued, self.options.max_queued_synth)
            .ok_or(RpcError::QueueFull { max_queued_synth: self.options.max_queued_synth })?;
        tokio::select! {
            turn = drawing.acquire_owned() => turn.map_err(|_| RpcError::Stopping),
            _ = stopping.wait_for(|stopping| *stopping) => Err(RpcError::Stopping),
        }
    }
}

/// One of a client's places; given back when dropped.
struct ClientPlace {
    peer: IpAddr,
    clients: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Drop for ClientPlace {
    fn drop(&mut self) {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = clients.get_mut(&self.peer) {
            *open -= 1;
            if *open == 0 {
                clients.remove(&self.peer);
            }
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

    const OPTIONS: DoorOptions =
        DoorOptions { max_sessions: 6, max_sessions_per_client: Some(2), max_synth: 1, max_queued_synth: 1 };

    fn call(kind: CallKind, peer: [u8; 4]) -> CallInfo {
        CallInfo { kind, request_id: None, peer: Some(Ipv4Addr::from(peer).into()), deadline: None }
    }

    #[tokio::test]
    async fn a_client_has_so_many_places_by_either_family_and_gets_them_back() {
        let doors = Doors::new(OPTIONS);
        let stop = watch::Sender::new(false);
        let info = call(CallKind::Live, [10, 0, 0, 1]);
        let mapped = CallInfo { peer: Some(Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped().into()), ..info.clone() };
        let first = doors.enter(&info, stop.subscribe()).await.ok().unwrap();
        let _second = doors.enter(&mapped, stop.subscribe()).await.ok().unwrap();
        let refused = doors.enter(&info, stop.subscribe()).await.err().unwrap();
        assert!(matches!(refused, RpcError::ClientFull { max_sessions_per_client: 2 }), "{refused}");
        assert!(doors.enter(&call(CallKind::Live, [10, 0, 0, 2]), stop.subscribe()).await.is_ok(), "another client");
        assert_eq!(doors.taken(), 2, "a refused call holds nothing");
        drop(first);
        assert!(doors.enter(&info, stop.subscribe()).await.is_ok());
    }

    #[tokio::test]
    async fn whole_files_wait_in_turn_to_a_bound_and_not_beyond_a_stop() {
        let doors = Arc::new(Doors::new(OPTIONS));
        let stop = watch::Sender::new(false);
        let whole = |n| call(CallKind::Whole, [10, 0, 1, n]);
        let first = doors.enter(&whole(1), stop.subscribe()).await.ok().unwrap();
        let wait = |n| {
            let (doors, stopping) = (Arc::clone(&doors), stop.subscribe());
            tokio::spawn(async move { doors.enter(&whole(n), stopping).await })
        };
        let second = wait(2);
        while doors.queued.load(Ordering::Acquire) == 0 {
            tokio::task::yield_now().await;
        }
        let third = doors.enter(&whole(3), stop.subscribe()).await.err().unwrap();
        assert!(matches!(third, RpcError::QueueFull { max_queued_synth: 1 }), "{third}");
        assert!(
            doors.enter(&call(CallKind::Live, [10, 0, 1, 4]), stop.subscribe()).await.is_ok(),
            "live calls pass by"
        );
        drop(first);
        let second = second.await.unwrap().ok().unwrap();
        let fourth = wait(5);
        while doors.queued.load(Ordering::Acquire) == 0 {
            tokio::task::yield_now().await;
        }
        stop.send_replace(true);
        assert!(matches!(fourth.await.unwrap(), Err(RpcError::Stopping)));
        drop(second);
        assert_eq!((doors.taken(), doors.queued.load(Ordering::Acquire)), (0, 0));
    }
}
