//! What can be wrong with a WAVE file.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use super::{MAX_CHANNELS, MAX_SAMPLE_RATE_HZ};
use crate::audio::pcm::NotFiniteValue;

/// A chunk's four-letter name, shown with anything unprintable escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FourCc(pub [u8; 4]);

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// Why bytes are not a WAVE file that can be used.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum WavError {
    #[error("the file is empty (0 bytes); give a WAV file")]
    Empty,
    #[error("the file is {bytes} bytes long and a WAV header takes 12; the file is cut off or not a WAV")]
    TooShort { bytes: usize },
    #[error("the file starts with {riff} and {wave} where a WAV has \"RIFF\" and \"WAVE\"; convert it to WAV")]
    NotWave { riff: FourCc, wave: FourCc },
    #[error("the {chunk} chunk says {declared} bytes but the file holds {held} of them; it was cut off, copy it again")]
    Truncated { chunk: FourCc, declared: u32, held: usize },
    #[error("the file has no \"fmt \" chunk before its samples, so their format is unknown")]
    NoFormat,
    #[error("the \"fmt \" chunk is {got} bytes long and needs at least {need}")]
    FormatTooShort { got: usize, need: usize },
    #[error("the file has no \"data\" chunk, so it holds no sound")]
    NoData,
    #[error("the \"data\" chunk holds no samples; give a file with sound in it")]
    NoSamples,
    #[error("the header says 0 Hz; the sampling rate must be 1..={MAX_SAMPLE_RATE_HZ} Hz")]
    ZeroRate,
    #[error("the header says {got_hz} Hz; the sampling rate must be 1..={MAX_SAMPLE_RATE_HZ} Hz")]
    RateTooHigh { got_hz: u32 },
    #[error("the header says 0 channels; the file must have 1..={MAX_CHANNELS}")]
    ZeroChannels,
    #[error("the file has {got} channels and at most {MAX_CHANNELS} are read; mix it down to mono first")]
    TooManyChannels { got: u16 },
    #[error(
        "format tag {tag:#06x} with {bits} bits is not read; convert to PCM (8, 16, 24, 32 bits) or float (32, 64)"
    )]
    UnsupportedFormat { tag: u16, bits: u16 },
    #[error("the extensible format's GUID {guid:02x?} is not one of PCM or float; convert to PCM")]
    UnsupportedGuid { guid: [u8; 16] },
    #[error(
        "the header says {declared} bytes per sample block, but {channels} channels of {bits} bits take {expected}"
    )]
    BlockAlign { declared: u16, expected: usize, channels: u16, bits: u16 },
    #[error("the \"data\" chunk's {bytes} bytes are not a whole number of sample blocks of {block} bytes")]
    PartialBlock { bytes: usize, block: usize },
    #[error("sample {sample} (at {second:.3} s) of channel {channel} is {value}; every sample must be a finite number")]
    NotFinite { sample: usize, second: f64, channel: usize, value: NotFiniteValue },
}

/// Why a WAVE file on disk could not be used.
#[derive(Debug, Error)]
pub enum WavFileError {
    #[error("{} cannot be read", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} is not a usable WAV file", path.display())]
    Parse { path: PathBuf, source: WavError },
}
