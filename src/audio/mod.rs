//! Sound in, mel windows out: the first half of the recipe, as pure functions and small streaming states.
//!
//! ```text
//! wav / pcm ──f32──▶ resample ──16 kHz──▶ mel ──[T, 80]──▶ window ──[80, 16]──▶ (encoder) ──▶ context
//! ```
//!
//! | module | turns | into |
//! | --- | --- | --- |
//! | [`wav`] | a RIFF/WAVE file | mono `f32` samples and their rate |
//! | [`sound`] | any of these, whole | a part of its samples |
//! | [`pcm`] | headerless little-endian PCM from the network | `f32` samples |
//! | [`resample`](mod@resample) | samples at any rate | samples at the recipe's rate |
//! | [`mel`] | samples | log-mel frames, `[T, mels]` |
//! | [`window`] | a video frame's number | the mel frames its encoder window reads |
//! | [`context`] | a video frame's number | the encoder outputs its generator input reads |
//! | [`npy`] | a mel spectrogram | a `.npy` file |
//!
//! Every streaming state gives the same bits however its input is cut into chunks, and none allocates
//! after it has been built.

pub mod context;
pub mod mel;
pub mod npy;
pub mod pcm;
pub mod resample;
pub mod sound;
pub mod wav;
pub mod window;

pub use context::{Context, ContextRow, Windows};
pub use mel::{MelError, MelParams, MelPlan, MelStream, SILENT_MEL, mel_in_parts, mel_spectrogram};
pub use npy::{NpyFile, write_npy};
pub use pcm::{NotFiniteValue, PcmError, PcmFormat, decode_pcm};
pub use resample::{ResampleError, ResamplePlan, Resampled, Resampler, resample};
pub use sound::Sound;
pub use wav::{Pcm, WavError, WavFile, WavFileError, parse_wav, read_wav};
pub use window::{ClockError, FrameClock, WINDOW_MEL_FRAMES, fill_window};
