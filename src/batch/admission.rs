//! Whether there is room for one more live stream: what those that are open are expected to take of the device, against
//! what it was measured to carry.
//!
//! Loads are in lanes: a stream that keeps half a lane busy while it speaks has a load of 0.5. What a frame costs is
//! measured ([`super::costs`]), what part of the time a stream speaks is measured too, from `expected_speech` on.

use std::fmt;
use std::time::Duration;

/// Standard deviations of the number of streams that speak at the same time for which room is kept: 2 leave more
/// streams speaking than there is room for in one moment of forty.
const SIGMAS: f64 = 2.0;

/// Part of the room that streams which wait for their turns may take on average: with more, turns come late. At 0.7 on a device
/// that carries five speakers, one utterance in ten begins a second late; on one that carries many, hardly any.
const WAITING_PART: f64 = 0.7;

/// Time for which `expected_speech` weighs as much as what was measured.
const PRIOR: Duration = Duration::from_secs(30);

/// How full the device may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdmissionLimits {
    /// Part of the lanes that live streams may take together, above 0.
    pub utilisation: f64,
    /// Part of the time that a new stream is expected to speak, 0..=1.
    pub expected_speech: f64,
}

/// What one live stream takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Demand {
    /// Lanes that it keeps busy while it speaks.
    pub lanes: f64,
    /// Part of the time that it speaks, 0..=1.
    pub speech: f64,
    /// Whether it waits for its turn to speak when others do: a stream with idle frames.
    pub waits: bool,
}

/// One more stream would be one too many.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overload {
    /// Live streams open.
    pub streams: usize,
    /// Part of the lanes they are expected to take.
    pub now: f64,
    /// The same with one more.
    pub then: f64,
    /// The bound.
    pub utilisation: f64,
}

impl std::error::Error for Overload {}

impl fmt::Display for Overload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [now, then, most] = [self.now, self.then, self.utilisation].map(|part| part * 100.0);
        match self.streams {
            0 => write!(
                f,
                "one live stream takes {then:.0} % of what this machine draws, of at most {most:.0} %; it may have been busy when that was \
                 measured, and is measured again: retry in a few seconds, or on another machine"
            ),
            streams => write!(
                f,
                "{streams} live streams take {now:.0} % of what this machine draws, and one more would make it {then:.0} % of at most \
                 {most:.0} %; retry when one has ended, or on another machine"
            ),
        }
    }
}

/// Whether `one_more` fits beside `open` on `lanes` lanes.
///
/// # Errors
/// [`Overload`] with the figures.
pub fn admit(
    open: impl Iterator<Item = Demand> + Clone,
    one_more: Demand,
    lanes: usize,
    limits: AdmissionLimits,
) -> Result<(), Overload> {
    let then = part(open.clone().chain([one_more]), lanes);
    if then <= limits.utilisation {
        return Ok(());
    }
    Err(Overload { streams: open.clone().count(), now: part(open, lanes), then, utilisation: limits.utilisation })
}

/// Part of `lanes` lanes that `streams` are expected to take together.
pub fn part(streams: impl Iterator<Item = Demand>, lanes: usize) -> f64 {
    load(streams) / lanes.max(1) as f64
}

/// Lanes that streams take together. Those that cannot wait: but for one moment of forty, the mean and two standard deviations of
/// a sum of independent speakers. Those that can: never more than they are given turns for, so that the mean matters, with some
/// room to keep turns short; where that is less, as the others. And never more than if all speak.
fn load(streams: impl Iterator<Item = Demand>) -> f64 {
    let mut sums = [Sum::default(); 2];
    for Demand { lanes, speech, waits } in streams {
        let sum = &mut sums[usize::from(waits)];
        sum.mean += lanes * speech;
        sum.variance += lanes * lanes * speech * (1.0 - speech);
        sum.most += lanes;
    }
    let [cannot_wait, can_wait] = sums;
    cannot_wait.peak() + can_wait.peak().min(can_wait.mean / WAITING_PART)
}

/// What independent speakers take together.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    mean: f64,
    variance: f64,
    most: f64,
}

impl Sum {
    fn peak(self) -> f64 {
        f64::min(self.mean + SIGMAS * self.variance.sqrt(), self.most)
    }
}

