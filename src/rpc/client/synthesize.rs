//! Whole audio in, its frames out.

use bytes::Bytes;
use tonic::Streaming;

use super::{Client, ClientError};
use crate::rpc::proto::lipsync::{AudioFormat, SynthesizeRequest, SynthesizeResponse};

impl Client {
    /// Sends a whole WAV file and gives the frames that come back.
    ///
    /// # Errors
    /// [`ClientError::Refused`], [`ClientError::Gone`].
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
            ..Default::default()
        };
        let response = self.inner.synthesize(request).await.map_err(ClientError::of)?;
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
    /// When the daemon could not go on.
    pub async fn next(&mut self) -> Result<Option<(u64, Bytes)>, ClientError> {
        let message = self.inner.message().await.map_err(ClientError::of)?;
        Ok(message.and_then(|message| message.frame).map(|frame| (frame.index, frame.jpeg)))
    }
}
