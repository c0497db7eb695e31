//! A client of the generated kind, for what the library's own client cannot be asked to do.

use std::net::SocketAddr;

use bytes::Bytes;
pub use proto::converse_request::Message as Say;
pub use proto::converse_response::Message as Heard;
use proto::lip_sync_client::LipSyncClient;
use proto::{AudioFormat, ConverseRequest, ConverseResponse, Start};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};

use super::speech::speech;
use super::{TINY, within};

/// What the build script generated; the library keeps its own copy to itself.
#[allow(dead_code, clippy::pedantic, clippy::nursery)] // Generated, and not all of it is called here.
pub mod proto {
    tonic::include_proto!("lipsync.v1");
}

/// Of all that is said here.
pub const RATE_HZ: u32 = 16_000;

/// A connection of its own with a narrow window, so that what is not read is felt by the server at once.
pub async fn connect(address: SocketAddr) -> LipSyncClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let channel = endpoint.initial_stream_window_size(65_535).connect().await.unwrap();
    LipSyncClient::new(channel)
}

/// The client's side of a `Converse` call on [`TINY`].
pub struct Talk {
    pub say: mpsc::Sender<ConverseRequest>,
    pub hear: Streaming<ConverseResponse>,
}

impl Talk {
    pub async fn open(
        client: &mut LipSyncClient<Channel>,
        idle_frames: bool,
        timeout: Option<&str>,
    ) -> Result<Self, Status> {
        let (say, said) = mpsc::channel(64);
        let start = Start {
            avatar_id: TINY.to_owned(),
            audio_format: AudioFormat::F32le.into(),
            sample_rate_hz: RATE_HZ,
            idle_frames,
            ..Start::default()
        };
        say.send(ConverseRequest { message: Some(Say::Start(start)) }).await.unwrap();
        let mut request = Request::new(ReceiverStream::new(said));
        if let Some(timeout) = timeout {
            request.metadata_mut().insert("grpc-timeout", timeout.parse().unwrap());
        }
        let hear = within(client.converse(request)).await?.into_inner();
        Ok(Self { say, hear })
    }

    pub async fn say(&self, message: Say) {
        within(self.say.send(ConverseRequest { message: Some(message) })).await.unwrap();
    }

    pub async fn speak(&self, samples: &[f32]) {
        for chunk in samples.chunks(4_000) {
            self.say(Say::Audio(bytes_of(chunk))).await;
        }
    }

    pub async fn next(&mut self) -> Result<Heard, Status> {
        let message = within(self.hear.message()).await?;
        Ok(message.and_then(|response| response.message).expect("the call ended without a status"))
    }

    pub async fn end(&mut self) -> Status {
        loop {
            if let Err(status) = self.next().await {
                return status;
            }
        }
    }
}

/// Little-endian floats.
pub fn bytes_of(samples: &[f32]) -> Bytes {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

/// Speech that is under way: audio has come, frames are drawn and not all read.
pub async fn under_way(client: &mut LipSyncClient<Channel>, idle_frames: bool, timeout: Option<&str>) -> Talk {
    let mut talk = Talk::open(client, idle_frames, timeout).await.unwrap();
    assert!(matches!(talk.next().await.unwrap(), Heard::Started(_)));
    talk.speak(&speech(1, 10 * RATE_HZ as usize, RATE_HZ)).await;
    while !matches!(talk.next().await.unwrap(), Heard::Frame(frame) if !frame.idle) {}
    talk
}
