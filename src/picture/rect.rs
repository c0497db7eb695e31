//! Rectangles of pixels.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_full_rectangles_inside_fit() {
        assert!(Rect::new(0, 0, 4, 3).fits(4, 3));
        assert!(Rect::new(3, 2, 4, 3).fits(4, 3));
        for rect in [Rect::new(0, 0, 5, 3), Rect::new(0, 0, 4, 4), Rect::new(2, 0, 2, 3), Rect::new(3, 0, 2, 3)] {
            assert!(!rect.fits(4, 3), "{rect}");
        }
        assert_eq!((Rect::new(5, 5, 2, 7).width_px(), Rect::new(5, 5, 2, 7).height_px()), (0, 2));
    }
}
