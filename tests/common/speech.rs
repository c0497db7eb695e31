//! Sound with what speech has: a gliding voice, syllables, hiss and pauses. Seeded.

/// A small generator of numbers that is the same everywhere (xorshift64*, Vigna 2016).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// 0..1.
    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// `0..end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// `samples` samples at `rate_hz`, in -1..1. The same seed at two rates is the same sound sampled twice.
pub fn speech(seed: u64, samples: usize, rate_hz: u32) -> Vec<f32> {
    let mut random = Random::new(seed);
    let mut hiss = Random::new(seed ^ 0x5eed);
    let mut syllable = Syllable::new(&mut random);
    let (mut begun_s, mut phase) = (0.0_f32, 0.0_f32);
    let step_s = 1.0 / rate_hz as f32;
    (0..samples)
        .map(|index| {
            let mut at_s = index as f32 * step_s - begun_s;
            if at_s >= syllable.length_s {
                begun_s += syllable.length_s;
                at_s -= syllable.length_s;
                syllable = Syllable::new(&mut random);
            }
            let part = at_s / syllable.length_s;
            phase = (phase + step_s * (syllable.pitch_hz + 30.0 * part)).fract();
            syllable.loudness * (std::f32::consts::PI * part).sin() * syllable.sound(phase, &mut hiss)
        })
        .collect()
}

/// A quarter of a second or so of one vowel, hiss or silence.
struct Syllable {
    length_s: f32,
    pitch_hz: f32,
    loudness: f32,
    hiss: f32,
    formants: [f32; 2],
}

impl Syllable {
    fn new(random: &mut Random) -> Self {
        Self {
            length_s: 0.08 + 0.25 * random.unit(),
            pitch_hz: 90.0 + 140.0 * random.unit(),
            loudness: if random.below(5) == 0 { 0.0 } else { 0.2 + 0.5 * random.unit() },
            hiss: if random.below(3) == 0 { 0.6 } else { 0.03 },
            formants: [2.0 + 4.0 * random.unit(), 6.0 + 8.0 * random.unit()],
        }
    }

    /// Harmonics of the voice, the stronger the nearer to a formant, and hiss.
    fn sound(&self, phase: f32, hiss: &mut Random) -> f32 {
        let voice: f32 = (1..=16)
            .map(|harmonic| {
                let number = harmonic as f32;
                let near = self.formants.iter().map(|formant| 1.0 / (1.0 + (number - formant).powi(2)));
                near.sum::<f32>() * (std::f32::consts::TAU * number * phase).sin()
            })
            .sum();
        0.15 * voice + self.hiss * (hiss.unit() - 0.5)
    }
}
