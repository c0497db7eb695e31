//! Utterances cut from a sound.

use std::ops::Range;

use bytes::Bytes;

use super::random::Random;
use super::voice::voice;
use crate::audio::Pcm;

/// Seconds of speech made by code; utterances are cut from it at random places.
const MADE_SECONDS: usize = 60;
const MADE_RATE_HZ: u32 = 16_000;
/// Seconds an utterance lasts, when it is cut from made speech.
const UTTERANCE_SECONDS: Range<f64> = 2.0..6.0;

/// What the streams say. Cuts share its memory.
#[derive(Debug, Clone)]
pub struct Speech {
    /// Little-endian 16-bit mono.
    pcm: Bytes,
    rate_hz: u32,
    /// Whether every utterance is the whole sound.
    whole: bool,
}

impl Speech {
    /// Made by code; utterances of 2 to 6 s.
    #[must_use]
    pub fn made(seed: u64) -> Self {
        let samples = voice(seed, MADE_SECONDS * MADE_RATE_HZ as usize, MADE_RATE_HZ);
        Self { pcm: bytes_of(&samples), rate_hz: MADE_RATE_HZ, whole: false }
    }

    /// A recording, which is each utterance.
    #[must_use]
    pub fn recorded(pcm: &Pcm) -> Self {
        Self { pcm: bytes_of(&pcm.samples), rate_hz: pcm.sample_rate_hz, whole: true }
    }

    /// Samples a second.
    #[must_use]
    pub fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// Seconds an utterance lasts on average.
    pub(super) fn mean_s(&self) -> f64 {
        if self.whole { self.seconds() } else { (UTTERANCE_SECONDS.start + UTTERANCE_SECONDS.end) / 2.0 }
    }

    fn seconds(&self) -> f64 {
        self.samples() as f64 / f64::from(self.rate_hz)
    }

    fn samples(&self) -> usize {
        self.pcm.len() / 2
    }

    /// The next utterance.
    pub(super) fn utterance(&self, random: &mut Random) -> Bytes {
        if self.whole {
            return self.pcm.clone();
        }
        let length =
            (random.between(UTTERANCE_SECONDS.start, UTTERANCE_SECONDS.end) * f64::from(self.rate_hz)) as usize;
        let start = (random.unit() * (self.samples() - length) as f64) as usize;
        self.pcm.slice(2 * start..2 * (start + length))
    }
}

fn bytes_of(samples: &[f32]) -> Bytes {
    samples.iter().flat_map(|s| ((s * 32767.0).round().clamp(-32768.0, 32767.0) as i16).to_le_bytes()).collect()
}
