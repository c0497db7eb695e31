//! Log-mel spectrograms, as the generator's training pipeline made them.
//!
//! Steps 2 to 4 of the recipe: pre-emphasis, centred STFT with zero padding, magnitude, Slaney mel bands,
//! decibels, normalised to -4..4. The transform runs in `f64`, because the pipeline's does (`scipy.signal.lfilter`
//! promotes, and librosa's STFT keeps what it gets): beside a loud band, the rounding of an `f32` STFT drowns a quiet
//! one, far past the 1e-3 the recipe allows. From the magnitudes on, where each bin is right to 1e-7 of itself and only
//! positive numbers are added, `f32` costs less than 1e-6 of the result.
//!
//! [`MelPlan`] holds what every stream shares and is built once; [`MelStream`] is one utterance's state.

mod decibel;
mod filterbank;
mod params;
mod plan;
mod spectrum;
mod stream;
#[cfg(test)]
mod tests;
mod whole;

pub use params::{MelError, MelParams};
pub use plan::MelPlan;
pub use stream::MelStream;
pub use whole::{mel_in_parts, mel_spectrogram};

/// The value of every band of a mel frame of digital silence: the bottom of the scale.
pub const SILENT_MEL: f32 = -4.0;

/// The top of the scale.
pub(crate) const LOUDEST_MEL: f32 = 4.0;
