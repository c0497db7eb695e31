//! Owned 8-bit BGR pictures.

use super::rect::Rect;
use super::view::{View, ViewMut, byte_len};

/// Bytes of one pixel: blue, green, red.
pub const CHANNELS: usize = 3;

/// Why a picture's parts do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// The bytes are too few (or, for an owned picture, not exactly as many) for the size.
    #[error("a {width_px}x{height_px} BGR picture needs {expected} bytes, got {got}")]
    Length {
        /// Width asked for.
        width_px: usize,
        /// Height asked for.
        height_px: usize,
        /// Bytes the size needs.
        expected: usize,
        /// Bytes given.
        got: usize,
    },
    /// A side is zero or the byte count overflows.
    #[error("a picture of {width_px}x{height_px} pixels with rows {stride} bytes apart cannot exist")]
    Size {
        /// Width asked for.
        width_px: usize,
        /// Height asked for.
        height_px: usize,
        /// Bytes from one row to the next.
        stride: usize,
    },
    /// A rectangle is empty or reaches outside the picture.
    #[error("{rect} is empty or reaches outside the {width_px}x{height_px} picture")]
    RectOutside {
        /// The rectangle.
        rect: Rect,
        /// Width of the picture.
        width_px: usize,
        /// Height of the picture.
        height_px: usize,
    },
}

/// Owned BGR picture, rows tightly packed, never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    width_px: usize,
    height_px: usize,
    data: Vec<u8>,
}

impl Image {
    /// A black picture.
    ///
    /// # Errors
    /// [`ImageError::Size`] when a side is zero or the byte count overflows.
    pub fn black(width_px: usize, height_px: usize) -> Result<Self, ImageError> {
        let stride = width_px.saturating_mul(CHANNELS);
        let len = byte_len(width_px, height_px, stride)?;
        Ok(Self { width_px, height_px, data: vec![0; len] })
    }

    /// The picture whose interleaved bytes are `data`.
    ///
    /// # Errors
    /// [`ImageError::Size`] or [`ImageError::Length`] when `data` is not exactly `width * height * 3` bytes.
    pub fn from_bgr(width_px: usize, height_px: usize, data: Vec<u8>) -> Result<Self, ImageError> {
        let expected = byte_len(width_px, height_px, width_px.saturating_mul(CHANNELS))?;
        if data.len() != expected {
            return Err(ImageError::Length { width_px, height_px, expected, got: data.len() });
        }
        Ok(Self { width_px, height_px, data })
    }

    /// Columns.
    pub fn width_px(&self) -> usize {
        self.width_px
    }

    /// Rows.
    pub fn height_px(&self) -> usize {
        self.height_px
    }

    /// All bytes, `[height, width, 3]`.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The whole picture, borrowed.
    pub fn view(&self) -> View<'_> {
        let (width_px, height_px) = (self.width_px, self.height_px);
        View::whole(width_px, height_px, &self.data)
    }

    /// The whole picture, borrowed for writing.
    pub fn view_mut(&mut self) -> ViewMut<'_> {
        let (width_px, height_px) = (self.width_px, self.height_px);
        ViewMut::whole(width_px, height_px, &mut self.data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_sizes_are_refused() {
        assert!(Image::black(0, 1).is_err());
        assert!(Image::black(1, 0).is_err());
        assert!(Image::black(usize::MAX, 2).is_err());
        assert!(View::new(2, 2, 5, &[0; 100]).is_err());
        assert!(View::new(2, 2, 7, &[0; 12]).is_err());
        assert!(View::new(2, 2, 7, &[0; 13]).is_ok());
        assert!(Image::from_bgr(1, 1, vec![0; 4]).is_err());
    }
}
