//! Bytes against a bound.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// So many bytes, of which parts are taken and given back.
#[derive(Debug)]
pub struct Budget {
    most: u64,
    used: AtomicU64,
}

/// A part of a budget, given back when it drops.
#[derive(Debug)]
pub(super) struct Claim {
    budget: Arc<Budget>,
    bytes: AtomicU64,
}

impl Budget {
    /// Room for `most` bytes.
    pub(super) fn new(most: u64) -> Arc<Self> {
        Arc::new(Self { most, used: AtomicU64::new(0) })
    }

    /// Bytes in all.
    pub(super) fn most(&self) -> u64 {
        self.most
    }

    /// Bytes in use, also by what is on its way out.
    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Bytes not in use.
    pub(super) fn left(&self) -> u64 {
        self.most - self.used()
    }

    /// Takes `bytes`.
    ///
    /// # Errors
    /// The bytes in use, where too few are left.
    pub(super) fn claim(self: &Arc<Self>, bytes: u64) -> Result<Claim, u64> {
        let take = |used: u64| used.checked_add(bytes).filter(|&used| used <= self.most);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)?;
        Ok(Claim { budget: Arc::clone(self), bytes: AtomicU64::new(bytes) })
    }
}

impl Claim {
    /// Nothing of `budget`, to be added to.
    pub(super) fn nothing(budget: &Arc<Budget>) -> Self {
        Self { budget: Arc::clone(budget), bytes: AtomicU64::new(0) }
    }

    /// Of what it is a part.
    pub(super) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Takes over what `more` has.
    pub(super) fn merge(&self, more: Self) {
        self.bytes.fetch_add(more.bytes.swap(0, Ordering::Relaxed), Ordering::Relaxed);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(*self.bytes.get_mut(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_kept_to_the_byte_and_given_back() {
        let budget = Budget::new(100);
        let first = budget.claim(60).unwrap();
        assert_eq!((budget.claim(41).unwrap_err(), budget.most()), (60, 100));
        let second = budget.claim(40).unwrap();
        drop(first);
        assert_eq!((budget.used(), budget.left()), (40, 60));
        let both = budget.claim(10).unwrap();
        both.merge(second);
        assert_eq!(budget.used(), 50);
        drop(both);
        assert_eq!(budget.used(), 0);
    }
}
