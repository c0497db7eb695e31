//! The RIFF layer: finds the two chunks that matter and skips the rest.

use std::ops::Range;

use super::error::{FourCc, WavError};

/// Programs that write to a pipe cannot go back to fill in the length and leave one of these: SoX and espeak-ng the first, ffmpeg the
/// second. From the first up, a length the file does not hold means "to the end".
const PIPED_LENGTHS: [u32; 2] = [0x7FFF_F000, 0xFFFF_FFFF];

const RIFF_HEADER_BYTES: usize = 12;
const CHUNK_HEADER_BYTES: usize = 8;

/// More of a `fmt ` chunk than any format has.
const FORMAT_BYTES: usize = 256;

/// The two chunks that matter.
pub(super) struct Parts {
    /// The body of the `fmt ` chunk.
    pub format: Vec<u8>,
    /// Where in the file the body of the `data` chunk lies; within the file.
    pub data: Range<usize>,
}

/// The format and the samples of a WAVE file of `file_bytes`, of which `read` gives what lies at an offset, as much as there is; whatever
/// follows the samples is not looked at.
///
/// # Errors
/// What is wrong with the file, or what `read` fails with.
pub(super) fn find<E: From<WavError>>(
    file_bytes: usize,
    mut read: impl FnMut(usize, &mut [u8]) -> Result<usize, E>,
) -> Result<Parts, E> {
    let mut header = [0; RIFF_HEADER_BYTES];
    let held_bytes = read(0, &mut header)?;
    let riff_length = riff_header(&header[..held_bytes])?;
    let mut at = RIFF_HEADER_BYTES;
    let mut format = None;
    let mut header = [0; CHUNK_HEADER_BYTES];
    while read(at, &mut header)? == CHUNK_HEADER_BYTES {
        at += CHUNK_HEADER_BYTES;
        let [n0, n1, n2, n3, l0, l1, l2, l3] = header;
        let name = [n0, n1, n2, n3];
        let declared = u32::from_le_bytes([l0, l1, l2, l3]);
        let rest_bytes = file_bytes.saturating_sub(at);
        if &name == b"data" {
            let complete = u64::from(riff_length) + 8 == file_bytes as u64;
            let length = data_bytes(rest_bytes, declared, complete)?;
            let format = format.ok_or(WavError::NoFormat)?;
            return Ok(Parts { format, data: at..at + length });
        }
        let length = held(name, declared, rest_bytes)?;
        if &name == b"fmt " && format.is_none() {
            let mut body = vec![0; length.min(FORMAT_BYTES)];
            let held_bytes = read(at, &mut body)?;
            body.truncate(held_bytes);
            format = Some(body);
        }
        // Chunks start at even offsets; a writer may leave out the last pad byte of the file.
        at = at.saturating_add(length + length % 2);
    }
    Err(WavError::NoData.into())
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

/// Length of the samples: as many bytes as declared, or the `rest_bytes` when the header was written to a pipe.
///
/// A declared length of 0 with bytes behind it is ambiguous: an empty sound with tags after it, or a header
/// never filled in. So is a length that programs leave in a pipe with more bytes behind it: tags, or the rest of a very long sound.
/// `complete` (the outer length matches the file) tells the first from the second.
fn data_bytes(rest_bytes: usize, declared: u32, complete: bool) -> Result<usize, WavError> {
    let unfilled = declared == 0 && !complete;
    let longer = (rest_bytes as u64) >= u64::from(declared);
    let piped = if longer { PIPED_LENGTHS.contains(&declared) && !complete } else { declared >= PIPED_LENGTHS[0] };
    if unfilled || piped { Ok(rest_bytes) } else { held(*b"data", declared, rest_bytes) }
}

/// `declared` as a length, once the `rest_bytes` are known to hold that much.
fn held(name: [u8; 4], declared: u32, rest_bytes: usize) -> Result<usize, WavError> {
    usize::try_from(declared).ok().filter(|&length| length <= rest_bytes).ok_or(WavError::Truncated {
        chunk: FourCc(name),
        declared,
        held: rest_bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piped_sound_longer_than_the_length_left_in_its_header_is_read_to_its_end() {
        let bytes = 5 << 30;
        for declared in PIPED_LENGTHS {
            assert_eq!(data_bytes(bytes, declared, false), Ok(bytes), "{declared:#x}");
            assert_eq!(data_bytes(1000, declared, false), Ok(1000), "{declared:#x}");
            // A header that was filled in, with tags behind the samples.
            assert_eq!(data_bytes(bytes, declared, true), Ok(declared as usize), "{declared:#x}");
        }
        assert_eq!(data_bytes(bytes, 0x7FFF_F002, false), Ok(0x7FFF_F002), "nobody leaves that in a pipe");
    }
}
