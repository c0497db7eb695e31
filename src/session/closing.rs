//! How a mouth opens and closes in a call with idle frames.
//!
//! Between speech and silence the mouth goes over in [`FADE_FRAMES`] frames, each at its own pose: what the generator hears is
//! faded, not the pixels, so that lips move and do not ghost. The first and last frames of an utterance are such frames; where
//! speech is cut, or its sound runs dry, as many are drawn beyond it.

use crate::batch::PooledBuf;
use crate::zeroed::Zeroed;

/// Frames in which the mouth goes from speech to silence or back: 120 ms at 25 frames/s, about what a closure takes.
pub const FADE_FRAMES: usize = 3;

/// Moves `context` towards silence, rows of `silent`: all of it at `weight` 0, none at 1.
pub fn fade(context: &mut [f32], silent: &[f32], weight: f32) {
    for row in context.chunks_exact_mut(silent.len().max(1)) {
        for (heard, quiet) in row.iter_mut().zip(silent) {
            *heard = quiet + weight * (*heard - quiet);
        }
    }
}

/// How much is heard of a frame that has `before` frames of speech before it and `after` after it.
#[must_use]
pub fn weight(before: usize, after: usize) -> f32 {
    let step = |frames: usize| (frames + 1).min(FADE_FRAMES + 1) as f32 / (FADE_FRAMES + 1) as f32;
    step(before).min(step(after))
}

/// The frames beyond a cut: what they hear, and the pictures once they are drawn.
pub(super) struct Closing {
    contexts: Zeroed<f32>,
    /// How many times it has begun: what was queued for an earlier time is of another pose.
    round: u32,
    /// Place in the loop of the first of them.
    position: u64,
    pictures: [Option<PooledBuf>; FADE_FRAMES],
}

impl Closing {
    /// With room for contexts of `context_len` floats.
    pub(super) fn new(context_len: usize) -> Self {
        Self { contexts: Zeroed::new(FADE_FRAMES * context_len), round: 0, position: 0, pictures: Default::default() }
    }

    /// Begins anew: the first frame stands at `position` of the loop, and `hear` writes the context of each.
    pub(super) fn begin(&mut self, position: u64, mut hear: impl FnMut(usize, &mut [f32])) {
        self.round = self.round.wrapping_add(1);
        self.position = position;
        self.pictures = Default::default();
        let len = self.contexts.len() / FADE_FRAMES;
        for (frame, context) in self.contexts.chunks_exact_mut(len.max(1)).enumerate() {
            hear(frame, context);
        }
    }

    /// The round that frames are queued for now.
    pub(super) fn round(&self) -> u32 {
        self.round
    }

    /// Writes the context of frame `frame`, faded towards `silent`; gives its place in the loop. `None` when it has begun anew since `round`.
    pub(super) fn stage(&self, round: u32, frame: usize, silent: &[f32], context: &mut [f32]) -> Option<u64> {
        if round != self.round {
            return None;
        }
        context.copy_from_slice(&self.contexts[frame * context.len()..][..context.len()]);
        fade(context, silent, weight(usize::MAX - 1, FADE_FRAMES - 1 - frame));
        Some(self.position.wrapping_add(frame as u64))
    }

    /// Whether the picture of frame `frame` is there.
    pub(super) fn is_drawn(&self, frame: usize) -> bool {
        self.pictures[frame].is_some()
    }

    /// Takes the picture of frame `frame`; false when it has begun anew since `round`, and that is of another pose.
    pub(super) fn put(&mut self, round: u32, frame: usize, picture: PooledBuf) -> bool {
        let is_wanted = round == self.round;
        if is_wanted {
            self.pictures[frame] = Some(picture);
        }
        is_wanted
    }

    /// Hands out the picture of the frame with so many `left`, itself included, once it is there.
    pub(super) fn take(&mut self, left: u64) -> Option<PooledBuf> {
        let left = usize::try_from(left).ok().filter(|left| (1..=FADE_FRAMES).contains(left))?;
        self.pictures[FADE_FRAMES - left].take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::BufferPool;

    #[test]
    fn an_utterance_opens_and_closes_and_a_short_one_only_half() {
        let of = |frames: usize| (0..frames).map(|at| weight(at, frames - 1 - at)).collect::<Vec<_>>();
        assert_eq!(of(9), [0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25]);
        assert_eq!(of(3), [0.25, 0.5, 0.25]);
        assert_eq!(weight(0, usize::MAX - 1), 0.25, "an end that is not known is far");
    }

    #[test]
    fn fading_reaches_silence_exactly_and_leaves_it_alone() {
        let silent = [0.1, -3.7, 1e-9];
        let mut context = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let heard = context;
        fade(&mut context, &silent, 0.0);
        assert_eq!(context, [0.1, -3.7, 1e-9, 0.1, -3.7, 1e-9]);
        fade(&mut context, &silent, 0.3);
        assert_eq!(context[..3], silent, "silence fades to itself, bit by bit");
        let mut context = heard;
        fade(&mut context, &silent, 0.5);
        assert!((context[0] - 0.55).abs() < 1e-6);
    }

    #[test]
    fn the_frames_beyond_a_cut_fade_out() {
        let mut closing = Closing::new(2);
        closing.begin(40, |frame, context| context.fill(frame as f32 + 1.0));
        let mut context = [0.0; 2];
        let staged: Vec<(u64, f32)> = (0..FADE_FRAMES)
            .map(|frame| (closing.stage(1, frame, &[0.0], &mut context).unwrap(), context[1]))
            .collect();
        assert_eq!(staged, [(40, 0.75), (41, 1.0), (42, 0.75)]);
        assert!(closing.take(3).is_none() && closing.take(0).is_none() && closing.take(9).is_none());
    }

    #[test]
    fn what_was_queued_before_it_began_anew_is_neither_drawn_nor_shown() {
        let pool = BufferPool::new(1);
        let mut closing = Closing::new(1);
        closing.begin(40, |_, context| context.fill(1.0));
        let first = closing.round();
        assert!(closing.put(first, 0, pool.take()) && closing.is_drawn(0));
        closing.begin(50, |_, context| context.fill(2.0));
        assert!(!closing.is_drawn(0), "that was another pose");
        assert!(closing.stage(first, 1, &[0.0], &mut [0.0]).is_none());
        assert!(!closing.put(first, 1, pool.take()) && closing.take(2).is_none());
        let second = closing.round();
        assert_eq!(closing.stage(second, 1, &[0.0], &mut [0.0]), Some(51));
        assert!(closing.put(second, 1, pool.take()) && closing.take(2).is_some());
    }
}
