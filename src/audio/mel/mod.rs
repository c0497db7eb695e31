//! Log-mel spectrograms, as the generator's training pipeline made them.
//!
//! Steps 2 to 4 of the recipe: pre-emphasis, centred STFT with zero padding, magnitude, Slaney mel bands,
//! decibels, normalised to -4..4. Everything runs in `f64`, because the pipeline does (`scipy.signal.lfilter`
//! promotes, and librosa's STFT keeps what it gets); only the result is `f32`. Near digital silence the
//! logarithm magnifies the rounding of an `f32` STFT far past the 1e-3 the recipe allows.
//!
//! [`MelPlan`] holds what every stream shares and is built once; [`MelStream`] is one utterance's state.

mod filterbank;
mod params;
mod plan;
mod stream;
#[cfg(test)]
mod tests;
mod whole;

pub use params::{MelError, MelParams};
pub use plan::MelPlan;
pub use stream::MelStream;
pub use whole::{mel_spectrogram, mel_spectrogram_threaded};

/// The value of every band of a mel frame of digital silence: the bottom of the scale.
pub const SILENT_MEL: f32 = -4.0;

/// The top of the scale.
pub(crate) const LOUDEST_MEL: f32 = 4.0;
