//! What is counted while the streams run.

use super::first_parts::FirstParts;
use super::quantiles::Times;

/// Counts and distributions of a run.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Frames of utterances, whoever reads them.
    pub frames: u64,
    /// Bytes of all JPEGs.
    pub bytes: u64,
    /// Frames in which nobody spoke.
    pub idle_frames: u64,
    /// Of these, the ones that came after they were due.
    pub idle_late: u64,
    /// Frames that were judged: those of streams that read as they should.
    pub judged: u64,
    /// Of these, the ones that came after they were due.
    pub late: u64,
    /// Frames that never came.
    pub missing: u64,
    /// Frames passed over: an index that jumped.
    pub gaps: u64,
    /// Frames that were on their way when an interrupt was sent.
    pub stale: u64,
    /// Frames of no utterance.
    pub unasked: u64,
    /// Frames that are no whole JPEG of the right size.
    pub faulty: u64,
    /// Utterances begun.
    pub utterances: u64,
    /// Samples sent.
    pub samples: u64,
    /// Interrupts sent.
    pub interrupts: u64,
    /// Calls broken off.
    pub disconnects: u64,
    /// From an utterance's first sample to its first frame.
    pub first_frame: Times,
    /// The same, less the look-ahead that the sound itself needs.
    pub first_frame_after_sound: Times,
    /// Where these times went.
    pub first_parts: FirstParts,
    /// From the moment a frame's sound was sent to the frame.
    pub delay: Times,
    /// How long after it was due a frame came; 0 when in time.
    pub lateness: Times,
    /// From an interrupt to its answer.
    pub interrupted: Times,
    /// From an interrupt to the first frame of the next utterance.
    pub next_utterance: Times,
    /// From a call to its refusal.
    pub refusal: Times,
    /// Second by second.
    pub seconds: Vec<Second>,
}

/// What came in one second of the run.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Second {
    /// Frames.
    pub frames: u64,
    /// Bytes of their JPEGs.
    pub bytes: u64,
    /// Judged frames that were late.
    pub late: u64,
    /// The longest delay of a judged frame, ms.
    pub worst_delay_ms: f64,
}

/// A judged frame's times, seconds on one clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub(super) start_s: f64,
    pub(super) heard_s: f64,
    pub(super) due_s: f64,
    pub(super) now_s: f64,
    pub(super) first: bool,
}

impl Tally {
    /// A frame of `bytes` has come at `now_s`.
    pub(super) fn frame(&mut self, now_s: f64, bytes: usize) {
        self.frames += 1;
        self.bytes += bytes as u64;
        let second = self.second(now_s);
        second.frames += 1;
        second.bytes += bytes as u64;
    }

    /// A frame of `bytes` in which nobody speaks has come at `now_s`.
    pub(super) fn idle(&mut self, now_s: f64, bytes: usize, late: bool) {
        self.idle_frames += 1;
        self.idle_late += u64::from(late);
        self.bytes += bytes as u64;
        self.second(now_s).bytes += bytes as u64;
    }

    /// Judges it.
    pub(super) fn judge(&mut self, arrival: Arrival) {
        let Arrival { start_s, heard_s, due_s, now_s, first } = arrival;
        self.judged += 1;
        let delay_s = (now_s - heard_s).max(0.0);
        self.delay.record(delay_s);
        self.lateness.record(now_s - due_s);
        if first {
            self.first_frame.record(now_s - start_s);
            self.first_frame_after_sound.record(delay_s);
        }
        let late = now_s > due_s;
        self.late += u64::from(late);
        let second = self.second(now_s);
        second.late += u64::from(late);
        second.worst_delay_ms = second.worst_delay_ms.max(delay_s * 1e3);
    }

    /// Part of the judged and missing frames that was late or never came, in percent; 0 without a frame.
    #[must_use]
    pub fn miss_percent(&self) -> f64 {
        let owed = self.judged + self.missing + self.gaps;
        if owed == 0 { 0.0 } else { 100.0 * (self.late + self.missing + self.gaps) as f64 / owed as f64 }
    }

    /// Part of the frames in which nobody spoke that was late, in percent; 0 without a frame.
    #[must_use]
    pub fn idle_miss_percent(&self) -> f64 {
        100.0 * self.idle_late as f64 / self.idle_frames.max(1) as f64
    }

    fn second(&mut self, now_s: f64) -> &mut Second {
        let index = now_s.max(0.0) as usize;
        if self.seconds.len() <= index {
            self.seconds.resize(index + 1, Second::default());
        }
        &mut self.seconds[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_late_after_it_was_due_and_not_before() {
        let mut tally = Tally::default();
        for (now_s, index) in [(0.9, 0), (1.0, 1), (1.2, 2), (2.9, 3)] {
            let (heard_s, due_s) = (0.9, 1.0);
            tally.frame(now_s, 100);
            tally.judge(Arrival { start_s: 0.5, heard_s, due_s, now_s, first: index == 0 });
        }
        assert_eq!((tally.frames, tally.bytes, tally.late, tally.judged), (4, 400, 2, 4));
        assert_eq!(tally.miss_percent(), 50.0);
        let late: Vec<u64> = tally.seconds.iter().map(|second| second.late).collect();
        assert_eq!(late, [0, 1, 1]);
        assert_eq!(tally.lateness.us().value_at_quantile(0.5), 0);
        assert!((tally.lateness.us().max() as f64 / 1.9e6 - 1.0).abs() < 0.02);
        assert!((tally.first_frame.us().max() as f64 / 4e5 - 1.0).abs() < 0.02);
        assert_eq!(tally.first_frame_after_sound.us().max(), 0);
        tally.missing = 4;
        assert_eq!(tally.miss_percent(), 75.0, "what never comes is a miss");
    }
}
