//! JPEG and PNG files to [`Image`], recognised by their first bytes, never by the file's name.
//!
//! Pixels are those of `cv2.imread` and Pillow: libjpeg-turbo with the slow integer DCT and fancy upsampling; PNG of any
//! colour type and depth to BGR8, alpha dropped, 16-bit samples cut to their high byte. An EXIF orientation is **not**
//! honoured: boxes refer to the pixels as stored.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use super::image::{CHANNELS, Image, ImageError};
use super::jpeg::{Handle, JpegFault, Param};
use crate::bounded;

/// Widest and tallest picture that is decoded.
pub const MAX_SIDE_PX: usize = 16_384;

/// Longest file of a picture that is read: it holds one of 8192x8192 pixels that nothing compressed.
pub const MAX_FILE_BYTES: u64 = 256 << 20;

/// Progressive scans a JPEG may have: real ones have about ten; a crafted one can ask for hours of work.
const MAX_SCANS: i32 = 100;

const JPEG_MAGIC: &[u8] = &[0xFF, 0xD8, 0xFF];
const PNG_MAGIC: &[u8] = &[0x89, b'P', b'N', b'G', 0x0D, 0x0A, 0x1A, 0x0A];

/// Why a file or bytes gave no picture.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The file could not be read.
    #[error("{path} could not be read: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file was read but is no good picture.
    #[error("{path} is not a usable picture: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with its bytes.
        source: Box<DecodeError>,
    },
    /// The file is no longer the one that was read first.
    #[error("{path} has changed since the avatar was loaded; unload the avatar and load it again", path = path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// Neither JPEG nor PNG.
    #[error("the bytes are neither JPEG nor PNG; save the picture as one of these")]
    UnknownFormat,
    /// A side is zero or larger than [`MAX_SIDE_PX`].
    #[error("it declares {width_px}x{height_px} pixels; sides must be from 1 to {MAX_SIDE_PX}")]
    Size {
        /// Declared width.
        width_px: i64,
        /// Declared height.
        height_px: i64,
    },
    /// Broken, truncated or unsupported JPEG (CMYK and 12 bits are not supported).
    #[error("broken or unsupported JPEG ({0}); save it again as 8-bit RGB")]
    Jpeg(#[from] JpegFault),
    /// Broken or truncated PNG.
    #[error("broken PNG ({0}); save it again")]
    Png(#[from] png::DecodingError),
    /// The decoded pixels do not make a picture.
    #[error(transparent)]
    Image(#[from] ImageError),
}

/// Reads and decodes one JPEG or PNG file.
///
/// # Errors
/// [`DecodeError::Read`] or [`DecodeError::File`], both naming the file.
pub fn decode_file(path: &Path) -> Result<Image, DecodeError> {
    decode_bytes(&read_file(path)?).map_err(|source| DecodeError::File { path: path.into(), source: Box::new(source) })
}

/// The content of a picture's file.
///
/// # Errors
/// [`DecodeError::Read`], for a file of more than [`MAX_FILE_BYTES`] too.
pub fn read_file(path: &Path) -> Result<Vec<u8>, DecodeError> {
    bounded::read(path, MAX_FILE_BYTES).map_err(|source| DecodeError::Read { path: path.into(), source })
}

/// Decodes one JPEG or PNG.
///
/// # Errors
/// Any variant but those that name a file.
pub fn decode_bytes(bytes: &[u8]) -> Result<Image, DecodeError> {
    if bytes.starts_with(JPEG_MAGIC) {
        decode_jpeg(bytes)
    } else if bytes.starts_with(PNG_MAGIC) {
        decode_png(bytes)
    } else {
        Err(DecodeError::UnknownFormat)
    }
}

fn decode_jpeg(bytes: &[u8]) -> Result<Image, DecodeError> {
    let mut handle = Handle::decompressor()?;
    handle.set(Param::ScanLimit, MAX_SCANS)?;
    handle.set(Param::MaxPixels, (MAX_SIDE_PX * MAX_SIDE_PX) as i32)?;
    let (width, height) = handle.read_size(bytes)?;
    let mut image = black(width.into(), height.into())?;
    handle.decompress(bytes, image.view_mut())?;
    Ok(image)
}

/// A black picture of a declared size, once that is known to be sane.
fn black(width_px: i64, height_px: i64) -> Result<Image, DecodeError> {
    let side = |n: i64| usize::try_from(n).ok().filter(|n| (1..=MAX_SIDE_PX).contains(n));
    match (side(width_px), side(height_px)) {
        (Some(w), Some(h)) => Ok(Image::black(w, h)?),
        _ => Err(DecodeError::Size { width_px, height_px }),
    }
}

fn decode_png(bytes: &[u8]) -> Result<Image, DecodeError> {
    // The default limit of 64 MiB is below one picture of the largest size we accept.
    let limits = png::Limits { bytes: MAX_SIDE_PX * MAX_SIDE_PX * 4 };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    // Nobody reads them here, and a profile may unpack to a thousand times what it takes in the file.
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_ignore_text_chunk(true);
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
    let mut reader = decoder.read_info()?;
    let (width, height) = (reader.info().width, reader.info().height);
    let mut image = black(width.into(), height.into())?;
    let mut raw = vec![0; reader.output_buffer_size().unwrap_or(0)];
    let info = reader.next_frame(&mut raw)?;
    let samples = info.color_type.samples();
    let rows = raw.chunks_exact(info.line_size);
    for (y, row) in rows.take(image.height_px()).enumerate() {
        to_bgr(row, samples, image.view_mut().row_mut(y));
    }
    Ok(image)
}

/// One row of 8-bit gray, gray-alpha, RGB or RGBA to BGR.
fn to_bgr(row: &[u8], samples: usize, out: &mut [u8]) {
    let [red, green, blue] = if samples < CHANNELS { [0, 0, 0] } else { [0, 1, 2] };
    for (from, to) in row.chunks_exact(samples).zip(out.chunks_exact_mut(CHANNELS)) {
        to.copy_from_slice(&[from[blue], from[green], from[red]]);
    }
}

#[cfg(test)]
mod tests;
