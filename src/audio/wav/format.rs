//! The `fmt ` chunk: how the samples are written.

use super::error::WavError;
use super::{MAX_CHANNELS, MAX_SAMPLE_RATE_HZ};

const TAG_PCM: u16 = 0x0001;
const TAG_FLOAT: u16 = 0x0003;
const TAG_EXTENSIBLE: u16 = 0xFFFE;

const PLAIN_BYTES: usize = 16;
const EXTENSIBLE_BYTES: usize = 40;

/// The last 14 bytes of `KSDATAFORMAT_SUBTYPE_*`; the first two are the plain format tag.
const GUID_TAIL: [u8; 14] = [0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x80, 0x00, 0x00, 0xAA, 0x00, 0x38, 0x9B, 0x71];

/// How one sample is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Unsigned, silence is 128.
    U8,
    S16,
    S24,
    S32,
    F32,
    F64,
}

/// How the samples of a file are written; every field is within the module's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Format {
    pub encoding: Encoding,
    pub channels: usize,
    pub sample_rate_hz: u32,
    /// Bytes of one sample of every channel; at least 1.
    pub block_bytes: usize,
}

/// Reads and checks the body of a `fmt ` chunk.
pub(super) fn parse(body: &[u8]) -> Result<Format, WavError> {
    let head = prefix::<PLAIN_BYTES>(body)?;
    let u16_at = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
    let sample_rate_hz = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    let (tag, channels, declared, bits) = (u16_at(0), u16_at(2), u16_at(12), u16_at(14));
    match channels {
        0 => return Err(WavError::ZeroChannels),
        got if got > MAX_CHANNELS => return Err(WavError::TooManyChannels { got }),
        _ => {}
    }
    match sample_rate_hz {
        0 => return Err(WavError::ZeroRate),
        got_hz if got_hz > MAX_SAMPLE_RATE_HZ => return Err(WavError::RateTooHigh { got_hz }),
        _ => {}
    }
    let tag = if tag == TAG_EXTENSIBLE { extensible_tag(body)? } else { tag };
    let encoding = encoding(tag, bits)?;
    let expected = usize::from(channels) * usize::from(bits / 8);
    if usize::from(declared) != expected {
        return Err(WavError::BlockAlign { declared, expected, channels, bits });
    }
    Ok(Format { encoding, channels: usize::from(channels), sample_rate_hz, block_bytes: expected })
}

/// The plain tag inside an extensible format. Its valid-bits field is not needed: values are left-justified
/// in their container, so scaling by the container is right whatever it says.
fn extensible_tag(body: &[u8]) -> Result<u16, WavError> {
    let whole = prefix::<EXTENSIBLE_BYTES>(body)?;
    let [.., t0, t1, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = *whole;
    let mut guid = [0; 16];
    guid.copy_from_slice(&whole[EXTENSIBLE_BYTES - 16..]);
    if guid[2..] != GUID_TAIL {
        return Err(WavError::UnsupportedGuid { guid });
    }
    Ok(u16::from_le_bytes([t0, t1]))
}

fn encoding(tag: u16, bits: u16) -> Result<Encoding, WavError> {
    match (tag, bits) {
        (TAG_PCM, 8) => Ok(Encoding::U8),
        (TAG_PCM, 16) => Ok(Encoding::S16),
        (TAG_PCM, 24) => Ok(Encoding::S24),
        (TAG_PCM, 32) => Ok(Encoding::S32),
        (TAG_FLOAT, 32) => Ok(Encoding::F32),
        (TAG_FLOAT, 64) => Ok(Encoding::F64),
        _ => Err(WavError::UnsupportedFormat { tag, bits }),
    }
}

fn prefix<const N: usize>(body: &[u8]) -> Result<&[u8; N], WavError> {
    body.first_chunk().ok_or(WavError::FormatTooShort { got: body.len(), need: N })
}
