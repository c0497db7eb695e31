//! Borrowed 8-bit BGR pictures, whole or a part of a larger one.

use super::image::{CHANNELS, ImageError};
use super::rect::Rect;

/// Borrowed BGR picture whose rows start `stride` bytes apart.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    width_px: usize,
    height_px: usize,
    stride: usize,
    data: &'a [u8],
}

impl<'a> View<'a> {
    /// All of an owned picture, whose length is known to be right.
    pub(super) fn whole(width_px: usize, height_px: usize, data: &'a [u8]) -> Self {
        Self { width_px, height_px, stride: width_px * CHANNELS, data }
    }

    /// A picture over `data`, whose last row may end right after its last pixel.
    ///
    /// # Errors
    /// [`ImageError::Size`] or [`ImageError::Length`] when `data` cannot hold such rows.
    pub fn new(width_px: usize, height_px: usize, stride: usize, data: &'a [u8]) -> Result<Self, ImageError> {
        let expected = byte_len(width_px, height_px, stride)?;
        if data.len() < expected {
            return Err(ImageError::Length { width_px, height_px, expected, got: data.len() });
        }
        Ok(Self { width_px, height_px, stride, data: &data[..expected] })
    }

    /// A tightly packed picture over `data`.
    ///
    /// # Errors
    /// As [`View::new`].
    pub fn packed(width_px: usize, height_px: usize, data: &'a [u8]) -> Result<Self, ImageError> {
        Self::new(width_px, height_px, width_px.saturating_mul(CHANNELS), data)
    }

    /// Columns.
    pub fn width_px(&self) -> usize {
        self.width_px
    }

    /// Rows.
    pub fn height_px(&self) -> usize {
        self.height_px
    }

    /// Bytes from one row's start to the next's.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// From the first pixel to the last: `(height - 1) * stride + width * 3` bytes.
    pub fn data(&self) -> &'a [u8] {
        self.data
    }

    /// Row `y`, `width * 3` bytes.
    ///
    /// # Panics
    /// When `y` is not a row of the picture.
    #[inline]
    pub fn row(&self, y: usize) -> &'a [u8] {
        &self.data[y * self.stride..][..self.width_px * CHANNELS]
    }

    /// The part inside `rect`.
    ///
    /// # Errors
    /// [`ImageError::RectOutside`] when `rect` is empty or reaches outside.
    pub fn part(&self, rect: Rect) -> Result<View<'a>, ImageError> {
        let range = part_range(rect, self.width_px, self.height_px, self.stride)?;
        let (width_px, height_px) = (rect.width_px(), rect.height_px());
        Ok(View { width_px, height_px, stride: self.stride, data: &self.data[range] })
    }
}

/// Borrowed, writable BGR picture whose rows start `stride` bytes apart.
#[derive(Debug)]
pub struct ViewMut<'a> {
    width_px: usize,
    height_px: usize,
    stride: usize,
    data: &'a mut [u8],
}

impl<'a> ViewMut<'a> {
    /// All of an owned picture, whose length is known to be right.
    pub(super) fn whole(width_px: usize, height_px: usize, data: &'a mut [u8]) -> Self {
        Self { width_px, height_px, stride: width_px * CHANNELS, data }
    }

    /// A writable picture over `data`, whose last row may end right after its last pixel.
    ///
    /// # Errors
    /// As [`View::new`].
    pub fn new(width_px: usize, height_px: usize, stride: usize, data: &'a mut [u8]) -> Result<Self, ImageError> {
        let expected = byte_len(width_px, height_px, stride)?;
        if data.len() < expected {
            return Err(ImageError::Length { width_px, height_px, expected, got: data.len() });
        }
        Ok(Self { width_px, height_px, stride, data: &mut data[..expected] })
    }

    /// A tightly packed writable picture over `data`.
    ///
    /// # Errors
    /// As [`View::new`].
    pub fn packed(width_px: usize, height_px: usize, data: &'a mut [u8]) -> Result<Self, ImageError> {
        Self::new(width_px, height_px, width_px.saturating_mul(CHANNELS), data)
    }

    /// Columns.
    pub fn width_px(&self) -> usize {
        self.width_px
    }

    /// Rows.
    pub fn height_px(&self) -> usize {
        self.height_px
    }

