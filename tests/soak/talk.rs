//! One call as a viewer sees it, and what every frame of it must be.

use std::time::Duration;

use lipsyncd::session::closing::FADE_FRAMES;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

use crate::common::reference::Reference;
use crate::common::talk::proto::lip_sync_client::LipSyncClient;
use crate::common::talk::proto::{AudioFormat, ConverseRequest, ConverseResponse, Frame, Start};
use crate::common::talk::{Heard, Say};

/// More than anybody waits for on a machine that has been given many times what it carries.
const STUCK: Duration = Duration::from_secs(300);

/// Completes with `future`, or fails the test when it is stuck.
pub async fn patiently<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(STUCK, future).await.expect("stuck: nothing happened for five minutes")
}

/// One `Converse` call and where it stands.
pub struct Talk<'a> {
    pub reference: &'a Reference,
    pub idle_frames: bool,
    pub start_position: u64,
    pub say: mpsc::Sender<ConverseRequest>,
    pub hear: Streaming<ConverseResponse>,
    /// Place of the next utterance's first frame, in a call without idle frames.
    pub position: u64,
    pub next_tick: u64,
    /// Frames since the utterance began or went on after running dry, and idle frames since.
    pub spoken_since: u64,
    pub idle_since: u64,
}

impl<'a> Talk<'a> {
    pub async fn open(
        client: &mut LipSyncClient<Channel>,
        (id, reference): &'a (String, Reference),
        idle_frames: bool,
        start_position: u64,
    ) -> Self {
        let (say, said) = mpsc::channel(64);
        let start = Start {
            avatar_id: id.clone(),
            audio_format: AudioFormat::F32le.into(),
            start_position,
            idle_frames,
            ..Start::default()
        };
        say.send(ConverseRequest { message: Some(Say::Start(start)) }).await.unwrap();
        let mut hear = patiently(client.converse(ReceiverStream::new(said))).await.unwrap().into_inner();
        let first = patiently(hear.message()).await.unwrap().and_then(|response| response.message);
        assert!(matches!(first, Some(Heard::Started(_))));
        Self {
            reference,
            idle_frames,
            start_position,
            say,
            hear,
            position: start_position,
            next_tick: 0,
            spoken_since: 0,
            idle_since: 9,
        }
    }

    /// A frame of an utterance that says `sound` and will have `frames` of them, if nothing cuts it, or an idle frame near it.
    pub fn check(&mut self, frame: &Frame, sound: usize, frames: u64) {
        let Talk { reference, idle_frames, start_position, .. } = *self;
        if idle_frames {
            assert_eq!(frame.tick, self.next_tick, "a tick is missing");
            self.next_tick += 1;
        }
        let place = if idle_frames { start_position + frame.tick } else { self.position + frame.index };
        assert_eq!(frame.avatar_frame as usize, reference.avatar.frame_at(place), "another pose");
        if frame.idle {
            self.idle_since += 1;
            // After speech the mouth closes in a few frames, which have no reference.
            let shut = self.spoken_since == 0 || self.idle_since > FADE_FRAMES as u64;
            assert!(
                !shut || frame.jpeg == reference.silent(place),
                "an idle frame is not the avatar with its mouth shut"
            );
            return;
        }
        if self.idle_since > 0 {
            (self.spoken_since, self.idle_since) = (0, 0);
        }
        self.spoken_since += 1;
        let begins_at = place - frame.index;
        let opening = self.spoken_since <= FADE_FRAMES as u64;
        let closing = frame.index + FADE_FRAMES as u64 >= frames;
        let faded = idle_frames && (opening || closing);
        let expected = &reference.frames(sound, begins_at)[frame.index as usize];
        assert!(faded || frame.jpeg == expected, "frame {} is of another avatar or sound", frame.index);
    }
}
