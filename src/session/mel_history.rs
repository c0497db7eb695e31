//! The last mel frames of an utterance, and which of them are exactly silent.

use crate::audio::{SILENT_MEL, WINDOW_MEL_FRAMES, fill_window};
use crate::zeroed::Zeroed;

/// A ring of mel frames, indexed by their numbers.
pub(super) struct MelHistory {
    frames: Zeroed<f32>,
    mels: usize,
    capacity: usize,
    end: usize,
    /// Beside each, how many up to it are exactly silent.
    silent: Vec<usize>,
}

impl MelHistory {
    /// With room for `capacity` frames of `mels` bands.
    pub(super) fn new(mels: usize, capacity: usize) -> Self {
        Self { frames: Zeroed::new(capacity * mels), mels, capacity, end: 0, silent: vec![0; capacity] }
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.end = 0;
    }

    /// Frames so far.
    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// Frames it holds at most.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Adds frames `[n, mels]`, over the oldest.
    pub(super) fn push(&mut self, frames: &[f32]) {
        for frame in frames.chunks_exact(self.mels) {
            let before = self.end.checked_sub(1).map_or(0, |last| self.silent[last % self.capacity]);
            let at = self.end % self.capacity;
            self.frames[at * self.mels..][..self.mels].copy_from_slice(frame);
            let is_silent = frame.iter().all(|&band| band == SILENT_MEL);
            self.silent[at] = if is_silent { before + 1 } else { 0 };
            self.end += 1;
        }
    }

    /// Frames of the window from `start` on that there are; the rest of it is silent.
    fn present(&self, start: usize) -> usize {
        self.end.saturating_sub(start).min(WINDOW_MEL_FRAMES)
    }

    /// Whether the window from `start` on is exactly silent.
    pub(super) fn is_silent(&self, start: usize) -> bool {
        let present = self.present(start);
        present == 0 || self.silent[(start + present - 1) % self.capacity] >= present
    }

    /// Writes the window from `start` on as the encoder takes it, `[mels, 16]`. `scratch` is `16 * mels` long.
    pub(super) fn window(&self, start: usize, scratch: &mut [f32], window: &mut [f32]) {
        let present = self.present(start);
        for (offset, row) in scratch.chunks_exact_mut(self.mels).take(present).enumerate() {
            let at = (start + offset) % self.capacity * self.mels;
            row.copy_from_slice(&self.frames[at..at + self.mels]);
        }
        fill_window(&scratch[..present * self.mels], self.mels, SILENT_MEL, window);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_silent_when_all_of_it_is_and_what_is_not_there_is() {
        let mut history = MelHistory::new(2, 40);
        let quiet = [SILENT_MEL; 2];
        assert!(history.is_silent(0), "nothing is heard yet");
        history.push(&[SILENT_MEL, -3.9]);
        assert!(!history.is_silent(0));
        (0..16).for_each(|_| history.push(&quiet));
        assert!(!history.is_silent(0) && history.is_silent(1));
        history.push(&[0.0, 0.0]);
        assert!(history.is_silent(1) && !history.is_silent(2), "the window of 16 frames ends before it");
        (0..60).for_each(|_| history.push(&quiet));
        assert!(history.is_silent(history.end() - 16) && history.is_silent(history.end() - 3));
        history.clear();
        assert!(history.is_silent(0));
    }
}
