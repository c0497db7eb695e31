//! What one stream does and when: a pure machine that is told the time.

use std::sync::Arc;

use bytes::Bytes;

use super::random::Random;
use super::{LoadOptions, Speech};

/// The next thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Send sound.
    Audio {
        /// Whole 16-bit samples.
        pcm: Bytes,
        /// Whether an utterance begins with them.
        begins: bool,
    },
    /// Say that the utterance is complete.
    End,
    /// Interrupt it.
    Interrupt,
    /// Break off the call and make another.
    HangUp,
    /// Nothing more: wait for the frames that are still to come.
    Leave,
}

/// One stream's part. All times are seconds on one clock.
#[derive(Debug)]
pub(super) struct Script {
    random: Random,
    speech: Speech,
    options: Arc<LoadOptions>,
    chunk_bytes: usize,
    bytes_per_s: f64,
    state: State,
    hang_up_s: f64,
}

#[derive(Debug)]
enum State {
    Pause {
        until_s: f64,
    },
    Speaking {
        start_s: f64,
        pcm: Bytes,
        sent: usize,
        cut_s: f64,
    },
    /// All is said: until its frames are there, and then a pause.
    Waiting {
        cut_s: f64,
        pause_s: f64,
    },
    Over,
}

impl Script {
    /// The part of stream `index`. Streams begin spread evenly over one cycle of speech and pause, so that a
    /// whole crowd never draws breath at once.
    pub(super) fn new(options: &Arc<LoadOptions>, speech: &Speech, index: usize) -> Self {
        let mut random = Random::new(options.seed, index as u64 + 1);
        let place = (index as f64 + 0.5 * random.unit()) / options.streams.max(1) as f64;
        let cycle_s = if options.realtime { speech.mean_s() / options.duty } else { 0.0 };
        let bytes_per_s = 2.0 * f64::from(speech.rate_hz()) * options.audio_speed;
        let chunk_samples = (speech.rate_hz() as usize * options.chunk_ms as usize / 1000).max(1);
        let hang_up_s = random.wait_s(options.disconnects_per_minute);
        let state = State::Pause { until_s: place * cycle_s };
        let (speech, options) = (speech.clone(), Arc::clone(options));
        Self { random, speech, options, chunk_bytes: 2 * chunk_samples, bytes_per_s, state, hang_up_s }
    }

    /// When the next action is due; may lie in the past.
    pub(super) fn due_s(&self) -> f64 {
        let own_s = match &self.state {
            State::Pause { until_s } => *until_s,
            State::Speaking { start_s, sent, cut_s, .. } if self.options.realtime => {
                cut_s.min(start_s + *sent as f64 / self.bytes_per_s)
            }
            State::Speaking { start_s, .. } => *start_s,
            State::Waiting { cut_s, .. } => *cut_s,
            State::Over => return f64::INFINITY,
        };
        own_s.min(self.hang_up_s).min(self.options.seconds)
    }

    /// Does what is due at `now_s`.
    pub(super) fn act(&mut self, now_s: f64) -> Action {
        if now_s >= self.options.seconds {
            return self.leave();
        }
        if now_s >= self.hang_up_s {
            self.hang_up_s = now_s + self.random.wait_s(self.options.disconnects_per_minute);
            self.state = State::Pause { until_s: now_s };
            return Action::HangUp;
        }
        match &mut self.state {
            State::Speaking { cut_s, sent, .. } if now_s >= *cut_s && *sent > 0 => self.interrupt(now_s),
            State::Waiting { .. } => self.interrupt(now_s),
            State::Speaking { start_s, pcm, sent, cut_s } => {
                if *sent < pcm.len() {
                    let end = (*sent + self.chunk_bytes).min(pcm.len());
                    let action = Action::Audio { pcm: pcm.slice(*sent..end), begins: false };
                    *sent = end;
                    return action;
                }
                let long_s = pcm.len() as f64 / (2.0 * f64::from(self.speech.rate_hz()));
                let (start_s, cut_s) = (*start_s, *cut_s);
                self.state = self.after(start_s, cut_s, long_s);
                Action::End
            }
            State::Pause { .. } => self.begin(now_s),
            State::Over => Action::Leave,
        }
    }

    /// Every frame of the last utterance has come.
    pub(super) fn answered(&mut self, now_s: f64) {
        if let State::Waiting { pause_s, .. } = self.state {
            self.state = State::Pause { until_s: now_s + pause_s };
        }
    }

