//! A client of another lipsyncd: what `synth --server` speaks with.

use bytes::Bytes;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

use super::proto::lipsync::lip_sync_client::LipSyncClient;
use super::proto::lipsync::{AudioFormat, GetAvatarRequest, Output, SynthesizeRequest, SynthesizeResponse};

/// HTTP/2 frames of a JPEG's size: the default of 16 KiB costs a third more CPU per stream (FACTS, F).
const MAX_FRAME_BYTES: u32 = 128 << 10;

/// Why a daemon did not answer as asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address cannot be one, or nobody answers there.
    #[error("{server}: {source}; start a daemon with `lipsyncd serve`, or correct the address")]
    Connect {
        /// The address given.
        server: String,
        /// The transport's reason.
        source: tonic::transport::Error,
    },
    /// The daemon refused; its own sentence.
    #[error("the daemon answered: {}", .0.message())]
    Refused(Status),
}

/// What a daemon says of an avatar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteAvatar {
    /// Width and height of its frames.
    pub size_px: (usize, usize),
    /// Frames per second.
    pub fps: u32,
}

/// A connection to a daemon.
pub struct Client {
    inner: LipSyncClient<Channel>,
}

impl Client {
    /// Connects to `server`, such as `http://127.0.0.1:50053`.
    ///
    /// # Errors
    /// [`ClientError::Connect`].
    pub async fn connect(server: &str, max_message_bytes: usize) -> Result<Self, ClientError> {
        let failed = |source| ClientError::Connect { server: server.to_owned(), source };
        let endpoint = Endpoint::from_shared(server.to_owned()).map_err(failed)?.max_frame_size(MAX_FRAME_BYTES);
        let channel = endpoint.connect().await.map_err(failed)?;
        let inner = LipSyncClient::new(channel)
            .max_decoding_message_size(max_message_bytes)
            .max_encoding_message_size(max_message_bytes);
        Ok(Self { inner })
    }

    /// Size and speed of an avatar.
    ///
    /// # Errors
    /// [`ClientError::Refused`].
    pub async fn avatar(&mut self, id: &str) -> Result<RemoteAvatar, ClientError> {
        let request = GetAvatarRequest { avatar_id: id.to_owned() };
        let response = self.inner.get_avatar(request).await.map_err(ClientError::Refused)?;
        let avatar = response.into_inner().avatar.unwrap_or_default();
        Ok(RemoteAvatar { size_px: (avatar.width as usize, avatar.height as usize), fps: avatar.fps })
    }

    /// Sends a whole WAV file and gives the frames that come back.
    ///
    /// # Errors
    /// [`ClientError::Refused`].
    pub async fn synthesize(
        &mut self,
        id: &str,
        wav: Vec<u8>,
        start_position: u64,
        jpeg_quality: u32,
    ) -> Result<RemoteFrames, ClientError> {
        let request = SynthesizeRequest {
            avatar_id: id.to_owned(),
            audio: wav.into(),
            audio_format: AudioFormat::Wav.into(),
            sample_rate_hz: 0,
            start_position,
            jpeg_quality,
            output: Output::Frame.into(),
        };
        let response = self.inner.synthesize(request).await.map_err(ClientError::Refused)?;
        Ok(RemoteFrames { inner: response.into_inner() })
    }
}

/// Frames on their way from a daemon.
pub struct RemoteFrames {
    inner: Streaming<SynthesizeResponse>,
}

impl RemoteFrames {
    /// The next frame's number and JPEG; `None` after the last.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when the daemon could not go on.
    pub async fn next(&mut self) -> Result<Option<(u64, Bytes)>, ClientError> {
        let message = self.inner.message().await.map_err(ClientError::Refused)?;
        Ok(message.and_then(|message| message.frame).map(|frame| (frame.index, frame.jpeg)))
    }
}
