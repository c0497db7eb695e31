//! A connection to a daemon, and the calls that ask one thing.

use tonic::transport::{Channel, Endpoint};

use super::ClientError;
use crate::rpc::proto::lipsync::lip_sync_client::LipSyncClient;
use crate::rpc::proto::lipsync::{Avatar, GetAvatarRequest, GetStatsRequest, ListAvatarsRequest, LoadAvatarRequest};

/// HTTP/2 frames of a JPEG's size: the default of 16 KiB costs a third more CPU per stream.
const MAX_FRAME_BYTES: u32 = 128 << 10;

/// How a connection is made.
#[derive(Debug, Clone, Copy)]
pub struct ClientOptions {
    /// Largest message taken or sent.
    pub max_message_bytes: usize,
    /// Bytes of one stream that may wait unread in this client; `None` leaves tonic's 2 MiB. A live client
    /// keeps it small, or old frames pile up in it while it does not read.
    pub stream_window_bytes: Option<u32>,
}

/// What a daemon says of an avatar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteAvatar {
    /// Its id.
    pub id: String,
    /// Width and height of its frames.
    pub size_px: (usize, usize),
    /// Frames per second.
    pub fps: u32,
    /// Whether its bundle can be loaded.
    pub sound: bool,
}

/// What a daemon says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteStats {
    /// Its version.
    pub version: String,
    /// "cpu" or "cuda".
    pub backend: String,
    /// Sessions open now.
    pub sessions: u32,
}

/// A connection to a daemon. Clones share it.
#[derive(Clone)]
pub struct Client {
    pub(super) inner: LipSyncClient<Channel>,
}

impl Client {
    /// Connects to `server`, such as `http://127.0.0.1:50053`.
    ///
    /// # Errors
    /// [`ClientError::Connect`].
    pub async fn connect(server: &str, options: ClientOptions) -> Result<Self, ClientError> {
        let failed = |source| ClientError::Connect { server: server.to_owned(), source };
        let mut endpoint = Endpoint::from_shared(server.to_owned()).map_err(failed)?.max_frame_size(MAX_FRAME_BYTES);
        if let Some(bytes) = options.stream_window_bytes {
            // The connection's window is large: a stream that stalls must not hold up its neighbours.
            endpoint = endpoint.initial_stream_window_size(bytes).initial_connection_window_size(bytes.max(1 << 26));
        }
        let channel = endpoint.connect().await.map_err(failed)?;
        let inner = LipSyncClient::new(channel)
            .max_decoding_message_size(options.max_message_bytes)
            .max_encoding_message_size(options.max_message_bytes);
        Ok(Self { inner })
    }

    /// One avatar, loaded or not.
    ///
    /// # Errors
    /// [`ClientError::Refused`], [`ClientError::Gone`].
    pub async fn avatar(&mut self, id: &str) -> Result<RemoteAvatar, ClientError> {
        let request = GetAvatarRequest { avatar_id: id.to_owned() };
        let response = self.inner.get_avatar(request).await.map_err(ClientError::of)?;
        Ok(remote(response.into_inner().avatar.unwrap_or_default()))
    }

    /// Every avatar of the daemon's folder.
    ///
    /// # Errors
    /// [`ClientError::Refused`], [`ClientError::Gone`].
    pub async fn avatars(&mut self) -> Result<Vec<RemoteAvatar>, ClientError> {
        let response = self.inner.list_avatars(ListAvatarsRequest {}).await.map_err(ClientError::of)?;
        Ok(response.into_inner().avatars.into_iter().map(remote).collect())
    }

    /// Loads an avatar ahead of its use; done when it is ready.
    ///
    /// # Errors
    /// [`ClientError::Refused`], [`ClientError::Gone`].
    pub async fn load(&mut self, id: &str) -> Result<(), ClientError> {
        let request = LoadAvatarRequest { avatar_id: id.to_owned() };
        self.inner.load_avatar(request).await.map_err(ClientError::of).map(drop)
    }

    /// What the daemon is, and how many sessions it has.
    ///
    /// # Errors
    /// [`ClientError::Refused`], [`ClientError::Gone`].
    pub async fn stats(&mut self) -> Result<RemoteStats, ClientError> {
        let stats = self.inner.get_stats(GetStatsRequest {}).await.map_err(ClientError::of)?.into_inner();
        Ok(RemoteStats { version: stats.version, backend: stats.backend, sessions: stats.sessions })
    }
}

fn remote(avatar: Avatar) -> RemoteAvatar {
    RemoteAvatar {
        id: avatar.avatar_id,
        size_px: (avatar.width as usize, avatar.height as usize),
        fps: avatar.fps,
        sound: avatar.faults.is_empty(),
    }
}
