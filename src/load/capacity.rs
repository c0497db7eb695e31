//! The search for the most streams a daemon carries: doubling, then halving the gap. Pure.

/// Where the search stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Search {
    /// The most streams that were carried.
    carried: usize,
    /// The fewest that were not.
    failed: Option<usize>,
    next: usize,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Try this many streams.
    Try(usize),
    /// The search is over: [`Search::carried`] is the answer.
    Done,
}

impl Search {
    /// More streams than this are not tried: ports and memory of the client end first.
    pub const MOST: usize = 8192;

    /// Begins with `first` streams.
    #[must_use]
    pub fn new(first: usize) -> Self {
        Self { carried: 0, failed: None, next: first.clamp(1, Self::MOST) }
    }

    /// What comes next.
    #[must_use]
    pub fn step(&self) -> Step {
        let end = self.failed.unwrap_or(Self::MOST + 1);
        if end - self.carried <= 1 { Step::Done } else { Step::Try(self.next) }
    }

    /// The most streams that were carried so far.
    #[must_use]
    pub fn carried(&self) -> usize {
        self.carried
    }

    /// Notes how the last step went.
    pub fn note(&mut self, carried: bool) {
        if carried {
            self.carried = self.next;
        } else {
            self.failed = Some(self.next);
        }
        self.next = match self.failed {
            Some(failed) => self.carried + (failed - self.carried) / 2,
            None => (2 * self.carried).min(Self::MOST),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_every_capacity_from_every_beginning() {
        for capacity in (0..70).chain([1000, Search::MOST]) {
            for first in [1, 3, 8, 64, 100_000] {
                let mut search = Search::new(first);
                let mut steps = 0;
                while let Step::Try(streams) = search.step() {
                    search.note(streams <= capacity);
                    steps += 1;
                }
                assert_eq!(search.carried(), capacity, "from {first}");
                assert!(steps <= 30, "{steps} steps for {capacity} from {first}");
            }
        }
    }
}
