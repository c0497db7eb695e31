//! Sound at any rate to the recipe's rate, while it streams in.
//!
//! A Kaiser-windowed sinc in polyphase form: linear phase, its delay compensated, so that output sample `k` sits at
//! time `k / to`. The sound is taken to be zero before its start and after its end, and `n` samples become
//! `ceil(n * to / from)`, as `librosa.resample` gives. The transition band is the one of the resampler training
//! pipelines use (SoX's "HQ"), since the top mel bands of the recipe lie inside it.
//!
//! [`ResamplePlan`] holds the filter and is shared; [`Resampler`] is one utterance's state.

mod dot;
mod filter;
mod plan;
mod shared;
mod stream;
#[cfg(test)]
mod tests;
mod whole;

pub use plan::{ResampleError, ResamplePlan};
pub use stream::Resampler;
pub use whole::{Resampled, resample};
