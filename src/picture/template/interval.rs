//! The restart interval of an avatar: few macroblocks in the segments under the box, few bytes for markers.

use super::layout::{MCU_PX, StripLayout, row_mcus};
use crate::picture::rect::Rect;

/// Shortest interval that is chosen where a row allows: a marker with its padding and the repeated DC costs about 3.6
/// bytes and an MCU of a photograph about 36 (1280x720, quality 75), so 7 MCUs keep the overhead at 1.5 %.
const MIN_INTERVAL_MCUS: usize = 7;

/// Strips larger than this share of the frame, in percent, are not worth splicing.
const MAX_STRIP_PERCENT: usize = 60;

/// The best restart interval, in MCUs, for a frame size and all boxes of an avatar: the divisor of a row's MCUs whose segments
/// under the boxes hold the fewest MCUs, and of equals the longest. Those segments are what a frame's assembly handles and what
/// viewers of patches are sent; what is encoded is the strip, whatever the interval. A row without useful divisors is one segment.
///
/// `None` where splicing does not pay or cannot be done: no boxes, one outside the frame, a row of more than 65535 MCUs,
/// or boxes whose strips are most of the frame. Encode whole frames then.
pub fn choose_interval(frame_px: (usize, usize), boxes: &[Rect]) -> Option<u16> {
    intervals(frame_px, boxes).first().copied()
}

/// Every interval that pays, the one with the fewest MCUs in touched segments first; of equals the longest first.
pub(super) fn intervals(frame_px: (usize, usize), boxes: &[Rect]) -> Vec<u16> {
    let row = row_mcus(frame_px.0);
    let shortest = MIN_INTERVAL_MCUS.min(row);
    let whole = boxes.len() * row * frame_px.1.div_ceil(MCU_PX) * MCU_PX * MCU_PX;
    let mut paying: Vec<(usize, u16)> = (shortest..=row)
        .rev()
        .filter(|interval| row.is_multiple_of(*interval))
        .filter_map(|interval| {
            let interval = u16::try_from(interval).ok()?;
            let (strip_px, touched) = sums(frame_px, boxes, interval)?;
            (strip_px > 0 && strip_px * 100 <= whole * MAX_STRIP_PERCENT).then_some((touched, interval))
        })
        .collect();
    // Stable: among equals the longest stays first.
    paying.sort_by_key(|(touched, _)| *touched);
    paying.into_iter().map(|(_, interval)| interval).collect()
}

/// Pixels of all strips together, and MCUs of all segments that they touch.
fn sums(frame_px: (usize, usize), boxes: &[Rect], interval_mcus: u16) -> Option<(usize, usize)> {
    boxes.iter().try_fold((0, 0), |(pixels, mcus), area| {
        let layout = StripLayout::new(frame_px, *area, interval_mcus).ok()?;
        let (width, height) = layout.strip_px();
        Some((pixels + width * height, mcus + layout.touched_mcus()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_divisor_that_fits_the_boxes_wins() {
        // 80 MCUs: this box lies in one segment of 16, and in two of 8 just as large; 16 has fewer markers.
        assert_eq!(choose_interval((1280, 720), &[Rect::new(520, 300, 760, 540)]), Some(16));
        // Moved by 128 pixels, segments of 16 would take 512 columns, those of 8 still 256.
        assert_eq!(choose_interval((1280, 720), &[Rect::new(392, 300, 632, 540)]), Some(8));
        // 120 MCUs.
        assert_eq!(choose_interval((1920, 1080), &[Rect::new(960, 300, 1200, 540)]), Some(15));
    }

    #[test]
    fn rows_without_divisors_are_one_segment() {
        // 53 MCUs, a prime.
        assert_eq!(choose_interval((848, 480), &[Rect::new(300, 20, 500, 460)]), Some(53));
        assert_eq!(choose_interval((64, 480), &[Rect::new(3, 100, 50, 170)]), Some(4));
    }

    #[test]
    fn what_does_not_pay_is_not_spliced() {
        assert_eq!(choose_interval((640, 480), &[]), None);
        assert_eq!(choose_interval((640, 480), &[Rect::new(0, 0, 641, 1)]), None);
        assert_eq!(choose_interval((848, 480), &[Rect::new(100, 20, 800, 460)]), None);
        assert_eq!(choose_interval((0, 0), &[Rect::new(0, 0, 0, 0)]), None);
    }
}
