//! Seeded numbers, the same on every machine.

/// xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled", 2016).
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    /// Numbers of stream `stream` of `seed`.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mixed = seed.wrapping_add(stream.wrapping_mul(0xd1b5_4a32_d192_ed03)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self((mixed ^ (mixed >> 29)) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// 0..1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// `low..high`.
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Seconds until the next of events that happen `per_minute` times a minute, independently of each
    /// other; infinite when they never do.
    pub(super) fn wait_s(&mut self, per_minute: f64) -> f64 {
        if per_minute > 0.0 { -(1.0 - self.unit()).ln() * 60.0 / per_minute } else { f64::INFINITY }
    }
}
