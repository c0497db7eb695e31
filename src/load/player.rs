//! What a viewer's player makes of the frames of a call with idle frames: it buffers the first ones for a while, then shows one
//! after the other. All times are seconds on one clock.

/// A player.
#[derive(Debug, Clone, Copy)]
pub(super) struct Player {
    fps: f64,
    buffer_s: f64,
    /// When frame 0 is shown, or would have been had the player never run dry.
    zero_s: Option<f64>,
}

impl Player {
    /// One that shows `fps` frames a second and buffers for `buffer_s`.
    pub(super) fn new(fps: u32, buffer_s: f64) -> Self {
        Self { fps: f64::from(fps.max(1)), buffer_s, zero_s: None }
    }

    /// The frame of `tick` has come at `now_s`; gives when it was due. One that is late is shown at once, and those after it as much
    /// later.
    pub(super) fn frame(&mut self, tick: u64, now_s: f64) -> f64 {
        let after_s = tick as f64 / self.fps;
        let due_s = self.zero_s.map_or(now_s + self.buffer_s, |zero_s| zero_s + after_s);
        self.zero_s = Some(due_s.max(now_s) - after_s);
        due_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_frame_holds_up_those_after_it_and_counts_once() {
        let mut player = Player::new(25, 0.15);
        let late = |player: &mut Player, tick: u64, now_s: f64| now_s - player.frame(tick, now_s);
        assert!(late(&mut player, 0, 10.0) < 0.0);
        for tick in 1..10 {
            assert!(late(&mut player, tick, 10.1 + tick as f64 * 0.04) < -0.04, "a little jitter is buffered");
        }
        assert!((late(&mut player, 10, 10.9) - 0.35).abs() < 1e-9);
        assert!(late(&mut player, 11, 10.94) <= 1e-9);
        assert!(late(&mut player, 12, 10.95) < -0.02);
    }
}
