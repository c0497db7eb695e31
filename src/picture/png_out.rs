//! Lossless output: a picture to PNG bytes.

use std::io::Write;

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
}