    /// The same picture, read only.
    pub fn as_view(&self) -> View<'_> {
        View { width_px: self.width_px, height_px: self.height_px, stride: self.stride, data: self.data }
    }

    /// The same picture for a shorter time, to pass it on without giving it away.
    pub fn reborrow(&mut self) -> ViewMut<'_> {
        ViewMut { width_px: self.width_px, height_px: self.height_px, stride: self.stride, data: self.data }
    }

    /// Bytes from one row's start to the next's.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// From the first pixel to the last, as [`View::data`].
    pub fn data_mut(&mut self) -> &mut [u8] {
        self.data
    }

    /// Row `y`, `width * 3` bytes.
    ///
    /// # Panics
    /// When `y` is not a row of the picture.
    #[inline]
    pub fn row_mut(&mut self, y: usize) -> &mut [u8] {
        &mut self.data[y * self.stride..][..self.width_px * CHANNELS]
    }

    /// The part inside `rect`.
    ///
    /// # Errors
    /// [`ImageError::RectOutside`] when `rect` is empty or reaches outside.
    pub fn part(self, rect: Rect) -> Result<ViewMut<'a>, ImageError> {
        let range = part_range(rect, self.width_px, self.height_px, self.stride)?;
        let (width_px, height_px) = (rect.width_px(), rect.height_px());
        Ok(ViewMut { width_px, height_px, stride: self.stride, data: &mut self.data[range] })
    }

    /// Copies `from` over this picture.
    ///
    /// # Errors
    /// [`ImageError::Length`] when the sizes differ.
    pub fn copy_from(&mut self, from: View<'_>) -> Result<(), ImageError> {
        let (width_px, height_px) = (self.width_px, self.height_px);
        if (from.width_px, from.height_px) != (width_px, height_px) {
            let expected = width_px * height_px * CHANNELS;
            let got = from.width_px * from.height_px * CHANNELS;
            return Err(ImageError::Length { width_px, height_px, expected, got });
        }
        for y in 0..height_px {
            self.row_mut(y).copy_from_slice(from.row(y));
        }
        Ok(())
    }
}

/// Bytes from the first pixel to the last of a picture with such rows.
pub(super) fn byte_len(width_px: usize, height_px: usize, stride: usize) -> Result<usize, ImageError> {
    let len = || {
        let row = width_px.checked_mul(CHANNELS)?;
        if row == 0 || stride < row {
            return None;
        }
        height_px.checked_sub(1)?.checked_mul(stride)?.checked_add(row)
    };
    len().filter(|&n| isize::try_from(n).is_ok()).ok_or(ImageError::Size { width_px, height_px, stride })
}

/// Where the bytes of `rect` lie, first pixel to last.
fn part_range(
    rect: Rect,
    width_px: usize,
    height_px: usize,
    stride: usize,
) -> Result<std::ops::Range<usize>, ImageError> {
    if !rect.fits(width_px, height_px) {
        return Err(ImageError::RectOutside { rect, width_px, height_px });
    }
    let start = rect.y0 * stride + rect.x0 * CHANNELS;
    let end = (rect.y1 - 1) * stride + rect.x1 * CHANNELS;
    Ok(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Image;

    #[test]
    fn a_part_sees_exactly_its_pixels() {
        let data: Vec<u8> = (0..4 * 3 * 3).collect();
        let image = Image::from_bgr(4, 3, data).unwrap();
        let part = image.view().part(Rect::new(1, 1, 3, 3)).unwrap();
        assert_eq!(part.row(0), [15, 16, 17, 18, 19, 20]);
        assert_eq!(part.row(1), [27, 28, 29, 30, 31, 32]);
        assert_eq!(part.data().len(), 12 + 6);
    }

    #[test]
    fn rectangles_outside_are_refused() {
        let image = Image::black(4, 3).unwrap();
        for rect in [
            Rect::new(0, 0, 5, 1),
            Rect::new(0, 0, 1, 4),
            Rect::new(2, 0, 2, 1),
            Rect::new(3, 0, 2, 1),
            Rect::new(0, 0, usize::MAX, 1),
        ] {
            assert!(matches!(image.view().part(rect), Err(ImageError::RectOutside { .. })), "{rect}");
        }
    }

    #[test]
    fn copying_respects_the_stride() {
        let mut frame = Image::black(3, 2).unwrap();
        let patch = Image::from_bgr(1, 2, vec![1, 2, 3, 4, 5, 6]).unwrap();
        let mut hole = frame.view_mut().part(Rect::new(2, 0, 3, 2)).unwrap();
        hole.copy_from(patch.view()).unwrap();
        assert!(hole.copy_from(Image::black(2, 1).unwrap().view()).is_err());
        assert_eq!(frame.data(), [0, 0, 0, 0, 0, 0, 1, 2, 3, 0, 0, 0, 0, 0, 0, 4, 5, 6]);
    }
}