/// Part of the time that a stream speaks, which has drawn `spoken` worth of frames in `open`: `expected` at first, more and
/// more what was seen.
#[must_use]
pub fn speech(expected: f64, spoken: Duration, open: Duration) -> f64 {
    let prior = PRIOR.as_secs_f64();
    ((expected * prior + spoken.as_secs_f64()) / (prior + open.as_secs_f64())).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: AdmissionLimits = AdmissionLimits { utilisation: 0.9, expected_speech: 1.0 };

    fn most(demand: Demand, lanes: usize) -> usize {
        (0..).find(|&open| admit(std::iter::repeat_n(demand, open), demand, lanes, LIMITS).is_err()).unwrap()
    }

    #[test]
    fn streams_that_always_speak_fill_the_lanes_to_the_bound() {
        // 25 frames/s of 14 ms each are 0.35 lanes; two lanes at 90 % carry 1.8.
        assert_eq!(most(Demand { lanes: 0.35, speech: 1.0, waits: false }, 2), 5);
        assert_eq!(most(Demand { lanes: 1.9, speech: 1.0, waits: false }, 2), 0);
        assert_eq!(most(Demand { lanes: 0.01, speech: 1.0, waits: false }, 3), 270);
    }

    #[test]
    fn streams_that_wait_for_turns_are_nearly_three_times_as_many_even_where_there_are_few() {
        let demand = |speech, waits| Demand { lanes: 0.34, speech, waits };
        let (always, rigid, waiting) =
            (most(demand(1.0, true), 2), most(demand(0.3, false), 2), most(demand(0.3, true), 2));
        assert_eq!((always, rigid, waiting), (5, 8, 12));
        // Where there are many, chance evens out by itself, and nobody is turned away for others' waiting.
        let many = |waits| most(Demand { lanes: 0.002, speech: 0.3, waits }, 2);
        assert!(many(true) == many(false) && many(true) > 2700, "{} {}", many(true), many(false));
    }

    #[test]
    fn streams_that_speak_a_third_of_the_time_are_about_three_times_as_many_where_there_are_many() {
        let always = most(Demand { lanes: 0.01, speech: 1.0, waits: false }, 3);
        let sometimes = most(Demand { lanes: 0.01, speech: 0.3, waits: false }, 3);
        assert!((2.5..3.3).contains(&(sometimes as f64 / always as f64)), "{sometimes} of {always}");
        // Of few, all may speak at once, so that fewer are let in than the mean would allow.
        assert!(most(Demand { lanes: 0.35, speech: 0.3, waits: false }, 2) < 15);
    }

    #[test]
    fn a_stream_that_hardly_ever_pauses_counts_no_more_than_one_that_never_does() {
        assert_eq!(most(Demand { lanes: 0.35, speech: 0.97, waits: false }, 2), 5);
    }

    #[test]
    fn a_refusal_has_the_figures() {
        let open = [Demand { lanes: 0.5, speech: 1.0, waits: false }; 3];
        let overload = admit(open.into_iter(), open[0], 2, LIMITS).unwrap_err();
        assert_eq!(overload, Overload { streams: 3, now: 0.75, then: 1.0, utilisation: 0.9 });
        let text = overload.to_string();
        assert!(["3 live streams", "75 %", "100 %", "90 %"].iter().all(|figure| text.contains(figure)), "{text}");
        let alone = Demand { lanes: 3.0, ..open[0] };
        let text = admit([].into_iter(), alone, 2, LIMITS).unwrap_err().to_string();
        assert!(
            ["one live stream takes 150 %", "90 %", "measured again"].iter().all(|part| text.contains(part)),
            "{text}"
        );
    }

    #[test]
    fn what_is_seen_of_a_stream_weighs_more_and_more() {
        let seconds = Duration::from_secs;
        assert_eq!(speech(1.0, Duration::ZERO, Duration::ZERO), 1.0);
        assert_eq!(speech(0.4, Duration::ZERO, Duration::ZERO), 0.4);
        assert!((speech(1.0, seconds(15), seconds(30)) - 0.75).abs() < 1e-9);
        assert!(speech(1.0, seconds(300), seconds(1000)) < 0.33);
        assert_eq!(speech(0.5, seconds(500), seconds(100)), 1.0, "frames made ahead");
    }
}
