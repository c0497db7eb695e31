//! A frame's box as the generator's crop: cut once per avatar frame, at load.

use super::geometry::GeneratorGeometry;
use super::image::{Image, ImageError};
use super::rect::Rect;
use super::resize::{ResizeError, ResizeScratch, Resizer};
use super::view::View;

/// Why a crop could not be cut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CropError {
    /// The box is empty or reaches outside the frame.
    #[error(transparent)]
    Box(#[from] ImageError),
    /// The box cannot be resized.
    #[error(transparent)]
    Resize(#[from] ResizeError),
}

/// The box of `frame` resized to the crop's size, `[side, side, 3]` bytes (328x328 for the recipe).
///
/// # Errors
/// [`CropError::Box`] when the box is empty or reaches outside the frame.
pub fn cut_crop(frame: View<'_>, area: Rect, geometry: &GeneratorGeometry) -> Result<Image, CropError> {
    let side = geometry.crop_side_px();
    let mut crop = Image::black(side, side)?;
    let part = frame.part(area)?;
    let resizer = Resizer::new((area.width_px(), area.height_px()), (side, side), geometry.interpolation())?;
    let mut scratch = ResizeScratch::new();
    scratch.fit(&resizer);
    resizer.run(part, crop.view_mut(), &mut scratch)?;
    Ok(crop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{ChannelOrder, Interpolation};

    #[test]
    fn a_box_of_the_crops_size_is_copied() {
        let data: Vec<u8> = (0..20 * 16 * 3).map(|i| (i % 251) as u8).collect();
        let frame = Image::from_bgr(20, 16, data).unwrap();
        let geometry = GeneratorGeometry::new(8, 2, ChannelOrder::Bgr, Interpolation::Cubic).unwrap();
        let area = Rect::new(5, 3, 17, 15);
        let crop = cut_crop(frame.view(), area, &geometry).unwrap();
        let part = frame.view().part(area).unwrap();
        for y in 0..12 {
            assert_eq!(crop.view().row(y), part.row(y));
        }
    }

    #[test]
    fn a_box_outside_the_frame_is_named() {
        let frame = Image::black(10, 10).unwrap();
        let geometry = GeneratorGeometry::new(8, 2, ChannelOrder::Bgr, Interpolation::Cubic).unwrap();
        let error = cut_crop(frame.view(), Rect::new(4, 4, 11, 9), &geometry).unwrap_err();
        assert!(error.to_string().contains("[4, 4, 11, 9]"), "{error}");
    }
}
