//! Which restart segments of a frame a box touches, and the strip of macroblocks that is encoded for them.

use std::ops::Range;

use crate::picture::image::CHANNELS;
use crate::picture::rect::Rect;

/// Pixels a side of one MCU of a 4:2:0 JPEG.
pub(super) const MCU_PX: usize = 16;

/// A box, frame or restart interval that cannot be spliced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// The box is empty or reaches outside the frame.
    #[error("{area} is empty or reaches outside the {width_px}x{height_px} frame")]
    BoxOutside {
        /// The box.
        area: Rect,
        /// Width of the frame.
        width_px: usize,
        /// Height of the frame.
        height_px: usize,
    },
    /// The interval does not divide a row of MCUs, so segments would wrap from row to row.
    #[error("a restart interval of {interval_mcus} MCUs does not divide the {row_mcus} MCUs of a row")]
    Interval {
        /// MCUs from marker to marker.
        interval_mcus: u16,
        /// MCUs of a row.
        row_mcus: usize,
    },
}

/// Where the box of one frame lies among the frame's restart segments.
///
/// Segments are runs of `interval` MCUs; a row holds a whole number of them. The strip is the smallest rectangle of whole MCUs
/// around the box, cut at the frame's right and bottom edge. Encoded on its own its MCUs have the coefficients they have in
/// the whole frame; what else the segments hold comes from the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StripLayout {
    frame_px: (usize, usize),
    area: Rect,
    strip: Rect,
    interval: usize,
    segments_per_row: usize,
    frame_rows: usize,
    first_column: usize,
    columns: usize,
    first_row: usize,
    rows: usize,
}

/// What a segment of the frame has of the strip, in MCUs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// MCUs of the background before the strip's.
    pub before: usize,
    /// Those of a row of the strip; at least one.
    pub strip: Range<usize>,
    /// MCUs of the background after them.
    pub after: usize,
}

impl StripLayout {
    /// The layout of `area` in a frame of `frame_px` (width, height) encoded with a marker every `interval_mcus`.
    ///
    /// # Errors
    /// [`LayoutError`] when the box reaches outside or the interval does not divide a row.
    pub fn new(frame_px: (usize, usize), area: Rect, interval_mcus: u16) -> Result<Self, LayoutError> {
        let (width_px, height_px) = frame_px;
        if !area.fits(width_px, height_px) {
            return Err(LayoutError::BoxOutside { area, width_px, height_px });
        }
        let row_mcus = row_mcus(width_px);
        let interval = usize::from(interval_mcus);
        if interval == 0 || !row_mcus.is_multiple_of(interval) {
            return Err(LayoutError::Interval { interval_mcus, row_mcus });
        }
        let segment_px = interval * MCU_PX;
        let (first_column, end_column) = (area.x0 / segment_px, area.x1.div_ceil(segment_px));
        let (first_row, end_row) = (area.y0 / MCU_PX, area.y1.div_ceil(MCU_PX));
        let strip = Rect::new(
            area.x0 / MCU_PX * MCU_PX,
            first_row * MCU_PX,
            area.x1.next_multiple_of(MCU_PX).min(width_px),
            (end_row * MCU_PX).min(height_px),
        );
        Ok(Self {
            frame_px,
            area,
            strip,
            interval,
            segments_per_row: row_mcus / interval,
            frame_rows: height_px.div_ceil(MCU_PX),
            first_column,
            columns: end_column - first_column,
            first_row,
            rows: end_row - first_row,
        })
    }

    /// Width and height of the frame.
    pub fn frame_px(&self) -> (usize, usize) {
        self.frame_px
    }

    /// The box, in the frame.
    pub fn area(&self) -> Rect {
        self.area
    }

    /// The strip, in the frame.
    pub fn strip(&self) -> Rect {
        self.strip
    }

    /// Width and height of the strip.
    pub fn strip_px(&self) -> (usize, usize) {
        (self.strip.width_px(), self.strip.height_px())
    }

    /// The box, in the strip.
    pub fn hole(&self) -> Rect {
        let (dx, dy) = (self.strip.x0, self.strip.y0);
        Rect::new(self.area.x0 - dx, self.area.y0 - dy, self.area.x1 - dx, self.area.y1 - dy)
    }

    /// Restart segments of the frame that the strip touches.
    pub fn segments(&self) -> usize {
        self.columns * self.rows
    }

    /// Of them, those in one row of MCUs.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// MCUs of the segments that the strip touches.
    pub(super) fn touched_mcus(&self) -> usize {
        self.segments() * self.interval
    }

    /// Whether a row of the strip is a segment of the frame, as it is where the box happens to lie so.
    pub(super) fn rows_are_segments(&self) -> bool {
        self.columns == 1 && self.parts().all(|part| part.before == 0 && part.after == 0)
    }

    /// What the segments of a row have of the strip: the same in every row.
    pub(super) fn parts(&self) -> impl ExactSizeIterator<Item = Part> {
        let (first, end) = (self.strip.x0 / MCU_PX, self.strip.x1.div_ceil(MCU_PX));
        let interval = self.interval;
        (self.first_column..self.first_column + self.columns).map(move |column| {
            let segment = column * interval..(column + 1) * interval;
            let strip = segment.start.max(first)..segment.end.min(end);
            Part {
                before: strip.start - segment.start,
                strip: strip.start - first..strip.end - first,
                after: segment.end - strip.end,
            }
        })
    }

