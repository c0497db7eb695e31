//! A picture's size from its header, without decoding it: checking 500 frames reads a few kB of each.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

use thiserror::Error;

use crate::picture::MAX_FILE_BYTES;

/// Longest side of a frame, in pixels: beyond it one decoded frame takes 200 MB.
pub const MAX_FRAME_SIDE_PX: u32 = 8192;

/// A picture's size in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureSize {
    pub width: u32,
    pub height: u32,
}

impl PictureSize {
    /// Width and height, as pictures in memory have them.
    #[must_use]
    pub fn px(self) -> (usize, usize) {
        (self.width as usize, self.height as usize)
    }
}

impl fmt::Display for PictureSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{} px", self.width, self.height)
    }
}

/// Why a file's header is not that of a usable picture.
#[derive(Debug, Error)]
pub enum ProbeError {
    #[error("it is neither a JPEG nor a PNG picture")]
    Unknown,
    #[error("it ends in the middle of its header")]
    Truncated,
    #[error("its {format} header is damaged")]
    Damaged { format: &'static str },
    #[error("it has {bits} bits a sample; frames have 8")]
    Depth { bits: u8 },
    #[error("it has {components} colour components; frames have 1 or 3")]
    Components { components: u8 },
    #[error("it is {size}; sides go from 1 to {MAX_FRAME_SIDE_PX} px")]
    Size { size: PictureSize },
    #[error("it has {bytes} bytes; frames have at most {MAX_FILE_BYTES}")]
    Bytes { bytes: u64 },
    #[error("it cannot be read ({0})")]
    Io(#[source] io::Error),
}

/// The size of the JPEG or PNG picture at `path`; the name's ending plays no part.
///
/// # Errors
/// Unreadable, too long, another format, damaged or cut header, or a kind of picture frames cannot be.
pub fn probe_file(path: &Path) -> Result<PictureSize, ProbeError> {
    let file = File::open(path).map_err(ProbeError::Io)?;
    let bytes = file.metadata().map_err(ProbeError::Io)?.len();
    if bytes > MAX_FILE_BYTES {
        return Err(ProbeError::Bytes { bytes });
    }
    probe(BufReader::with_capacity(1024, file))
}

/// The size of the picture that starts where `reader` stands.
///
/// # Errors
/// As [`probe_file`].
pub fn probe(mut reader: impl Read + Seek) -> Result<PictureSize, ProbeError> {
    let size = match take::<2>(&mut reader)? {
        [0xFF, 0xD8] => probe_jpeg(&mut reader)?,
        [0x89, b'P'] => probe_png(&mut reader)?,
        _ => return Err(ProbeError::Unknown),
    };
    let sides = 1..=MAX_FRAME_SIDE_PX;
    if sides.contains(&size.width) && sides.contains(&size.height) { Ok(size) } else { Err(ProbeError::Size { size }) }
}

/// Walks the marker segments (ITU-T T.81, B.1.1) up to the frame header (B.2.2).
fn probe_jpeg(reader: &mut (impl Read + Seek)) -> Result<PictureSize, ProbeError> {
    const DAMAGED: ProbeError = ProbeError::Damaged { format: "JPEG" };
    loop {
        let [0xFF] = take(reader)? else {
            return Err(DAMAGED);
        };
        // Any number of 0xFF fill bytes may stand before a marker.
        let mut marker = [0xFF];
        while marker == [0xFF] {
            marker = take(reader)?;
        }
        match marker[0] {
            // TEM and RSTn stand alone, without a length.
            0x01 | 0xD0..=0xD7 => continue,
            // Scan or end of image before any frame header; 0x00 is no marker.
            0x00 | 0xD8..=0xDA => return Err(DAMAGED),
            _ => {}
        }
        let body = usize::from(u16::from_be_bytes(take(reader)?)).checked_sub(2).ok_or(DAMAGED)?;
        // SOF0..SOF15; C4, C8 and CC in between are DHT, JPG and DAC.
        if matches!(marker[0], 0xC0..=0xCF) && !matches!(marker[0], 0xC4 | 0xC8 | 0xCC) {
            let [bits, h1, h0, w1, w0, components] = take(reader)?;
            return match (bits, components) {
                (8, 1 | 3) if body != 6 + 3 * usize::from(components) => Err(DAMAGED),
                (8, 1 | 3) => Ok(PictureSize {
                    width: u16::from_be_bytes([w1, w0]).into(),
                    height: u16::from_be_bytes([h1, h0]).into(),
                }),
                (8, _) => Err(ProbeError::Components { components }),
                _ => Err(ProbeError::Depth { bits }),
            };
        }
        // Plain `seek` drops what is buffered: a call to the system for each segment.
        reader.seek_relative(body as i64).map_err(ProbeError::Io)?;
    }
}

/// Reads the IHDR chunk (PNG specification, 11.2.1), which must come first, and its CRC.
fn probe_png(reader: &mut impl Read) -> Result<PictureSize, ProbeError> {
    const DAMAGED: ProbeError = ProbeError::Damaged { format: "PNG" };
    let signature: [u8; 6] = take(reader)?;
    let length: [u8; 4] = take(reader)?;
    if signature != *b"NG\r\n\x1a\n" || u32::from_be_bytes(length) != 13 {
        return Err(DAMAGED);
    }
    let chunk: [u8; 17] = take(reader)?;
    let crc: [u8; 4] = take(reader)?;
    let [b'I', b'H', b'D', b'R', w3, w2, w1, w0, h3, h2, h1, h0, bits, ..] = chunk else {
        return Err(DAMAGED);
    };
    if crc32(&chunk) != u32::from_be_bytes(crc) {
        return Err(DAMAGED);
    }
    if bits > 8 {
        return Err(ProbeError::Depth { bits });
    }
    Ok(PictureSize { width: u32::from_be_bytes([w3, w2, w1, w0]), height: u32::from_be_bytes([h3, h2, h1, h0]) })
}

fn take<const N: usize>(reader: &mut impl Read) -> Result<[u8; N], ProbeError> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => ProbeError::Truncated,
        _ => ProbeError::Io(error),
    })?;
    Ok(bytes)
}

/// CRC-32 of the PNG specification, annex D, bit by bit: 17 bytes do not earn a table.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

#[cfg(test)]
#[path = "probe_tests.rs"]
mod tests;
