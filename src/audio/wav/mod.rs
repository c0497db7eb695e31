//! RIFF/WAVE files, whole or piece by piece, as mono `f32`.
//!
//! Reads PCM of 8, 16, 24 and 32 bits, float of 32 and 64 bits, plain or `WAVE_FORMAT_EXTENSIBLE`, 1 to 8
//! channels, 1 Hz to 768 kHz. Values are scaled as libsndfile does (full scale is -1..1) and channels are
//! averaged. Files a program wrote to a pipe, whose header could not be completed, are read to their end.
//!
//! The parser works on bytes alone and sizes its memory by the bytes that are there, never by what a header
//! claims, so that it can be fed anything.
//!
//! Layout of the format: "Multimedia Programming Interface and Data Specifications 1.0" (IBM and Microsoft,
//! 1991), and Microsoft's "Multiple Channel Audio Data and WAVE Files" for the extensible form.

mod chunks;
mod decode;
mod error;
mod file;
mod format;
#[cfg(test)]
mod tests;

use std::path::Path;

pub use error::{FourCc, WavError, WavFileError};
pub use file::WavFile;

/// Most channels a file may have; past 7.1 a file is a recording session, not speech.
pub const MAX_CHANNELS: u16 = 8;

/// Highest sampling rate accepted, in Hz.
pub const MAX_SAMPLE_RATE_HZ: u32 = 768_000;

/// Mono sound in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Pcm {
    /// Samples per second, `1..=768_000`.
    pub sample_rate_hz: u32,
    /// The samples, nominally -1..1; float files may go beyond and are passed on unclipped. All finite.
    pub samples: Vec<f32>,
}

/// The sound of the file at `path`, mixed to mono.
///
/// # Errors
/// When the file cannot be read, or for any reason [`parse_wav`] gives; both name the path.
pub fn read_wav(path: &Path) -> Result<Pcm, WavFileError> {
    WavFile::open(path)?.pcm()
}

/// The sound of a whole RIFF/WAVE file held in `bytes`, mixed to mono (mean of the channels).
///
/// # Errors
/// One [`WavError`] per way a file can be wrong; nothing is guessed except the length of a piped file.
pub fn parse_wav(bytes: &[u8]) -> Result<Pcm, WavError> {
    let (format, data) = file::headers_of(bytes)?;
    let mut samples = Vec::with_capacity(data.len() / format.block_bytes);
    decode::append(&bytes[data], &format, 0, &mut samples)?;
    Ok(Pcm { sample_rate_hz: format.sample_rate_hz, samples })
}
