//! The last features of an utterance, and which of them are of exactly silent windows.

use crate::avatar::onnx::FEATURE_LEN;
use crate::zeroed::Zeroed;

/// A ring of features, indexed by their windows' numbers: filled in any order, read once all before them are in.
pub(super) struct FeatureHistory {
    features: Zeroed<f32>,
    /// Which of those beyond [`Self::end`] are in.
    done: Vec<bool>,
    silent: Vec<bool>,
    end: usize,
}

impl FeatureHistory {
    /// With room for `capacity` features.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            features: Zeroed::new(capacity * FEATURE_LEN),
            done: vec![false; capacity],
            silent: vec![false; capacity],
            end: 0,
        }
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.done.fill(false);
        self.end = 0;
    }

    /// Features, from the first, that are in.
    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// Features it holds at most.
    pub(super) fn capacity(&self) -> usize {
        self.done.len()
    }

    /// Takes the feature of window `index`, one of those before `queued`.
    pub(super) fn put(&mut self, index: usize, feature: &[f32], is_silent: bool, queued: usize) {
        let capacity = self.capacity();
        let at = index % capacity;
        self.silent[at] = is_silent;
        self.features[at * FEATURE_LEN..][..FEATURE_LEN].copy_from_slice(feature);
        self.done[at] = true;
        while self.end < queued && self.done[self.end % capacity] {
            // Cleared at once: the place is next used a whole history later.
            self.done[self.end % capacity] = false;
            self.end += 1;
        }
    }

    /// The feature of window `index`.
    pub(super) fn feature(&self, index: usize) -> &[f32] {
        &self.features[index % self.capacity() * FEATURE_LEN..][..FEATURE_LEN]
    }

    /// Whether window `index` was exactly silent.
    pub(super) fn is_silent(&self, index: usize) -> bool {
        self.silent[index % self.capacity()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_come_in_any_order_and_count_in_theirs() {
        let mut history = FeatureHistory::new(3);
        let feature = |value: f32| vec![value; FEATURE_LEN];
        history.put(1, &feature(1.0), true, 3);
        history.put(2, &feature(2.0), false, 3);
        assert_eq!(history.end(), 0, "the first is missing");
        history.put(0, &feature(0.5), false, 3);
        assert_eq!(history.end(), 3);
        history.put(3, &feature(3.0), false, 4);
        assert_eq!((history.end(), history.feature(3)[0], history.feature(1)[511]), (4, 3.0, 1.0));
        assert!(history.is_silent(1) && !history.is_silent(3));
        history.clear();
        assert_eq!(history.end(), 0);
    }
}
