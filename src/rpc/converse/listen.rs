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
use crate::rpc::calls::blocking;
use crate::rpc::proto::lipsync::ConverseRequest;
use crate::rpc::proto::lipsync::converse_request::Message as In;
use crate::rpc::status::RpcError;
use crate::session::{Intake, SessionEnded};

/// Seconds of audio that may wait; beyond that the client's sending is held back.
const BACKLOG_SECONDS: usize = 60;

/// Messages longer than this are decoded where that holds up nobody else: the longest take milliseconds.
const LONG_BYTES: usize = 64 << 10;

/// Samples that take as much memory as an item does beside its own: its place, with what a growing queue leaves free, and its block
/// on the heap. However short the messages are, as many of them may wait as there are such parts in the backlog.
const ITEM_SAMPLES: usize = 32;

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

    /// Whether the client is to be held back.
    fn is_full(&self) -> bool {
        self.samples >= self.most || self.items.len() >= self.most.div_ceil(ITEM_SAMPLES)
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
            message = messages.message(), if open && !backlog.is_full() => {
                activity.note();
                match message?.map(|request| request.message) {
                    None => {
                        open = false;
                        if speaking {
                            backlog.push(Item::End);
                        }
                    }
                    Some(Some(In::Audio(bytes))) => {
                        // Waited for here, so that what comes after it stays behind it.
                        let samples = match bytes.len() {
                            ..=LONG_BYTES => decode(&bytes, format)?,
                            _ => blocking(move || decode(&bytes, format)).await??,
                        };
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
                        // Nothing waits to be fed meanwhile.
                        if let Err(SessionEnded) = intake.answered().await {
                            return Ok(());
                        }
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

#[cfg(test)]
mod tests {
    use super::*;

    const RATE_HZ: u32 = 16_000;

    /// So many of `item` are taken before the client is held back.
    fn taken(item: impl Fn() -> Item) -> usize {
        let mut backlog = Backlog::new(RATE_HZ);
        // More than any bound.
        for taken in 0..=backlog.most {
            if backlog.is_full() {
                return taken;
            }
            backlog.push(item());
        }
        panic!("it is never full");
    }

    #[test]
    fn items_without_samples_and_of_one_sample_take_no_more_memory_than_a_minute_of_sound() {
        let minute_bytes = BACKLOG_SECONDS * RATE_HZ as usize * size_of::<f32>();
        // What allocators take for the smallest block.
        let block_bytes = 32;
        let bytes = |items: usize| items.next_power_of_two() * size_of::<Waiting>() + items * block_bytes;
        assert!(bytes(taken(|| Item::End)) <= minute_bytes);
        assert!(bytes(taken(|| Item::Audio(vec![0.0]))) <= minute_bytes);
    }

    #[test]
    fn a_minute_of_sound_waits_in_chunks_of_any_usual_size() {
        for ms in [5, 20, 1000] {
            let samples = ms * RATE_HZ as usize / 1000;
            assert_eq!(taken(|| Item::Audio(vec![0.0; samples])) * ms, BACKLOG_SECONDS * 1000, "{ms} ms");
        }
    }

    #[test]
    fn at_the_lowest_rate_there_is_room_for_an_item() {
        assert!(!Backlog::new(1).is_full());
    }
}
