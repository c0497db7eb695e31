//! Live audio in, live frames out.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::{Client, ClientError};
use crate::rpc::proto::lipsync::converse_request::Message as Out;
use crate::rpc::proto::lipsync::converse_response::Message as In;
use crate::rpc::proto::lipsync::{
    AudioFormat, ConverseRequest, ConverseResponse, EndUtterance, FirstFrame, Frame, Interrupt, Start,
};
use crate::session::FirstFrameTimes;

/// Messages that wait to be sent; beyond that [`Speaker::ready`] waits, as the daemon does not read.
const QUEUE: usize = 16;

/// How a conversation begins. Its audio is 16-bit mono.
#[derive(Debug, Clone, Copy)]
pub struct ConversationOptions<'a> {
    /// The avatar's id.
    pub avatar: &'a str,
    /// Rate of the samples that will be sent.
    pub sample_rate_hz: u32,
    /// Place in the avatar's loop of the first frame.
    pub start_position: u64,
    /// Whether frames are to come while nobody speaks, too.
    pub idle_frames: bool,
}

/// What the daemon says first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Greeting {
    /// Frames per second.
    pub fps: u32,
    /// Width and height of the frames.
    pub size_px: (usize, usize),
    /// Samples past a frame's own first one that are enough for it to be made.
    pub lookahead_samples: u64,
}

/// What a client sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Say {
    /// Little-endian 16-bit samples, whole ones.
    Audio(Bytes),
    /// The utterance is complete.
    End,
    /// Drop the utterance.
    Interrupt,
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFrame {
    /// Number within the utterance.
    pub index: u64,
    /// Number of the utterance within the call.
    pub utterance: u32,
    /// Number of the frame within a call with idle frames.
    pub tick: u64,
    /// Whether nobody speaks in it.
    pub is_idle: bool,
    /// The JPEG file.
    pub jpeg: Bytes,
}

/// What a daemon sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A frame.
    Frame(RemoteFrame),
    /// Every frame of the utterance has been sent.
    Done {
        /// How many there were.
        frames: u64,
        /// Where the time to the first went, by the daemon.
        first_frame: Option<FirstFrameTimes>,
    },
    /// The utterance was cut.
    Interrupted {
        /// Place in the loop where the next one goes on.
        next_position: u64,
    },
}

/// The sending side of a call. The daemon ends a running utterance when it is dropped.
pub struct Speaker {
    say: mpsc::Sender<ConverseRequest>,
}

/// The receiving side of a call. Dropping it hangs up.
pub struct Listener {
    hear: Streaming<ConverseResponse>,
}

impl Client {
    /// Begins a conversation.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when the daemon has no room or no such avatar, [`ClientError::Gone`].
    pub async fn converse(
        &mut self,
        options: ConversationOptions<'_>,
    ) -> Result<(Speaker, Listener, Greeting), ClientError> {
        let (say, said) = mpsc::channel(QUEUE);
        let start = Start {
            avatar_id: options.avatar.to_owned(),
            audio_format: AudioFormat::S16le.into(),
            sample_rate_hz: options.sample_rate_hz,
            start_position: options.start_position,
            idle_frames: options.idle_frames,
            ..Start::default()
        };
        // The queue is empty and its other end is here: there is room.
        let _ = say.try_send(ConverseRequest { message: Some(Out::Start(start)) });
        let response = self.inner.converse(ReceiverStream::new(said)).await.map_err(ClientError::of)?;
        let mut hear = response.into_inner();
        let first = hear.message().await.map_err(ClientError::of)?.and_then(|response| response.message);
        let Some(In::Started(started)) = first else { return Err(ClientError::Ended { missing: "`started`" }) };
        let greeting = Greeting {
            fps: started.fps,
            size_px: (started.width as usize, started.height as usize),
            lookahead_samples: started.lookahead_samples,
        };
        Ok((Speaker { say }, Listener { hear }, greeting))
    }
}

impl Speaker {
    /// Waits until a message can be sent, which is at once while the daemon reads. Losing the race in a
    /// `select!` loses nothing.
    ///
    /// # Errors
    /// [`ClientError::Ended`] when the call is over; the listener has the reason.
    pub async fn ready(&self) -> Result<Turn, ClientError> {
        self.say
            .clone()
            .reserve_owned()
            .await
            .map(Turn)
            .map_err(|_| ClientError::Ended { missing: "reading it to its end" })
    }
}

/// Permission to send one message.
pub struct Turn(mpsc::OwnedPermit<ConverseRequest>);

impl Turn {
    /// Sends it.
    pub fn say(self, message: Say) {
        let message = match message {
            Say::Audio(bytes) => Out::Audio(bytes),
            Say::End => Out::EndUtterance(EndUtterance {}),
            Say::Interrupt => Out::Interrupt(Interrupt {}),
        };
        self.0.send(ConverseRequest { message: Some(message) });
    }
}

impl Listener {
    /// What comes next; `None` after the last. What this version does not know is passed over. Losing the
    /// race in a `select!` loses nothing.
    ///
    /// # Errors
    /// When the daemon could not go on.
    pub async fn next(&mut self) -> Result<Option<Heard>, ClientError> {
        while let Some(response) = self.hear.message().await.map_err(ClientError::of)? {
            match response.message {
                Some(In::Frame(frame)) => {
                    let Frame { index, utterance, tick, idle: is_idle, jpeg, .. } = frame;
                    return Ok(Some(Heard::Frame(RemoteFrame { index, utterance, tick, is_idle, jpeg })));
                }
                Some(In::UtteranceDone(done)) => {
                    return Ok(Some(Heard::Done { frames: done.frames, first_frame: done.first_frame.map(times) }));
                }
                Some(In::Interrupted(cut)) => {
                    return Ok(Some(Heard::Interrupted { next_position: cut.next_position }));
                }
                Some(In::Started(_)) | None => {}
            }
        }
        Ok(None)
    }
}

fn times(first: FirstFrame) -> FirstFrameTimes {
    FirstFrameTimes {
        look_ahead: Duration::from_micros(first.look_ahead_us),
        queue: Duration::from_micros(first.queue_us),
        compute: Duration::from_micros(first.compute_us),
        encode: Duration::from_micros(first.encode_us),
        hand_over: Duration::from_micros(first.hand_over_us),
    }
}
