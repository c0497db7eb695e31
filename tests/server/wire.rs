//! The service as a client of any language sees it: messages of the protocol, over a connection.

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

use super::common::server::TestServer;
use super::common::speech::speech;
use super::common::{TINY, within};
use proto::converse_request::Message as Say;
use proto::converse_response::Message as Heard;
use proto::lip_sync_client::LipSyncClient;
use proto::{
    AudioFormat, ConverseRequest, ConverseResponse, Frame, Interrupted, Start, SynthesizeRequest, UtteranceDone,
};

/// What the build script generated, clients included; the library keeps its own copy to itself.
#[allow(dead_code, clippy::pedantic, clippy::nursery)] // Generated, and not all of it is called here.
pub mod proto {
    tonic::include_proto!("lipsync.v1");
}

const RATE_HZ: u32 = 16_000;

pub fn endpoint(server: &TestServer) -> Endpoint {
    Endpoint::from_shared(format!("http://{}", server.address)).unwrap()
}

/// A client with a connection of its own.
pub async fn connect(server: &TestServer) -> LipSyncClient<Channel> {
    LipSyncClient::new(endpoint(server).connect().await.unwrap())
}

pub fn bytes_of(samples: &[f32]) -> Bytes {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

/// `frames` frames of sound.
pub fn sound(seed: u64, frames: usize) -> Vec<f32> {
    speech(seed, frames * RATE_HZ as usize / 25, RATE_HZ)
}

pub fn request(samples: &[f32], start_position: u64) -> SynthesizeRequest {
    SynthesizeRequest {
        avatar_id: TINY.to_owned(),
        audio: bytes_of(samples),
        audio_format: AudioFormat::F32le.into(),
        sample_rate_hz: RATE_HZ,
        start_position,
        jpeg_quality: 0,
        output: 0,
    }
}

pub async fn synthesize(client: &mut LipSyncClient<Channel>, request: SynthesizeRequest) -> Result<Vec<Frame>, Status> {
    let mut stream = within(client.synthesize(request)).await?.into_inner();
    let mut frames = Vec::new();
    while let Some(response) = within(stream.message()).await? {
        frames.push(response.frame.expect("every response holds a frame"));
    }
    Ok(frames)
}

pub fn jpegs(frames: &[Frame]) -> Vec<&[u8]> {
    frames.iter().map(|frame| frame.jpeg.as_ref()).collect()
}

/// The client's side of a `Converse` call.
pub struct Talk {
    pub say: mpsc::Sender<ConverseRequest>,
    pub hear: Streaming<ConverseResponse>,
}

impl Talk {
    pub async fn open(client: &mut LipSyncClient<Channel>) -> Result<Self, Status> {
        let (say, said) = mpsc::channel(64);
        let start = Start {
            avatar_id: TINY.to_owned(),
            audio_format: AudioFormat::F32le.into(),
            sample_rate_hz: RATE_HZ,
            start_position: 0,
            jpeg_quality: 0,
            output: 0,
            idle_frames: false,
        };
        say.send(ConverseRequest { message: Some(Say::Start(start)) }).await.unwrap();
        let hear = within(client.converse(ReceiverStream::new(said))).await?.into_inner();
        let mut talk = Self { say, hear };
        let Heard::Started(started) = talk.next().await? else { panic!("the first message is `started`") };
        assert_eq!((started.fps, started.width, started.height), (25, 270, 203));
        Ok(talk)
    }

    pub async fn say(&self, message: Say) {
        within(self.say.send(ConverseRequest { message: Some(message) })).await.unwrap();
    }

    /// `samples` in chunks of an odd size.
    pub async fn speak(&self, samples: &[f32]) {
        for chunk in samples.chunks(333) {
            self.say(Say::Audio(bytes_of(chunk))).await;
        }
    }

    pub async fn next(&mut self) -> Result<Heard, Status> {
        let message = within(self.hear.message()).await?;
        Ok(message.and_then(|response| response.message).expect("the call ended without a status"))
    }

    /// Frames up to the end of the utterance.
    pub async fn utterance(&mut self) -> (Vec<Frame>, UtteranceDone) {
        let mut frames = Vec::new();
        loop {
            match self.next().await.unwrap() {
                Heard::Frame(frame) => frames.push(frame),
                Heard::UtteranceDone(done) => return (frames, done),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Frames up to the cut.
    pub async fn cut(&mut self) -> (Vec<Frame>, Interrupted) {
        let mut frames = Vec::new();
        loop {
            match self.next().await.unwrap() {
                Heard::Frame(frame) => frames.push(frame),
                Heard::Interrupted(cut) => return (frames, cut),
                other => panic!("{other:?}"),
            }
        }
    }
}