    /// Whether nothing more will be said.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    fn begin(&mut self, now_s: f64) -> Action {
        let pcm = self.speech.utterance(&mut self.random);
        let sent = self.chunk_bytes.min(pcm.len());
        let first = pcm.slice(..sent);
        let cut_s = now_s + self.random.wait_s(self.options.interrupts_per_minute);
        self.state = State::Speaking { start_s: now_s, pcm, sent, cut_s };
        Action::Audio { pcm: first, begins: true }
    }

    /// The listener spoke: the next utterance begins at once.
    fn interrupt(&mut self, now_s: f64) -> Action {
        self.state = State::Pause { until_s: now_s };
        Action::Interrupt
    }

    fn after(&mut self, start_s: f64, cut_s: f64, long_s: f64) -> State {
        if !self.options.realtime {
            return State::Waiting { cut_s, pause_s: 0.0 };
        }
        let pause_s = long_s * (1.0 / self.options.duty - 1.0) * self.random.between(0.5, 1.5);
        // The frames of the pause are shown, too: it begins when the utterance has been shown, not when its sound is over.
        if self.options.idle_frames {
            return State::Waiting { cut_s, pause_s };
        }
        State::Pause { until_s: start_s + long_s + pause_s }
    }

    /// An utterance that is under way at the end is completed where it is.
    fn leave(&mut self) -> Action {
        let speaking = matches!(self.state, State::Speaking { .. });
        self.state = State::Over;
        if speaking { Action::End } else { Action::Leave }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn options(streams: usize, duty: f64) -> LoadOptions {
        LoadOptions {
            target: String::new(),
            streams,
            seconds: 600.0,
            realtime: true,
            audio_speed: 1.0,
            idle_frames: false,
            chunk_ms: 40,
            duty,
            budget_ms: 150.0,
            interrupts_per_minute: 0.0,
            disconnects_per_minute: 0.0,
            slow_readers: 0.0,
            avatars: Vec::new(),
            connections: 0,
            check: false,
            seed: 5,
        }
    }

    /// Everything the stream does, each exactly when it is due.
    fn play(options: &LoadOptions, speech: &Speech, index: usize) -> Vec<(f64, Action)> {
        let mut script = Script::new(&Arc::new(options.clone()), speech, index);
        let mut done = Vec::new();
        while !script.is_over() {
            let now_s = script.due_s();
            done.push((now_s, script.act(now_s)));
        }
        done
    }

    fn sound_s(done: &[(f64, Action)]) -> f64 {
        let bytes: usize =
            done.iter().map(|(_, action)| if let Action::Audio { pcm, .. } = action { pcm.len() } else { 0 }).sum();
        bytes as f64 / 32_000.0
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
        #[test]
        fn sound_comes_at_the_pace_of_speech_for_that_part_of_the_time(duty in 0.1..1.0, index in 0usize..20) {
            let speech = Speech::made(1);
            let done = play(&options(20, duty), &speech, index);
            let spoken = sound_s(&done) / 600.0;
            prop_assert!((spoken / duty - 1.0).abs() < 0.3, "asked {duty}, spoken {spoken}");
            let mut start_s = 0.0;
            let mut sent = 0;
            for (at_s, action) in &done {
                match action {
                    Action::Audio { pcm, begins } => {
                        prop_assert!(pcm.len() <= 1280 && pcm.len() % 2 == 0);
                        if *begins {
                            (start_s, sent) = (*at_s, 0);
                        }
                        prop_assert!((at_s - start_s - f64::from(sent) / 32_000.0).abs() < 1e-6);
                        sent += pcm.len() as i32;
                    }
                    Action::End | Action::Leave => {}
                    other => prop_assert!(false, "{other:?} was not asked for"),
                }
            }
        }
    }

    #[test]
    fn a_crowd_spreads_its_beginnings_over_the_cycle() {
        let speech = Speech::made(1);
        let options = Arc::new(options(40, 0.25));
        let mut starts: Vec<f64> = (0..40).map(|index| Script::new(&options, &speech, index).due_s()).collect();
        starts.sort_by(f64::total_cmp);
        assert!(starts[0] < 0.4 && starts[39] > 15.0 && starts[39] < 16.0, "{starts:?}");
        assert!(starts.windows(2).all(|pair| pair[1] - pair[0] < 0.7), "{starts:?}");
    }

    #[test]
    fn interrupts_and_broken_calls_come_as_often_as_asked() {
        let speech = Speech::made(1);
        let asked = LoadOptions { interrupts_per_minute: 6.0, disconnects_per_minute: 3.0, ..options(1, 1.0) };
        let (mut interrupts, mut broken) = (0, 0);
        for seed in 0..10 {
            let done = play(&LoadOptions { seed, ..asked.clone() }, &speech, 0);
            interrupts += done.iter().filter(|(_, action)| *action == Action::Interrupt).count();
            broken += done.iter().filter(|(_, action)| *action == Action::HangUp).count();
            assert_eq!(done, play(&LoadOptions { seed, ..asked.clone() }, &speech, 0), "the same seed, the same run");
        }
        // 100 minutes: 600 and 300, give or take four times their standard deviation.
        assert!((500..=700).contains(&interrupts), "{interrupts}");
        assert!((230..=370).contains(&broken), "{broken}");
    }

    #[test]
    fn as_fast_as_possible_waits_for_its_frames() {
        let speech = Speech::made(1);
        let mut script = Script::new(&Arc::new(LoadOptions { realtime: false, ..options(3, 0.3) }), &speech, 2);
        let mut now_s = 0.0;
        for _ in 0..3 {
            while script.due_s() <= now_s {
                script.act(now_s);
            }
            assert_eq!(script.due_s(), 600.0, "nothing to do but wait");
            now_s += 7.0;
            script.answered(now_s);
        }
        assert_eq!(script.act(600.0), Action::Leave);
    }
}
