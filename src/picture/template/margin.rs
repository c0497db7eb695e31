//! The background's pixels in a strip, around its box: what a template keeps of its frame besides the JPEG.

use super::layout::StripLayout;
use crate::picture::image::{CHANNELS, ImageError};
use crate::picture::view::{View, ViewMut};

/// Appends the strip's pixels around the box, row by row, [`StripLayout::margin_len`] bytes.
///
/// # Errors
/// [`ImageError::RectOutside`] when `frame` is smaller than the layout's.
pub(super) fn collect_margin(frame: View<'_>, layout: &StripLayout, out: &mut Vec<u8>) -> Result<(), ImageError> {
    let strip = frame.part(layout.strip())?;
    let hole = layout.hole();
    for y in 0..strip.height_px() {
        let row = strip.row(y);
        if (hole.y0..hole.y1).contains(&y) {
            out.extend_from_slice(&row[..hole.x0 * CHANNELS]);
            out.extend_from_slice(&row[hole.x1 * CHANNELS..]);
        } else {
            out.extend_from_slice(row);
        }
    }
    Ok(())
}

/// Lays a collected margin around the box of `strip`, whose pixels stay as they are.
///
/// # Errors
/// [`ImageError::Length`] when `strip` or `margin` has not the layout's size.
pub(super) fn lay_margin(margin: &[u8], layout: &StripLayout, strip: &mut ViewMut<'_>) -> Result<(), ImageError> {
    let (width_px, height_px) = layout.strip_px();
    if (strip.width_px(), strip.height_px()) != (width_px, height_px) {
        let got = strip.width_px() * strip.height_px() * CHANNELS;
        return Err(ImageError::Length { width_px, height_px, expected: layout.strip_len(), got });
    }
    if margin.len() != layout.margin_len() {
        return Err(ImageError::Length { width_px, height_px, expected: layout.margin_len(), got: margin.len() });
    }
    let hole = layout.hole();
    let mut rest = margin;
    for y in 0..height_px {
        let row = strip.row_mut(y);
        let (left, right) =
            if (hole.y0..hole.y1).contains(&y) { (hole.x0 * CHANNELS, hole.x1 * CHANNELS) } else { (0, 0) };
        let right_len = row.len() - right;
        row[..left].copy_from_slice(&rest[..left]);
        row[right..].copy_from_slice(&rest[left..left + right_len]);
        rest = &rest[left + right_len..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Image, Rect};

    #[test]
    fn a_margin_goes_back_where_it_came_from() {
        let frame = Image::from_bgr(50, 40, (0..50 * 40 * 3).map(|i| (i % 250) as u8).collect()).unwrap();
        for area in
            [Rect::new(20, 17, 30, 25), Rect::new(0, 0, 50, 40), Rect::new(40, 30, 50, 40), Rect::new(3, 0, 4, 1)]
        {
            let layout = StripLayout::new((50, 40), area, 1).unwrap();
            let mut margin = Vec::new();
            collect_margin(frame.view(), &layout, &mut margin).unwrap();
            assert_eq!(margin.len(), layout.margin_len());
            let (w, h) = layout.strip_px();
            let mut strip = Image::from_bgr(w, h, vec![255; w * h * 3]).unwrap();
            lay_margin(&margin, &layout, &mut strip.view_mut()).unwrap();
            let (source, hole) = (frame.view().part(layout.strip()).unwrap(), layout.hole());
            for y in 0..h {
                for x in 0..w {
                    let inside = (hole.x0..hole.x1).contains(&x) && (hole.y0..hole.y1).contains(&y);
                    let want = if inside { &[255; 3] } else { &source.row(y)[x * 3..x * 3 + 3] };
                    assert_eq!(&strip.view().row(y)[x * 3..x * 3 + 3], want, "{area} {x} {y}");
                }
            }
        }
    }

    #[test]
    fn wrong_sizes_are_errors() {
        let layout = StripLayout::new((64, 64), Rect::new(10, 10, 20, 20), 1).unwrap();
        let mut strip = Image::black(32, 32).unwrap();
        assert!(lay_margin(&vec![0; layout.margin_len() - 1], &layout, &mut strip.view_mut()).is_err());
        assert!(
            lay_margin(&vec![0; layout.margin_len()], &layout, &mut Image::black(16, 32).unwrap().view_mut()).is_err()
        );
        assert!(collect_margin(Image::black(20, 20).unwrap().view(), &layout, &mut Vec::new()).is_err());
    }
}
