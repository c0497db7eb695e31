//! Owned and borrowed 8-bit BGR pictures, and rectangles of pixels.

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

/// Half-open rectangle of pixels: columns `x0..x1`, rows `y0..y1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rect {
    /// First column.
    pub x0: usize,
    /// First row.
    pub y0: usize,
    /// One past the last column.
    pub x1: usize,
    /// One past the last row.
    pub y1: usize,
}

impl Rect {
    /// The rectangle with these corners, which need not be in order: [`Rect::fits`] is the judge.
    pub const fn new(x0: usize, y0: usize, x1: usize, y1: usize) -> Self {
        Self { x0, y0, x1, y1 }
    }

    /// Columns, 0 where the corners are out of order.
    pub const fn width_px(&self) -> usize {
        self.x1.saturating_sub(self.x0)
    }

    /// Rows, 0 where the corners are out of order.
    pub const fn height_px(&self) -> usize {
        self.y1.saturating_sub(self.y0)
    }

    /// Whether it holds at least one pixel and lies inside a picture of this size.
    pub const fn fits(&self, width_px: usize, height_px: usize) -> bool {
        self.x0 < self.x1 && self.y0 < self.y1 && self.x1 <= width_px && self.y1 <= height_px
    }
}

impl std::fmt::Display for Rect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "box [{}, {}, {}, {}]", self.x0, self.y0, self.x1, self.y1)
    }
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
        View { width_px, height_px, stride: width_px * CHANNELS, data: &self.data }
    }

    /// The whole picture, borrowed for writing.
    pub fn view_mut(&mut self) -> ViewMut<'_> {
        let (width_px, height_px) = (self.width_px, self.height_px);
        ViewMut { width_px, height_px, stride: width_px * CHANNELS, data: &mut self.data }
    }
}

/// Borrowed BGR picture whose rows start `stride` bytes apart.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    width_px: usize,
    height_px: usize,
    stride: usize,
    data: &'a [u8],
}

impl<'a> View<'a> {
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
fn byte_len(width_px: usize, height_px: usize, stride: usize) -> Result<usize, ImageError> {
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
    fn impossible_sizes_are_refused() {
        assert!(Image::black(0, 1).is_err());
        assert!(Image::black(1, 0).is_err());
        assert!(Image::black(usize::MAX, 2).is_err());
        assert!(View::new(2, 2, 5, &[0; 100]).is_err());
        assert!(View::new(2, 2, 7, &[0; 12]).is_err());
        assert!(View::new(2, 2, 7, &[0; 13]).is_ok());
        assert!(Image::from_bgr(1, 1, vec![0; 4]).is_err());
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
