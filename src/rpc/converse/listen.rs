//! What the client sends: audio, ends and interrupts, fed to the session as it has room.
//!
//! Audio that arrives faster than it can be used waits in a bounded backlog, so that an interrupt behind it is still read at
//! once.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use tonic::{Status, Streaming};

use crate::audio::{PcmFormat, decode_pcm};
use crate::rpc::activity::Activity;
use crate::rpc::proto::lipsync::ConverseRequest;
use crate::rpc::proto::lipsync::converse_request::Message as In;
use crate::rpc::status::RpcError;
use crate::session::{Intake, SessionEnded};

/// Seconds of audio that may wait; beyond that the client's sending is held back.
const BACKLOG_SECONDS: usize = 60;

enum Item {
    Audio(Vec<f32>),
    End,
}

/// An item, and when it was received.
struct Waiting {
    item: Item,
    came: Instant,
}

/// What has been received and not yet used.
#[derive(Default)]
pub(super) struct Backlog {
    items: VecDeque<Waiting>,
    /// Samples of the oldest item that have been used.
    used: usize,
    /// Samples in all that have not.
    samples: usize,
    /// Samples beyond which the client is held back.
    most: usize,
}

impl Backlog {
    /// Empty, of audio at `rate` Hz.
    pub(super) fn new(rate: u32) -> Self {
        Self { most: BACKLOG_SECONDS * rate as usize, ..Self::default() }
    }

    fn push(&mut self, item: Item) {
        if let Item::Audio(samples) = &item {
            self.samples += samples.len();
        }
        self.items.push_back(Waiting { item, came: Instant::now() });
    }

    fn clear(&mut self) {
        self.items.clear();
        self.used = 0;
        self.samples = 0;
    }

    /// Feeds one block, or one end, of the oldest item; the intake has said it has room.
    fn feed(&mut self, intake: &mut Intake) {
        match self.items.front() {
            Some(Waiting { item: Item::Audio(samples), came }) => {
                let taken = intake.push_block(&samples[self.used..], *came);
                self.used += taken;
                self.samples -= taken;
                if self.used == samples.len() {
                    self.used = 0;
                    self.items.pop_front();
                }
            }
            Some(Waiting { item: Item::End, came }) => {
                intake.finish_now(*came);
                self.items.pop_front();
            }
            None => {}
        }
    }
}

/// Reads the client to its end, feeding the session as it has room.
pub(super) async fn listen(
    mut intake: Intake,
    mut messages: Streaming<ConverseRequest>,
    format: PcmFormat,
    mut backlog: Backlog,
    activity: Activity,
) -> Result<(), Status> {
    let mut open = true;
    // Whether audio has come since the last end, so that closing the stream ends that utterance.
    let mut speaking = false;
    while open || !backlog.items.is_empty() {
        tokio::select! {
            biased;
            message = messages.message(), if open && backlog.samples < backlog.most => {
                activity.note();
                match message?.map(|request| request.message) {
                    None => {
                        open = false;
                        if speaking {
                            backlog.push(Item::End);
                        }
                    }
                    Some(Some(In::Audio(bytes))) => {
                        let samples = decode(&bytes, format)?;
                        if !samples.is_empty() {
                            speaking = true;
                            backlog.push(Item::Audio(samples));
                        }
                    }
                    Some(Some(In::EndUtterance(_))) => {
                        speaking = false;
                        backlog.push(Item::End);
                    }
                    Some(Some(In::Interrupt(_))) => {
                        speaking = false;
                        backlog.clear();
                        intake.interrupt();
                    }
                    Some(Some(In::Start(_))) => {
                        return Err(RpcError::Order("`start` may come only once, as the first message").into());
                    }
                    Some(None) => {
                        return Err(RpcError::Field {
                            field: "message",
                            got: "an empty ConverseRequest".to_owned(),
                            expected: "set audio, end_utterance or interrupt".to_owned(),
                        }
                        .into());
                    }
                }
            }
            room = intake.room(), if !backlog.items.is_empty() => match room {
                Ok(()) => backlog.feed(&mut intake),
                // The reader is gone or has told the client why.
                Err(SessionEnded) => return Ok(()),
            },
        }
    }
    // The last utterance's frames are still to be read: the session ends with its reader.
    let _ = intake.room().await;
    Ok(())
}

fn decode(bytes: &Bytes, format: PcmFormat) -> Result<Vec<f32>, RpcError> {
    let mut samples = Vec::with_capacity(bytes.len() / format.sample_bytes());
    decode_pcm(format, bytes, &mut samples).map_err(|source| RpcError::Pcm { field: "audio", source })?;
    Ok(samples)
}
