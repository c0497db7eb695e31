//! When each frame is due, and how late it is. All times are seconds on one clock.

/// What the deadlines of an utterance follow from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Frames a second.
    pub fps: u32,
    /// Seconds of sound past a frame's own first sample that the frame depends on.
    pub lookahead_s: f64,
    /// Seconds the daemon and the network have, once that sound has been sent.
    pub budget_s: f64,
}

impl Pace {
    /// When the last sample that frame `index` depends on is sent, in an utterance that begins at `start_s`
    /// and is sent at the pace of speech.
    #[must_use]
    pub fn heard_s(&self, start_s: f64, index: u64) -> f64 {
        start_s + self.lookahead_s + index as f64 / f64::from(self.fps.max(1))
    }

    /// When frame `index` must be there to be shown.
    #[must_use]
    pub fn due_s(&self, start_s: f64, index: u64) -> f64 {
        self.heard_s(start_s, index) + self.budget_s
    }

    /// Frames that `samples` samples make.
    #[must_use]
    pub fn frames(&self, samples: u64, rate_hz: u32) -> u64 {
        (samples * u64::from(self.fps)).div_ceil(u64::from(rate_hz.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_due_when_its_sound_has_been_sent_and_the_budget_is_spent() {
        let pace = Pace { fps: 25, lookahead_s: 0.5, budget_s: 0.15 };
        assert_eq!(pace.heard_s(10.0, 0), 10.5);
        assert!((pace.due_s(10.0, 50) - 12.65).abs() < 1e-9);
        // Hours of frames do not drift.
        assert_eq!(pace.heard_s(0.0, 25 * 36_000), 36_000.5);
    }

    #[test]
    fn frames_cover_the_whole_sound() {
        let pace = Pace { fps: 25, lookahead_s: 0.5, budget_s: 0.15 };
        let cases = [(0, 0), (1, 1), (640, 1), (641, 2), (16_000, 25)];
        for (samples, frames) in cases {
            assert_eq!(pace.frames(samples, 16_000), frames, "{samples} samples");
        }
    }
}
