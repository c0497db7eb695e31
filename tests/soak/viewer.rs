//! One viewer: what it does by chance.

use std::net::SocketAddr;
use std::ops::AddAssign;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tonic::transport::{Channel, Endpoint};

use crate::common::reference::Reference;
use crate::common::speech::Random;
use crate::common::talk::proto::lip_sync_client::LipSyncClient;
use crate::common::talk::proto::{AudioFormat, ConverseRequest, EndUtterance, Interrupt, SynthesizeRequest};
use crate::common::talk::{Heard, Say, bytes_of};
use crate::talk::{Talk, patiently};

/// What all viewers share.
pub struct Stage {
    pub address: SocketAddr,
    pub sounds: Vec<Vec<f32>>,
    /// Each with its avatar's id.
    pub references: Vec<(String, Reference)>,
}

/// What happened to viewers.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    pub calls: u64,
    pub utterances: u64,
    pub frames: u64,
    pub idle_frames: u64,
    pub interrupts: u64,
    pub stalls: u64,
    pub vanished: u64,
    pub whole: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.utterances += other.utterances;
        self.frames += other.frames;
        self.idle_frames += other.idle_frames;
        self.interrupts += other.interrupts;
        self.stalls += other.stalls;
        self.vanished += other.vanished;
        self.whole += other.whole;
    }
}

impl Counts {
    pub fn assert_all_happened(&self) {
        let Self { calls, utterances, frames, idle_frames, interrupts, stalls, vanished, whole } = *self;
        for (what, count) in [
            ("calls", calls),
            ("utterances", utterances),
            ("frames", frames),
            ("idle frames", idle_frames),
            ("interrupts", interrupts),
            ("stalls", stalls),
            ("vanished viewers", vanished),
            ("whole files", whole),
        ] {
            assert!(count > 0, "no {what}: the run was too short to show anything");
        }
    }
}

pub struct Viewer {
    stage: Arc<Stage>,
    random: Random,
    counts: Counts,
}

/// How an utterance goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    ToTheEnd,
    Interrupted,
    Stalled,
    Vanishing,
}

const MANNERS: [Manner; 4] = [Manner::ToTheEnd, Manner::Interrupted, Manner::Stalled, Manner::Vanishing];

impl Viewer {
    pub fn new(stage: Arc<Stage>, seed: u64) -> Self {
        Self { stage, random: Random::new(seed + 77), counts: Counts::default() }
    }

    /// Calls again and again until `end`.
    pub async fn live(mut self, end: Instant) -> Counts {
        while Instant::now() < end {
            self.call().await;
        }
        self.counts
    }

    /// One call of each kind, on each avatar.
    pub async fn try_everything(mut self) {
        for avatar in 0..self.stage.references.len() {
            self.whole(avatar).await;
            for idle_frames in [false, true] {
                self.converse(avatar, idle_frames, &[Manner::ToTheEnd]).await;
            }
        }
    }

    async fn call(&mut self) {
        self.counts.calls += 1;
        let avatar = self.random.below(self.stage.references.len());
        // They have what live viewers leave, which is little here: more of them would only wait.
        if self.random.below(32) == 0 {
            return self.whole(avatar).await;
        }
        let manners: Vec<Manner> = (0..1 + self.random.below(3)).map(|_| MANNERS[self.random.below(4)]).collect();
        let idle_frames = self.random.below(2) == 0;
        self.converse(avatar, idle_frames, &manners).await;
    }

