//! A sound like speech, made by code: pulses of a gliding voice through two formants, a hiss now and then,
//! and pauses of exact silence.

use std::f64::consts::{PI, TAU};

use super::random::Random;

/// `samples` samples at `rate_hz`, in -1..1, the same for the same seed.
pub(crate) fn voice(seed: u64, samples: usize, rate_hz: u32) -> Vec<f32> {
    let mut random = Random::new(seed, 0);
    let mut hiss = Random::new(seed, 1);
    let rate = f64::from(rate_hz);
    let mut sound = Vec::with_capacity(samples);
    let mut phase = 0.0_f64;
    while sound.len() < samples {
        let syllable = Syllable::new(&mut random);
        let length = ((syllable.length_s * rate) as usize).clamp(1, samples - sound.len());
        let mut formants = syllable.formants_hz.map(|hz| Resonator::new(hz, 0.1 * hz, rate));
        for index in 0..length {
            let part = index as f64 / length as f64;
            phase += (syllable.pitch_hz * (1.0 + 0.15 * part)) / rate;
            let pulse = if phase >= 1.0 { 1.0 } else { 0.0 };
            phase = phase.fract();
            let source = pulse + syllable.hiss * (hiss.unit() - 0.5);
            let sum: f64 = formants.iter_mut().map(|formant| formant.next(source)).sum();
            sound.push((syllable.loudness * (PI * part).sin() * sum).clamp(-1.0, 1.0) as f32);
        }
    }
    sound
}

/// A vowel, a hiss or a pause.
struct Syllable {
    length_s: f64,
    pitch_hz: f64,
    /// 0 in a pause: the samples are then exactly 0.
    loudness: f64,
    hiss: f64,
    formants_hz: [f64; 2],
}

impl Syllable {
    fn new(random: &mut Random) -> Self {
        Self {
            length_s: random.between(0.08, 0.32),
            pitch_hz: random.between(90.0, 210.0),
            loudness: if random.unit() < 0.15 { 0.0 } else { random.between(0.15, 0.6) },
            hiss: if random.unit() < 0.3 { 0.8 } else { 0.02 },
            formants_hz: [random.between(300.0, 900.0), random.between(900.0, 2600.0)],
        }
    }
}

/// Two poles: rings at `hz` with bandwidth `width_hz` (Klatt, "Software for a cascade/parallel formant
/// synthesizer", 1980, eq. 2).
struct Resonator {
    gain: f64,
    feedback: [f64; 2],
    history: [f64; 2],
}

impl Resonator {
    fn new(hz: f64, width_hz: f64, rate: f64) -> Self {
        let radius = (-PI * width_hz / rate).exp();
        let feedback = [2.0 * radius * (TAU * hz / rate).cos(), -radius * radius];
        Self { gain: 1.0 - radius, feedback, history: [0.0; 2] }
    }

    fn next(&mut self, input: f64) -> f64 {
        let [one, two] = self.history;
        // Pulses are short: the gain makes up for most of the time being silent.
        let output = 12.0 * self.gain * input + self.feedback[0] * one + self.feedback[1] * two;
        self.history = [output, one];
        output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_loud_it_pauses_and_it_repeats() {
        let sound = voice(7, 160_000, 16_000);
        assert_eq!(sound.len(), 160_000);
        assert_eq!(sound, voice(7, 160_000, 16_000));
        assert_ne!(sound, voice(8, 160_000, 16_000));
        let power = sound.iter().map(|s| f64::from(s * s)).sum::<f64>() / sound.len() as f64;
        assert!((0.01..0.5).contains(&power.sqrt()), "loudness {}", power.sqrt());
        let silent = sound.chunks(800).filter(|piece| piece.iter().all(|&s| s == 0.0)).count();
        assert!((5..100).contains(&silent), "{silent} of 200 pieces of 50 ms are silent");
    }
}
