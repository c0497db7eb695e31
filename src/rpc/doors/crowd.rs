//! So many calls of a kind at once, and so many of them of one client.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::rpc::status::RpcError;

pub(super) struct Crowd {
    what: &'static str,
    most: usize,
    most_of_one: Option<usize>,
    places: Arc<Semaphore>,
    clients: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One of its places; given back when dropped.
pub(in crate::rpc) struct InCrowd {
    _place: OwnedSemaphorePermit,
    _client: Option<ClientPlace>,
}

impl Crowd {
    /// Of `what`, which is how refusals name its places.
    pub fn new(what: &'static str, most: usize, most_of_one: Option<usize>) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        Self { what, most, most_of_one, places: Arc::new(Semaphore::new(most)), clients: Arc::default() }
    }

    /// Places that are taken.
    pub fn taken(&self) -> usize {
        self.most - self.places.available_permits()
    }

    /// A place, at once.
    pub fn enter(&self, peer: Option<IpAddr>) -> Result<InCrowd, RpcError> {
        let full = RpcError::Full { what: self.what, max_sessions: self.most };
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| full)?;
        let client = match (self.most_of_one, peer) {
            (Some(most), Some(peer)) => Some(self.client_place(peer, most)?),
            _ => None,
        };
        Ok(InCrowd { _place: place, _client: client })
    }

    fn client_place(&self, peer: IpAddr, most: usize) -> Result<ClientPlace, RpcError> {
        // A client that reaches us by IPv4 through an IPv6 socket is one client.
        let peer = peer.to_canonical();
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let open = clients.entry(peer).or_default();
        if *open >= most {
            return Err(RpcError::ClientFull { what: self.what, max_sessions_per_client: most });
        }
        *open += 1;
        drop(clients);
        Ok(ClientPlace { peer, clients: Arc::clone(&self.clients) })
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