    async fn connect(&self) -> LipSyncClient<Channel> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.stage.address)).unwrap();
        LipSyncClient::new(patiently(endpoint.initial_stream_window_size(65_535).connect()).await.unwrap())
    }

    async fn whole(&mut self, avatar: usize) {
        self.counts.whole += 1;
        let stage = Arc::clone(&self.stage);
        let (id, reference) = &stage.references[avatar];
        let (sound, start_position) = (self.random.below(stage.sounds.len()), self.random.below(20) as u64);
        let request = SynthesizeRequest {
            avatar_id: id.clone(),
            audio: bytes_of(&stage.sounds[sound]),
            audio_format: AudioFormat::F32le.into(),
            start_position,
            ..SynthesizeRequest::default()
        };
        let expected = reference.frames(sound, start_position);
        let mut stream = patiently(self.connect().await.synthesize(request)).await.unwrap().into_inner();
        let mut index = 0;
        while let Some(response) = patiently(stream.message()).await.unwrap() {
            assert!(response.frame.unwrap().jpeg == expected[index], "frame {index} of a whole file");
            self.counts.frames += 1;
            index += 1;
        }
        assert_eq!(index, expected.len());
    }

    async fn converse(&mut self, avatar: usize, idle_frames: bool, manners: &[Manner]) {
        let stage = Arc::clone(&self.stage);
        let mut client = self.connect().await;
        let start_position = self.random.below(20) as u64;
        let mut talk = Talk::open(&mut client, &stage.references[avatar], idle_frames, start_position).await;
        for &manner in manners {
            self.counts.utterances += 1;
            let sound = self.random.below(stage.sounds.len());
            if !self.utterance(&mut talk, sound, manner).await {
                return;
            }
        }
        // Leaves by closing its side, or without a word.
        if self.random.below(2) == 0 {
            drop(talk.say);
            let (closed, _) = mpsc::channel(1);
            talk.say = closed;
            while let Some(heard) = patiently(talk.hear.message()).await.unwrap() {
                let Some(Heard::Frame(frame)) = heard.message else { panic!("nothing but idle frames is left") };
                assert!(frame.idle);
            }
        }
    }

    /// Says a sound in chunks of chance and reads what comes; false when the viewer is gone.
    async fn utterance(&mut self, talk: &mut Talk<'_>, sound: usize, manner: Manner) -> bool {
        let samples = self.stage.sounds[sound].clone();
        let frames = samples.len().div_ceil(640) as u64;
        // After so many frames something happens.
        let turning_point = self.random.below(frames as usize) as u64;
        let mut chunks = Vec::new();
        let mut rest = samples.as_slice();
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at((1 + self.random.below(3_000)).min(rest.len()));
            chunks.push(bytes_of(chunk));
            rest = after;
        }
        let quick = self.random.below(2) == 0;
        let say = talk.say.clone();
        let speaking = tokio::spawn(async move {
            for chunk in chunks {
                let pause = Duration::from_secs_f64(chunk.len() as f64 / 4.0 / 16_000.0);
                if say.send(ConverseRequest { message: Some(Say::Audio(chunk)) }).await.is_err() {
                    return;
                }
                if !quick {
                    tokio::time::sleep(pause).await;
                }
            }
            let _ = say.send(ConverseRequest { message: Some(Say::EndUtterance(EndUtterance {})) }).await;
        });
        let mut seen = 0;
        let mut turned = manner == Manner::ToTheEnd;
        loop {
            if !turned && seen >= turning_point {
                turned = true;
                match manner {
                    Manner::Interrupted => {
                        self.counts.interrupts += 1;
                        speaking.abort();
                        let _ =
                            patiently(talk.say.send(ConverseRequest { message: Some(Say::Interrupt(Interrupt {})) }))
                                .await;
                    }
                    Manner::Stalled => {
                        self.counts.stalls += 1;
                        tokio::time::sleep(Duration::from_millis(self.random.below(1500) as u64)).await;
                    }
                    Manner::Vanishing => {
                        self.counts.vanished += 1;
                        speaking.abort();
                        return false;
                    }
                    Manner::ToTheEnd => {}
                }
            }
            let heard = patiently(talk.hear.message()).await.unwrap().and_then(|response| response.message);
            match heard.expect("the call goes on") {
                Heard::Frame(frame) => {
                    seen += u64::from(!frame.idle);
                    if frame.idle {
                        self.counts.idle_frames += 1;
                    } else {
                        self.counts.frames += 1;
                    }
                    talk.check(&frame, sound, frames);
                }
                Heard::UtteranceDone(done) => {
                    assert_eq!((done.frames, done.samples), (frames, samples.len() as u64));
                    talk.position += frames;
                    // An interrupt may still be on its way; then its answer comes next.
                    if manner != Manner::Interrupted || !turned {
                        return true;
                    }
                }
                Heard::Interrupted(cut) => {
                    assert!(manner == Manner::Interrupted, "nobody asked for it");
                    talk.position = cut.next_position;
                    if talk.idle_frames {
                        assert_eq!(cut.next_position, talk.start_position + talk.next_tick);
                    }
                    talk.idle_since = 0;
                    return true;
                }
                Heard::Started(_) => panic!("started twice"),
            }
        }
    }
}
