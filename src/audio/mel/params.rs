//! What a mel spectrogram is made with, and which values make sense.

use thiserror::Error;

/// The `[audio]` table of an avatar; [`Default`] is the recipe's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MelParams {
    /// Samples per second, `1..=768_000`.
    pub sample_rate_hz: u32,
    /// Samples per Fourier transform; even, so that a frame has a centre and `T = 1 + samples / hop`.
    pub n_fft: usize,
    /// Samples from one mel frame to the next, `1..=n_fft`.
    pub hop_samples: usize,
    /// Samples under the Hann window, `1..=n_fft`; a shorter one is centred in the transform.
    pub window_samples: usize,
    /// Bands per mel frame.
    pub mels: usize,
    /// Lowest edge of the lowest band, in Hz.
    pub fmin_hz: f64,
    /// Highest edge of the highest band, in Hz; at most half the sampling rate.
    pub fmax_hz: f64,
    /// The `a` of `y[n] = x[n] - a x[n-1]`, `0.0..=1.0`.
    pub pre_emphasis: f64,
}

impl Default for MelParams {
    fn default() -> Self {
        Self {
            sample_rate_hz: 16_000,
            n_fft: 800,
            hop_samples: 200,
            window_samples: 800,
            mels: 80,
            fmin_hz: 55.0,
            fmax_hz: 7600.0,
            pre_emphasis: 0.97,
        }
    }
}

/// Which of the [`MelParams`] cannot be; fields are named as in `avatar.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum MelError {
    #[error("audio.sample_rate is {got} Hz; it must be 1..={max}")]
    SampleRate { got: u32, max: u32 },
    #[error("audio.n_fft is {got}; it must be even and 2..={max}")]
    Fft { got: usize, max: usize },
    #[error("audio.hop is {got}; it must be 1..={n_fft}, the n_fft")]
    Hop { got: usize, n_fft: usize },
    #[error("audio.window is {got}; it must be 1..={n_fft}, the n_fft")]
    Window { got: usize, n_fft: usize },
    #[error("audio.mels is {got}; it must be 1..={max}")]
    Mels { got: usize, max: usize },
    #[error("audio.fmin is {got} Hz; it must be 0 or more and below audio.fmax, {fmax} Hz")]
    Fmin { got: f64, fmax: f64 },
    #[error("audio.fmax is {got} Hz; it must be above 0 and at most {nyquist} Hz, half the sampling rate")]
    Fmax { got: f64, nyquist: f64 },
    #[error("audio.pre_emphasis is {got}; it must be 0..=1")]
    PreEmphasis { got: f64 },
}

impl MelParams {
    /// Largest `n_fft`; bounds the memory a manifest can ask for.
    pub const MAX_N_FFT: usize = 1 << 16;
    /// Most bands; bounds the memory a manifest can ask for.
    pub const MAX_MELS: usize = 1024;

    /// Says whether the values fit together.
    ///
    /// # Errors
    /// The first field, in the order of the struct, that does not.
    pub fn validate(&self) -> Result<(), MelError> {
        let max = crate::audio::wav::MAX_SAMPLE_RATE_HZ;
        let (got, n_fft) = (self.sample_rate_hz, self.n_fft);
        if got == 0 || got > max {
            return Err(MelError::SampleRate { got, max });
        }
        if !(2..=Self::MAX_N_FFT).contains(&n_fft) || !n_fft.is_multiple_of(2) {
            let max = Self::MAX_N_FFT;
            return Err(MelError::Fft { got: n_fft, max });
        }
        if !(1..=n_fft).contains(&self.hop_samples) {
            let got = self.hop_samples;
            return Err(MelError::Hop { got, n_fft });
        }
        if !(1..=n_fft).contains(&self.window_samples) {
            let got = self.window_samples;
            return Err(MelError::Window { got, n_fft });
        }
        if !(1..=Self::MAX_MELS).contains(&self.mels) {
            let (got, max) = (self.mels, Self::MAX_MELS);
            return Err(MelError::Mels { got, max });
        }
        let (fmin, fmax) = (self.fmin_hz, self.fmax_hz);
        let nyquist = f64::from(self.sample_rate_hz) / 2.0;
        // Written so that NaN fails each of these.
        if !(fmax > 0.0 && fmax <= nyquist) {
            return Err(MelError::Fmax { got: fmax, nyquist });
        }
        if !(fmin >= 0.0 && fmin < fmax) {
            return Err(MelError::Fmin { got: fmin, fmax });
        }
        if !(0.0..=1.0).contains(&self.pre_emphasis) {
            let got = self.pre_emphasis;
            return Err(MelError::PreEmphasis { got });
        }
        Ok(())
    }

    /// Mel frames of a sound of `samples`: `1 + samples / hop`, so one even for no samples.
    #[must_use]
    pub fn frames_for_samples(&self, samples: usize) -> usize {
        1 + samples / self.hop_samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_is_valid() {
        assert_eq!(MelParams::default().validate(), Ok(()));
    }

    #[test]
    fn each_bad_value_is_named() {
        type Spoil = fn(&mut MelParams);
        let cases: [(&str, Spoil); 18] = [
            ("audio.sample_rate is 0", |p| p.sample_rate_hz = 0),
            ("audio.sample_rate is 768001", |p| p.sample_rate_hz = 768_001),
            ("audio.n_fft is 0", |p| p.n_fft = 0),
            ("audio.n_fft is 801", |p| p.n_fft = 801),
            ("audio.n_fft is 65538", |p| p.n_fft = 65_538),
            ("audio.hop is 0", |p| p.hop_samples = 0),
            ("audio.hop is 801", |p| p.hop_samples = 801),
            ("audio.window is 0", |p| p.window_samples = 0),
            ("audio.window is 801", |p| p.window_samples = 801),
            ("audio.mels is 0", |p| p.mels = 0),
            ("audio.mels is 1025", |p| p.mels = 1025),
            ("audio.fmin is -1 Hz", |p| p.fmin_hz = -1.0),
            ("audio.fmin is 7600 Hz", |p| p.fmin_hz = 7600.0),
            ("audio.fmin is NaN Hz", |p| p.fmin_hz = f64::NAN),
            ("audio.fmax is 8001 Hz", |p| p.fmax_hz = 8001.0),
            ("audio.fmax is NaN Hz", |p| p.fmax_hz = f64::NAN),
            ("audio.pre_emphasis is 1.5", |p| p.pre_emphasis = 1.5),
            ("audio.pre_emphasis is NaN", |p| p.pre_emphasis = f64::NAN),
        ];
        for (start, spoil) in cases {
            let mut params = MelParams::default();
            spoil(&mut params);
            let message = params.validate().unwrap_err().to_string();
            assert!(message.starts_with(start), "{message}");
        }
    }
}
