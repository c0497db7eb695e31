//! Lossless output: a picture to PNG bytes or a file.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::image::CHANNELS;
use super::view::View;

/// Why a PNG was not written.
#[derive(Debug, thiserror::Error)]
pub enum PngError {
    /// A side does not fit PNG's 31 bits.
    #[error("a PNG of {width_px}x{height_px} pixels is impossible")]
    Size {
        /// Width.
        width_px: usize,
        /// Height.
        height_px: usize,
    },
    /// The encoder failed.
    #[error("the PNG could not be encoded: {0}")]
    Encode(#[from] png::EncodingError),
    /// The file could not be written.
    #[error("{path} could not be written: {source}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// Appends the picture to `out` as an 8-bit RGB PNG, compressed for speed.
///
/// # Errors
/// [`PngError::Size`] or [`PngError::Encode`].
pub fn encode_png(picture: View<'_>, out: &mut Vec<u8>) -> Result<(), PngError> {
    let (width_px, height_px) = (picture.width_px(), picture.height_px());
    let (Ok(width), Ok(height)) = (u32::try_from(width_px), u32::try_from(height_px)) else {
        return Err(PngError::Size { width_px, height_px });
    };
    let mut encoder = png::Encoder::new(out, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header()?;
    let mut stream = writer.stream_writer()?;
    let mut rgb = vec![0; width_px * CHANNELS];
    for y in 0..height_px {
        for (from, to) in picture.row(y).chunks_exact(CHANNELS).zip(rgb.chunks_exact_mut(CHANNELS)) {
            to.copy_from_slice(&[from[2], from[1], from[0]]);
        }
        stream.write_all(&rgb).map_err(png::EncodingError::IoError)?;
    }
    stream.finish()?;
    Ok(writer.finish()?)
}

/// Writes the picture to a PNG file, replacing one that is there.
///
/// # Errors
/// As [`encode_png`], and [`PngError::Write`] naming the file.
pub fn write_png(picture: View<'_>, path: &Path) -> Result<(), PngError> {
    let mut bytes = Vec::new();
    encode_png(picture, &mut bytes)?;
    std::fs::write(path, bytes).map_err(|source| PngError::Write { path: path.into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Image, Rect, decode_bytes};

    #[test]
    fn a_part_of_a_picture_comes_back_unchanged() {
        let data: Vec<u8> = (0..9 * 5 * 3).map(|i| (i * 37 % 251) as u8).collect();
        let image = Image::from_bgr(9, 5, data).unwrap();
        let part = image.view().part(Rect::new(2, 1, 8, 5)).unwrap();
        let mut bytes = Vec::new();
        encode_png(part, &mut bytes).unwrap();
        let back = decode_bytes(&bytes).unwrap();
        assert_eq!((back.width_px(), back.height_px()), (6, 4));
        for y in 0..4 {
            assert_eq!(back.view().row(y), part.row(y));
        }
    }

    #[test]
    fn an_unwritable_file_is_named() {
        let image = Image::black(1, 1).unwrap();
        let error = write_png(image.view(), Path::new("/nonexistent/x.png")).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/x.png"), "{error}");
    }
}
