//! Which of the avatar's frames is shown at which moment.

/// How the avatar's loop is walked when the speech is longer than the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FrameOrder {
    /// `0 1 2 .. n-1 n-2 .. 1 0 1 ..`: never jumps, period `2n - 2`.
    #[default]
    PingPong,
    /// `0 1 2 .. n-1 0 1 ..`: for recordings whose end meets their start.
    Loop,
}

impl FrameOrder {
    /// The avatar frame, `0..count`, at `position` frames from the start; 0 when `count` is 0.
    pub fn avatar_frame(self, position: u64, count: usize) -> usize {
        let phase = self.phase(position, count);
        let frame = match self {
            Self::Loop => phase,
            Self::PingPong => phase.min(self.period(count) - phase),
        };
        frame as usize
    }

    /// The first position at which the loop goes on as at `position`.
    pub fn phase(self, position: u64, count: usize) -> u64 {
        position % self.period(count)
    }

    /// Frames until the loop begins anew.
    fn period(self, count: usize) -> u64 {
        let n = (count as u64).max(1);
        match self {
            Self::Loop => n,
            // Doubling cannot overflow for any count that fits in memory.
            Self::PingPong => (2 * (n - 1)).max(1),
        }
    }

    /// The word for it in `avatar.toml`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PingPong => "ping-pong",
            Self::Loop => "loop",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(order: FrameOrder, count: usize, len: u64) -> Vec<usize> {
        (0..len).map(|position| order.avatar_frame(position, count)).collect()
    }

    #[test]
    fn the_loop_goes_on_from_the_phase_of_any_position() {
        for order in [FrameOrder::PingPong, FrameOrder::Loop] {
            for count in 0..6 {
                for position in [0, 1, 7, u64::MAX - 1, u64::MAX] {
                    let phase = order.phase(position, count);
                    assert!(phase <= 2 * count as u64);
                    assert_eq!(order.avatar_frame(phase, count), order.avatar_frame(position, count));
                }
                let before = order.phase(u64::MAX, count);
                let jump = order.avatar_frame(before, count).abs_diff(order.avatar_frame(before + 1, count));
                assert!(jump <= 1 || order == FrameOrder::Loop && jump == count - 1);
            }
        }
    }

    #[test]
    fn the_drawn_sequences() {
        assert_eq!(walk(FrameOrder::PingPong, 4, 10), [0, 1, 2, 3, 2, 1, 0, 1, 2, 3]);
        assert_eq!(walk(FrameOrder::PingPong, 2, 5), [0, 1, 0, 1, 0]);
        assert_eq!(walk(FrameOrder::Loop, 3, 7), [0, 1, 2, 0, 1, 2, 0]);
        for order in [FrameOrder::PingPong, FrameOrder::Loop] {
            assert_eq!(walk(order, 1, 4), [0; 4]);
            assert_eq!(walk(order, 0, 2), [0; 2]);
        }
    }

    #[test]
    fn ping_pong_agrees_with_a_walker_that_turns_at_the_ends() {
        for count in 2..40_usize {
            let (mut at, mut step) = (0_i64, 1_i64);
            for position in 0..200 {
                assert_eq!(FrameOrder::PingPong.avatar_frame(position, count), at as usize);
                if at + step < 0 || at + step >= count as i64 {
                    step = -step;
                }
                at += step;
            }
        }
    }

    #[test]
    fn the_last_positions_stay_in_range() {
        for count in [2, 3, 1000] {
            assert!(FrameOrder::PingPong.avatar_frame(u64::MAX, count) < count);
            assert!(FrameOrder::Loop.avatar_frame(u64::MAX, count) < count);
        }
    }
}
