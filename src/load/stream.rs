//! One live stream over the network, as a viewer's client makes it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::sleep_until;

use super::LoadOptions;
use super::jpeg_check::is_sound;
use super::ledger::{Ledger, Seen};
use super::pace::Pace;
use super::player::Player;
use super::script::{Action, Script};
use super::tally::{Arrival, Tally};
use crate::rpc::client::{
    Client, ClientError, ConversationOptions, Greeting, Heard, Listener, RemoteFrame, Say, Speaker, Turn,
};

/// Seconds without a frame after which a run at the pace of speech that is at its end waits for none; they are missing.
const DRAIN_S: f64 = 5.0;
/// A stream that hears nothing for so long, when something is owed, has been forgotten by the daemon; at the pace of speech nobody waits longer.
const FORGOTTEN_S: f64 = 30.0;

/// What every stream shares.
pub(super) struct Stage {
    /// The clock's zero.
    pub(super) zero: Instant,
    pub(super) options: Arc<LoadOptions>,
    pub(super) rate_hz: u32,
    pub(super) tally: Mutex<Tally>,
}

impl Stage {
    fn now_s(&self) -> f64 {
        self.zero.elapsed().as_secs_f64()
    }

    fn count(&self, count: impl FnOnce(&mut Tally)) {
        // A poisoned tally still holds its counts.
        count(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn at(&self, seconds: f64) -> tokio::time::Instant {
        // An hour ahead stands for never: instants have an end.
        let ahead = (seconds - self.now_s()).clamp(0.0, 3600.0);
        (Instant::now() + Duration::from_secs_f64(ahead)).into()
    }
}

/// A call that has been taken.
pub(super) struct Call {
    pub(super) speaker: Speaker,
    pub(super) listener: Listener,
    pub(super) greeting: Greeting,
}

/// Makes a call.
pub(super) async fn call(client: &mut Client, options: ConversationOptions<'_>) -> Result<Call, ClientError> {
    let (speaker, listener, greeting) = client.converse(options).await?;
    Ok(Call { speaker, listener, greeting })
}

/// One stream and all it needs.
pub(super) struct LiveStream {
    pub(super) stage: Arc<Stage>,
    pub(super) client: Client,
    pub(super) avatar: String,
    pub(super) script: Script,
    /// Reads half as fast as it should.
    pub(super) slow: bool,
}

/// What goes on while a call lasts.
struct Talk {
    call: Call,
    pace: Pace,
    player: Player,
    ledger: Ledger,
    /// When a slow reader reads next.
    read_s: f64,
    last_heard_s: f64,
    /// Place in the avatar's loop of the next frame.
    position: u64,
}

enum Event {
    Heard(Option<Heard>),
    Turn(Turn),
    /// Nothing more will come, or not in time.
    GivenUp,
}

impl LiveStream {
    /// Lives from the first utterance to the last frame.
    ///
    /// # Errors
    /// The call's failure.
    pub(super) async fn live(mut self, call: Call) -> Result<(), ClientError> {
        let mut talk = self.talk(call);
        let result = self.converse(&mut talk).await;
        let owed = talk.ledger.owed(|samples| talk.pace.frames(samples, self.stage.rate_hz));
        if !self.slow {
            self.stage.count(|tally| tally.missing += owed);
        }
        result
    }

    fn talk(&self, call: Call) -> Talk {
        let lookahead_s = call.greeting.lookahead_samples as f64 / f64::from(self.stage.rate_hz.max(1));
        let pace = Pace { fps: call.greeting.fps, lookahead_s, budget_s: self.stage.options.budget_ms / 1e3 };
        let player = Player::new(pace.fps, pace.budget_s);
        Talk {
            call,
            pace,
            player,
            ledger: Ledger::default(),
            read_s: 0.0,
            last_heard_s: self.stage.now_s(),
            position: 0,
        }
    }

    async fn converse(&mut self, talk: &mut Talk) -> Result<(), ClientError> {
        while !(self.script.is_over() && (talk.ledger.is_settled() || self.slow)) {
            let action = match self.event(talk).await? {
                Event::GivenUp => return Ok(()),
                Event::Heard(None) if self.script.is_over() => return Ok(()),
                Event::Heard(None) => return Err(ClientError::Ended { missing: "a reason" }),
                Event::Heard(Some(heard)) => {
                    self.hear(talk, heard);
                    continue;
                }
                Event::Turn(turn) => {
                    let now_s = self.stage.now_s();
                    let action = self.script.act(now_s);
                    if let Some(message) = self.note(&mut talk.ledger, &action, now_s) {
                        turn.say(message);
                    }
                    action
                }
            };
            if action == Action::HangUp {
                let options = ConversationOptions {
                    avatar: &self.avatar,
                    sample_rate_hz: self.stage.rate_hz,
                    start_position: talk.position,
                    idle_frames: self.stage.options.idle_frames,
                };
                let call = call(&mut self.client, options).await?;
                *talk = Talk { position: talk.position, ..self.talk(call) };
            }
        }
        Ok(())
    }

    /// Waits for what comes first: a message, the time to send one, or the end of waiting.
    async fn event(&self, talk: &mut Talk) -> Result<Event, ClientError> {
        let stage = &self.stage;
        let Call { speaker, listener, .. } = &mut talk.call;
        let read = async {
            sleep_until(stage.at(talk.read_s)).await;
            listener.next().await
        };
        let due_s = self.script.due_s();
        let speak = async {
            sleep_until(stage.at(due_s)).await;
            match speaker.ready().await {
                Ok(turn) => turn,
                // The call is over: the listener hears why.
                Err(_) => std::future::pending().await,
            }
        };
        let end_s = stage.options.seconds;
        let heard_s = talk.last_heard_s.max(end_s);
        let drained_s = (heard_s + DRAIN_S).min(end_s + FORGOTTEN_S);
        let over_s = if stage.options.realtime { drained_s } else { heard_s + FORGOTTEN_S };
        tokio::select! {
            heard = read => heard.map(Event::Heard),
            turn = speak, if !self.script.is_over() => Ok(Event::Turn(turn)),
            () = sleep_until(stage.at(over_s)) => Ok(Event::GivenUp),
        }
    }

    /// Enters an action into the books and gives the message it needs.
    fn note(&self, ledger: &mut Ledger, action: &Action, now_s: f64) -> Option<Say> {
        match action {
            Action::Audio { pcm, begins } => {
                let samples = pcm.len() as u64 / 2;
                if *begins {
                    ledger.begin(now_s);
                }
                ledger.sent(samples);
                self.stage.count(|tally| {
                    tally.utterances += u64::from(*begins);
                    tally.samples += samples;
                });
                Some(Say::Audio(pcm.clone()))
            }
            Action::End => Some(Say::End),
            Action::Interrupt => {
                ledger.interrupt(now_s);
                self.stage.count(|tally| tally.interrupts += 1);
                Some(Say::Interrupt)
            }
            Action::HangUp => {
                self.stage.count(|tally| tally.disconnects += 1);
                None
            }
            Action::Leave => None,
        }
    }

    fn hear(&mut self, talk: &mut Talk, heard: Heard) {
        let now_s = self.stage.now_s();
        talk.last_heard_s = now_s;
        match heard {
            Heard::Frame(frame) => self.see(talk, &frame, now_s),
            Heard::Done { first_frame, .. } => {
                if let Some(times) = first_frame.filter(|_| !self.slow) {
                    self.stage.count(|tally| tally.first_parts.note(times));
                }
                let missing = talk.ledger.done(|samples| talk.pace.frames(samples, self.stage.rate_hz));
                if !self.slow {
                    self.stage.count(|tally| tally.missing += missing);
                }
                self.script.answered(now_s);
            }
            Heard::Interrupted { next_position } => {
                talk.position = next_position;
                if let Some(asked_s) = talk.ledger.interrupted() {
                    self.stage.count(|tally| tally.interrupted.record(now_s - asked_s));
                }
            }
        }
    }

    fn see(&self, talk: &mut Talk, frame: &RemoteFrame, now_s: f64) {
        if self.slow {
            talk.read_s = now_s + 2.0 / f64::from(talk.pace.fps.max(1));
        }
        let faulty = self.stage.options.check && !is_sound(&frame.jpeg, talk.call.greeting.size_px);
        let shown_s = self.stage.options.idle_frames.then(|| talk.player.frame(frame.tick, now_s));
        if frame.is_idle {
            talk.position += 1;
            let late = !self.slow && shown_s.is_some_and(|due_s| now_s > due_s);
            self.stage.count(|tally| {
                tally.faulty += u64::from(faulty);
                tally.idle(now_s, frame.jpeg.len(), late);
            });
            return;
        }
        let seen = talk.ledger.frame(frame.index);
        talk.position += u64::from(!matches!(seen, Seen::Stale));
        self.stage.count(|tally| {
            tally.faulty += u64::from(faulty);
            match seen {
                Seen::Stale => tally.stale += 1,
                Seen::Unasked => tally.unasked += 1,
                Seen::Frame { start_s, gap, cut_s } => {
                    tally.frame(now_s, frame.jpeg.len());
                    if self.slow {
                        return;
                    }
                    tally.gaps += gap;
                    let first = frame.index == 0;
                    let heard_s = talk.pace.heard_s(start_s, frame.index);
                    let due_s = shown_s.unwrap_or_else(|| talk.pace.due_s(start_s, frame.index));
                    tally.judge(Arrival { start_s, heard_s, due_s, now_s, first });
                    if let Some(cut_s) = cut_s {
                        tally.next_utterance.record(now_s - cut_s);
                    }
                }
            }
        });
    }
}
