//! The RIFF layer: finds the two chunks that matter and skips the rest.

use super::error::{FourCc, WavError};

/// Programs that write to a pipe cannot go back to fill in the length: ffmpeg leaves `0xFFFF_FFFF`, SoX and
/// espeak-ng `0x7FFF_F000`. From here up, a length the file does not hold means "to the end".
const PIPED_LENGTH: u32 = 0x7FFF_F000;

const RIFF_HEADER_BYTES: usize = 12;
const CHUNK_HEADER_BYTES: usize = 8;

/// The bodies of the `fmt ` and `data` chunks.
pub(super) struct Parts<'a> {
    pub format: &'a [u8],
    pub data: &'a [u8],
}

/// The format and the samples of a WAVE file; whatever follows the samples is not looked at.
pub(super) fn find(bytes: &[u8]) -> Result<Parts<'_>, WavError> {
    let riff_length = riff_header(bytes)?;
    let mut rest = &bytes[RIFF_HEADER_BYTES..];
    let mut format = None;
    while let Some((header, body)) = rest.split_first_chunk::<CHUNK_HEADER_BYTES>() {
        let [n0, n1, n2, n3, l0, l1, l2, l3] = *header;
        let name = [n0, n1, n2, n3];
        let declared = u32::from_le_bytes([l0, l1, l2, l3]);
        if &name == b"data" {
            let complete = u64::from(riff_length) + 8 == bytes.len() as u64;
            let data = data_body(body, declared, complete)?;
            let format = format.ok_or(WavError::NoFormat)?;
            return Ok(Parts { format, data });
        }
        let length = held(name, declared, body)?;
        if &name == b"fmt " && format.is_none() {
            format = Some(&body[..length]);
        }
        // Chunks start at even offsets; a writer may leave out the last pad byte of the file.
        rest = body.get(length + length % 2..).unwrap_or_default();
    }
    Err(WavError::NoData)
}

/// Checks the outermost header; gives the length it declares.
fn riff_header(bytes: &[u8]) -> Result<u32, WavError> {
    if bytes.is_empty() {
        return Err(WavError::Empty);
    }
    let Some(header) = bytes.first_chunk::<RIFF_HEADER_BYTES>() else {
        return Err(WavError::TooShort { bytes: bytes.len() });
    };
    let [r0, r1, r2, r3, l0, l1, l2, l3, w0, w1, w2, w3] = *header;
    let (riff, wave) = ([r0, r1, r2, r3], [w0, w1, w2, w3]);
    if &riff != b"RIFF" || &wave != b"WAVE" {
        return Err(WavError::NotWave { riff: FourCc(riff), wave: FourCc(wave) });
    }
    Ok(u32::from_le_bytes([l0, l1, l2, l3]))
}

/// The samples: as many bytes as declared, or all that follow when the header was written to a pipe.
///
/// A declared length of 0 with bytes behind it is ambiguous: an empty sound with tags after it, or a header
/// never filled in. `complete` (the outer length matches the file) tells the first from the second.
fn data_body(body: &[u8], declared: u32, complete: bool) -> Result<&[u8], WavError> {
    let unfilled = declared == 0 && !complete;
    let piped = declared >= PIPED_LENGTH && (body.len() as u64) < u64::from(declared);
    if unfilled || piped {
        return Ok(body);
    }
    held(*b"data", declared, body).map(|length| &body[..length])
}

/// `declared` as a length, once `body` is known to hold that much.
fn held(name: [u8; 4], declared: u32, body: &[u8]) -> Result<usize, WavError> {
    usize::try_from(declared).ok().filter(|&length| length <= body.len()).ok_or(WavError::Truncated {
        chunk: FourCc(name),
        declared,
        held: body.len(),
    })
}