    /// Rows of MCUs of the strip.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Segments of one row of MCUs of the frame.
    pub fn segments_per_row(&self) -> usize {
        self.segments_per_row
    }

    /// Restart segments of the frame.
    pub fn frame_segments(&self) -> usize {
        self.segments_per_row * self.frame_rows
    }

    /// The frame's number of the segment `k` of those that the strip touches.
    pub fn frame_segment(&self, k: usize) -> usize {
        let (row, column) = (k / self.columns, k % self.columns);
        (self.first_row + row) * self.segments_per_row + self.first_column + column
    }

    /// Bytes of the strip's pixels, BGR.
    pub fn strip_len(&self) -> usize {
        self.strip.width_px() * self.strip.height_px() * CHANNELS
    }

    /// Bytes of the strip's pixels around the box, BGR.
    pub fn margin_len(&self) -> usize {
        self.strip_len() - self.area.width_px() * self.area.height_px() * CHANNELS
    }

    /// Whether planes made outside libjpeg can give the frame's own bits.
    ///
    /// They cannot where the strip ends in a last column of MCUs of which 1 to 8 pixels exist: libjpeg writes no luma for
    /// the column's right half, but chroma made from repeated pixels, and a JPEG made from planes has no way to say so.
    /// Encode such a strip from BGR.
    pub fn planes_are_exact(&self) -> bool {
        !(1..=MCU_PX / 2).contains(&(self.strip.x1 % MCU_PX))
    }
}

/// MCUs of one row of a frame.
pub(super) fn row_mcus(width_px: usize) -> usize {
    width_px.div_ceil(MCU_PX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unaligned_box_takes_whole_macroblocks() {
        let layout = StripLayout::new((1280, 720), Rect::new(520, 300, 760, 540), 16).unwrap();
        assert_eq!(layout.strip(), Rect::new(512, 288, 768, 544));
        assert_eq!(layout.hole(), Rect::new(8, 12, 248, 252));
        assert_eq!((layout.segments(), layout.columns(), layout.frame_segments()), (16, 1, 225));
        assert_eq!(layout.frame_segment(0), 18 * 5 + 2);
        assert_eq!(layout.frame_segment(15), 33 * 5 + 2);
        assert_eq!(layout.margin_len(), (256 * 256 - 240 * 240) * 3);
        assert!(layout.parts().eq([Part { before: 0, strip: 0..16, after: 0 }]));
        assert!(layout.rows_are_segments());
    }

    #[test]
    fn segments_hold_parts_of_the_strip() {
        // MCUs 32 to 47 of a row.
        let parts = |interval| {
            let layout = StripLayout::new((1280, 720), Rect::new(520, 300, 760, 540), interval).unwrap();
            assert_eq!(layout.strip(), Rect::new(512, 288, 768, 544));
            assert!(!layout.rows_are_segments());
            layout.parts().collect::<Vec<_>>()
        };
        assert_eq!(parts(80), [Part { before: 32, strip: 0..16, after: 32 }]);
        assert_eq!(
            parts(20),
            [Part { before: 12, strip: 0..8, after: 0 }, Part { before: 0, strip: 8..16, after: 12 }]
        );
        assert_eq!(parts(8), [Part { before: 0, strip: 0..8, after: 0 }, Part { before: 0, strip: 8..16, after: 0 }]);
        assert_eq!(parts(1).len(), 16);
    }

    #[test]
    fn strips_end_with_the_frame() {
        let layout = StripLayout::new((1279, 713), Rect::new(1100, 600, 1279, 713), 8).unwrap();
        assert_eq!(layout.strip(), Rect::new(1088, 592, 1279, 713));
        assert_eq!(layout.segments(), 2 * 8);
        assert_eq!(layout.touched_mcus(), 2 * 8 * 8);
        assert_eq!(layout.frame_segment(15), layout.frame_segments() - 1);
        let last = layout.parts().last().unwrap();
        assert_eq!(last, Part { before: 0, strip: 4..12, after: 0 });
    }

    #[test]
    fn only_a_half_filled_last_column_defeats_planes() {
        let exact = |width| StripLayout::new((width, 32), Rect::new(0, 0, width, 32), 2).unwrap().planes_are_exact();
        for width in 17..=32 {
            assert_eq!(exact(width), width > 24, "{width}");
        }
        // Inside the frame a strip ends between MCUs, whatever the frame's width.
        assert!(StripLayout::new((18, 32), Rect::new(0, 0, 9, 9), 1).unwrap().planes_are_exact());
    }

    #[test]
    fn impossible_layouts_are_refused() {
        let new = |area, interval| StripLayout::new((64, 48), area, interval);
        assert!(matches!(new(Rect::new(0, 0, 65, 9), 1), Err(LayoutError::BoxOutside { .. })));
        assert!(matches!(new(Rect::new(5, 0, 5, 9), 1), Err(LayoutError::BoxOutside { .. })));
        for interval_mcus in [0, 3, 8] {
            let error = new(Rect::new(0, 0, 9, 9), interval_mcus).unwrap_err();
            assert_eq!(error, LayoutError::Interval { interval_mcus, row_mcus: 4 });
        }
    }
}
