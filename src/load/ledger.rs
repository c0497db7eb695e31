//! What a call is owed: the order of utterances, cuts and frames, as one viewer sees it.

use std::collections::VecDeque;

/// What has been asked for and not yet answered, oldest first.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    items: VecDeque<Item>,
    /// When the last cut was asked for, until the first frame after it.
    cut_s: Option<f64>,
}

#[derive(Debug)]
enum Item {
    Utterance { start_s: f64, samples: u64, seen: u64 },
    Cut { asked_s: f64 },
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Seen {
    /// Part of an utterance that began at `start_s`.
    Frame {
        start_s: f64,
        /// Frames that should have come before it.
        gap: u64,
        /// When the cut before this utterance was asked for, on its first frame.
        cut_s: Option<f64>,
    },
    /// On its way when the interrupt was sent.
    Stale,
    /// Of no utterance.
    Unasked,
}

impl Ledger {
    /// An utterance begins.
    pub(super) fn begin(&mut self, start_s: f64) {
        self.items.push_back(Item::Utterance { start_s, samples: 0, seen: 0 });
    }

    /// More sound of the last utterance has been sent.
    pub(super) fn sent(&mut self, more: u64) {
        if let Some(Item::Utterance { samples, .. }) = self.items.back_mut() {
            *samples += more;
        }
    }

    /// Everything not yet answered is cut.
    pub(super) fn interrupt(&mut self, now_s: f64) {
        self.items.retain(|item| matches!(item, Item::Cut { .. }));
        self.items.push_back(Item::Cut { asked_s: now_s });
        self.cut_s = Some(now_s);
    }

    /// A frame has come.
    pub(super) fn frame(&mut self, index: u64) -> Seen {
        match self.items.front_mut() {
            Some(Item::Utterance { start_s, seen, .. }) => {
                let gap = index.saturating_sub(*seen);
                *seen = index + 1;
                let cut_s = if index == 0 { self.cut_s.take() } else { None };
                Seen::Frame { start_s: *start_s, gap, cut_s }
            }
            Some(Item::Cut { .. }) => Seen::Stale,
            None => Seen::Unasked,
        }
    }

    /// The utterance has ended; gives the frames of it that never came, where `owed` says how many a
    /// number of samples makes.
    pub(super) fn done(&mut self, owed: impl Fn(u64) -> u64) -> u64 {
        match self.items.front() {
            Some(Item::Utterance { samples, seen, .. }) => {
                let missing = owed(*samples).saturating_sub(*seen);
                self.items.pop_front();
                missing
            }
            // It ended before the daemon heard the interrupt.
            Some(Item::Cut { .. }) | None => 0,
        }
    }

    /// The cut is confirmed; gives when it was asked for.
    pub(super) fn interrupted(&mut self) -> Option<f64> {
        match self.items.front() {
            Some(&Item::Cut { asked_s }) => {
                self.items.pop_front();
                Some(asked_s)
            }
            Some(Item::Utterance { .. }) | None => None,
        }
    }

    /// Whether nothing is waited for.
    pub(super) fn is_settled(&self) -> bool {
        self.items.is_empty()
    }

    /// Frames that are waited for.
    pub(super) fn owed(&self, owed: impl Fn(u64) -> u64) -> u64 {
        let of = |item: &Item| match item {
            Item::Utterance { samples, seen, .. } => owed(*samples).saturating_sub(*seen),
            Item::Cut { .. } => 0,
        };
        self.items.iter().map(of).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAMES: fn(u64) -> u64 = |samples| samples.div_ceil(640);

    #[test]
    fn utterances_are_answered_in_order_and_what_is_missing_is_seen() {
        let mut ledger = Ledger::default();
        ledger.begin(1.0);
        ledger.sent(1920);
        ledger.begin(2.0);
        ledger.sent(641);
        assert_eq!(ledger.owed(FRAMES), 5);
        assert_eq!(ledger.frame(0), Seen::Frame { start_s: 1.0, gap: 0, cut_s: None });
        assert_eq!(ledger.frame(2), Seen::Frame { start_s: 1.0, gap: 1, cut_s: None });
        assert_eq!(ledger.done(FRAMES), 0);
        assert_eq!(ledger.frame(0), Seen::Frame { start_s: 2.0, gap: 0, cut_s: None });
        assert_eq!(ledger.done(FRAMES), 1, "of two frames one has come");
        assert!(ledger.is_settled());
        assert_eq!(ledger.frame(7), Seen::Unasked);
    }

    #[test]
    fn frames_before_the_answer_to_an_interrupt_are_stale() {
        let mut ledger = Ledger::default();
        ledger.begin(1.0);
        ledger.sent(64_000);
        ledger.interrupt(3.0);
        ledger.begin(3.0);
        ledger.sent(640);
        assert_eq!(ledger.owed(FRAMES), 1, "what was cut is owed no more");
        assert_eq!(ledger.frame(40), Seen::Stale);
        assert_eq!(ledger.done(FRAMES), 0, "it ended before the interrupt was heard");
        assert_eq!(ledger.interrupted(), Some(3.0));
        assert_eq!(ledger.frame(0), Seen::Frame { start_s: 3.0, gap: 0, cut_s: Some(3.0) });
        assert_eq!(ledger.done(FRAMES), 0);
        assert_eq!(ledger.interrupted(), None, "nobody asked");
    }
}
