//! What surrounds the generator's picture when it is resized: the border of its crop.

use super::geometry::{GeneratorGeometry, GeometryError, check_len};
use super::image::CHANNELS;

/// The pixels of a crop outside its inner square.
#[derive(Debug, Clone, Copy)]
pub enum Surround<'a> {
    /// The whole crop, `[side, side, 3]` bytes.
    Crop(&'a [u8]),
    /// Those pixels alone, row by row: [`GeneratorGeometry::ring_len`] bytes, as [`Surround::take_ring`] writes them.
    Ring(&'a [u8]),
}

impl<'a> Surround<'a> {
    /// Writes the ring of these pixels.
    ///
    /// # Errors
    /// [`GeometryError::Length`] when either has another length than `geometry` gives it.
    pub fn take_ring(self, geometry: &GeneratorGeometry, ring: &mut [u8]) -> Result<(), GeometryError> {
        self.check(geometry)?;
        check_len("ring", geometry.ring_len(), ring.len())?;
        let mut rest = ring;
        for y in 0..geometry.crop_side_px() {
            let (left, right) = self.row(geometry, y);
            for part in [left, right] {
                let (to, behind) = rest.split_at_mut(part.len());
                to.copy_from_slice(part);
                rest = behind;
            }
        }
        Ok(())
    }

    pub(super) fn check(self, geometry: &GeneratorGeometry) -> Result<(), GeometryError> {
        match self {
            Self::Crop(crop) => check_len("crop", geometry.crop_len(), crop.len()),
            Self::Ring(ring) => check_len("ring", geometry.ring_len(), ring.len()),
        }
    }

    /// The pixels of row `y` of the crop on the left of the inner square and on its right; above and below it all of them, and none.
    pub(super) fn row(self, geometry: &GeneratorGeometry, y: usize) -> (&'a [u8], &'a [u8]) {
        let (size, border) = (geometry.size_px(), geometry.border_px());
        let (row_len, margin) = (geometry.crop_side_px() * CHANNELS, border * CHANNELS);
        let beside = y.saturating_sub(border).min(size);
        let row = match self {
            Self::Crop(crop) => &crop[y * row_len..][..row_len],
            Self::Ring(ring) => &ring[(y - beside) * row_len + beside * 2 * margin..],
        };
        let (left, right) = match self {
            _ if !(border..border + size).contains(&y) => return (&row[..row_len], &[]),
            Self::Crop(_) => (&row[..margin], &row[row_len - margin..]),
            Self::Ring(_) => row[..2 * margin].split_at(margin),
        };
        (left, right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{ChannelOrder, Interpolation};

    #[test]
    fn a_ring_is_the_crop_around_the_picture() {
        for (size, border) in [(5, 2), (3, 1), (4, 0)] {
            let geometry = GeneratorGeometry::new(size, border, ChannelOrder::Bgr, Interpolation::Cubic).unwrap();
            let side = geometry.crop_side_px();
            let crop: Vec<u8> = (0..side * side * 3).map(|i| i as u8).collect();
            let inside = |i: usize| (border..border + size).contains(&i);
            let outside = |&i: &usize| !(inside(i / 3 % side) && inside(i / 3 / side));
            let expected: Vec<u8> = (0..crop.len()).filter(outside).map(|i| crop[i]).collect();
            let mut ring = vec![0; geometry.ring_len()];
            Surround::Crop(&crop).take_ring(&geometry, &mut ring).unwrap();
            assert_eq!(ring, expected, "{size} {border}");
            for y in 0..side {
                assert_eq!(Surround::Ring(&ring).row(&geometry, y), Surround::Crop(&crop).row(&geometry, y));
            }
        }
    }

    #[test]
    fn wrong_lengths_are_errors() {
        let geometry = GeneratorGeometry::new(5, 2, ChannelOrder::Bgr, Interpolation::Cubic).unwrap();
        let (crop, mut ring) = (vec![0; geometry.crop_len()], vec![0; geometry.ring_len()]);
        assert!(Surround::Crop(&crop[1..]).take_ring(&geometry, &mut ring).is_err());
        assert!(Surround::Crop(&crop).take_ring(&geometry, &mut ring[1..]).is_err());
        assert!(Surround::Ring(&ring[1..]).check(&geometry).is_err());
    }
}
