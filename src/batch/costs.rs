//! What batches have cost: the estimates the policy and admission work with.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::policy::BatchKey;

/// Batch sizes share an estimate per power of two: 1, 2, 3..4, 5..8, ... 33..64.
const BUCKETS: usize = 7;

/// Weight of a new measurement: some hundred batches change an estimate for good, one or two seconds of a busy device.
const WEIGHT: f64 = 0.02;

/// The first measurements weigh more: the n-th 1 / (n + this).
const EARLY: u32 = 8;

/// Networks with an estimate; beyond them the one that has not run for longest is given up.
const MAX_NETWORKS: usize = 256;

/// Measurements beyond so many times the estimate are taken for so much: a machine that was busy otherwise for once.
const OUTLIER: f64 = 4.0;

/// Estimated seconds per item, by kind, network and batch size.
#[derive(Debug, Default)]
pub struct Costs {
    /// The one that ran last is last.
    known: Mutex<Vec<(BatchKey, [Option<Estimate>; BUCKETS])>>,
}

#[derive(Debug, Clone, Copy)]
struct Estimate {
    seconds: f64,
    measurements: u32,
}

impl Estimate {
    fn follow(self, seconds: f64) -> Self {
        let measurements = self.measurements.saturating_add(1);
        // The first batches of a network warm its caches, so a much better one counts at once.
        if seconds < self.seconds / 2.0 {
            return Self { seconds, measurements };
        }
        let weight = WEIGHT.max(1.0 / f64::from(measurements.saturating_add(EARLY)));
        let change = seconds.min(self.seconds * OUTLIER) - self.seconds;
        Self { seconds: self.seconds + weight * change, measurements }
    }
}

impl Costs {
    /// Notes that a batch of `len` took `elapsed` from its staging to its delivery.
    pub fn note(&self, key: BatchKey, len: usize, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64() / len.max(1) as f64;
        let mut known = self.lock();
        let at = known.iter().position(|(other, _)| *other == key).unwrap_or_else(|| {
            if known.len() == MAX_NETWORKS {
                known.remove(0);
            }
            known.push((key, [None; BUCKETS]));
            known.len() - 1
        });
        known[at..].rotate_left(1);
        let Some((_, estimates)) = known.last_mut() else { return };
        let estimate = &mut estimates[bucket(len)];
        *estimate = Some(estimate.map_or(Estimate { seconds, measurements: 1 }, |old| old.follow(seconds)));
    }

    /// Seconds a batch of `len` takes, all items together; zero when nothing is known of the network. A size that was never
    /// run is estimated by the nearest smaller one, or else the nearest larger.
    pub fn batch(&self, key: BatchKey, len: usize) -> Duration {
        self.per_item(key, len).map_or(Duration::ZERO, |seconds| Duration::from_secs_f64(seconds * len as f64))
    }

    /// Seconds per item in batches of `len`.
    pub fn per_item(&self, key: BatchKey, len: usize) -> Option<f64> {
        let known = self.lock();
        let (_, estimates) = known.iter().find(|(other, _)| *other == key)?;
        let at = bucket(len);
        estimates[..=at].iter().rev().chain(&estimates[at..]).find_map(|estimate| Some((*estimate)?.seconds))
    }

    /// Seconds per item in batches of the size that takes the fewest.
    pub fn best_per_item(&self, key: BatchKey) -> Option<f64> {
        let known = self.lock();
        let (_, estimates) = known.iter().find(|(other, _)| *other == key)?;
        estimates.iter().flatten().map(|estimate| estimate.seconds).min_by(f64::total_cmp)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(BatchKey, [Option<Estimate>; BUCKETS])>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The estimate that batches of `len` share.
pub(super) fn bucket(len: usize) -> usize {
    (len.max(1).next_power_of_two().trailing_zeros() as usize).min(BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::ModelId;

    const KEY: BatchKey = BatchKey::Render(ModelId(1));
    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn estimates_follow_and_outliers_hardly_count() {
        let costs = Costs::default();
        assert_eq!(costs.batch(KEY, 4), Duration::ZERO);
        costs.note(KEY, 1, 400 * MS);
        costs.note(KEY, 1, 20 * MS);
        assert_eq!(costs.batch(KEY, 1), 20 * MS, "the first run only warmed up");
        costs.note(KEY, 1, 10_000 * MS);
        assert!(costs.batch(KEY, 1) <= 26 * MS);
        (0..900).for_each(|_| costs.note(KEY, 1, 30 * MS));
        let settled = costs.per_item(KEY, 1).unwrap();
        assert!((settled - 0.030).abs() < 1e-4, "{settled}");
    }

    #[test]
    fn sizes_have_their_own_estimates_and_help_each_other_out() {
        let costs = Costs::default();
        costs.note(KEY, 4, 40 * MS);
        assert_eq!(costs.batch(KEY, 3), 30 * MS, "of the same bucket");
        assert_eq!(costs.batch(KEY, 32), 320 * MS, "by the smaller");
        assert_eq!(costs.batch(KEY, 1), 10 * MS, "by the larger");
        costs.note(KEY, 32, 64 * MS);
        assert_eq!(costs.batch(KEY, 32), 64 * MS);
        let other = |id| BatchKey::Encode(ModelId(id));
        let most = MAX_NETWORKS as u64;
        for id in 0..2 * most {
            costs.note(other(id), 1, MS);
            costs.note(KEY, 1, MS);
        }
        assert!(costs.per_item(KEY, 1).is_some(), "it runs all the time");
        let is_known = |id: &u64| costs.per_item(other(*id), 1).is_some();
        assert!((0..2 * most).filter(is_known).eq(most + 1..2 * most), "the others are those that ran last");
    }
}
