//! The generator's picture input: a crop's inner square as it is, and again with the mask painted black.

use super::geometry::{GeneratorGeometry, GeometryError, check_len};
use super::image::CHANNELS;

/// Fills `[6, size, size]` f32, planar: channels 0..2 the crop's inner square, 3..5 the same with a black rectangle where
/// the mouth is. A value is exactly `byte as f32 / 255.0`.
#[derive(Debug, Clone)]
pub struct PictureInput {
    geometry: GeneratorGeometry,
    mask: [usize; 4],
}

impl PictureInput {
    /// `mask` is `[x, y, width, height]` inside the inner square; it may be empty.
    ///
    /// # Errors
    /// [`GeometryError::Mask`] when it reaches outside.
    pub fn new(geometry: GeneratorGeometry, mask: [usize; 4]) -> Result<Self, GeometryError> {
        let size_px = geometry.size_px();
        let [x, y, width, height] = mask;
        let inside = |start: usize, len: usize| start.checked_add(len).is_some_and(|end| end <= size_px);
        if inside(x, width) && inside(y, height) {
            Ok(Self { geometry, mask })
        } else {
            Err(GeometryError::Mask { mask, size_px })
        }
    }

    /// The sizes it was made for.
    pub fn geometry(&self) -> &GeneratorGeometry {
        &self.geometry
    }

    /// `[x, y, width, height]` inside the inner square.
    pub fn mask(&self) -> [usize; 4] {
        self.mask
    }

    /// Writes the input of one frame from its crop (`[side, side, 3]` bytes) without allocating.
    ///
    /// # Errors
    /// [`GeometryError::Length`] when a buffer has another length than the geometry's `crop_len` or `input_len`.
    pub fn fill(&self, crop: &[u8], input: &mut [f32]) -> Result<(), GeometryError> {
        check_len("crop", self.geometry.crop_len(), crop.len())?;
        check_len("generator's picture input", self.geometry.input_len(), input.len())?;
        let (open, masked) = input.split_at_mut(CHANNELS * self.geometry.plane_len());
        self.fill_open(crop, open);
        self.fill_masked(open, masked);
        Ok(())
    }

    fn fill_open(&self, crop: &[u8], planes: &mut [f32]) {
        let (size, border) = (self.geometry.size_px(), self.geometry.border_px());
        let row_len = self.geometry.crop_side_px() * CHANNELS;
        let plane_of = self.geometry.channels().planes();
        let rows = crop.chunks_exact(row_len).skip(border).take(size);
        for (y, row) in rows.enumerate() {
            let row = &row[border * CHANNELS..][..size * CHANNELS];
            for (byte, plane) in plane_of.into_iter().enumerate() {
                let out = &mut planes[(plane * size + y) * size..][..size];
                for (out, pixel) in out.iter_mut().zip(row.chunks_exact(CHANNELS)) {
                    *out = f32::from(pixel[byte]) / 255.0;
                }
            }
        }
    }

    /// The mask is most of the picture: what it covers is not copied first.
    fn fill_masked(&self, open: &[f32], masked: &mut [f32]) {
        let [x, y, width, height] = self.mask;
        let size = self.geometry.size_px();
        for (row, (open, masked)) in open.chunks_exact(size).zip(masked.chunks_exact_mut(size)).enumerate() {
            if (y..y + height).contains(&(row % size)) {
                masked[..x].copy_from_slice(&open[..x]);
                masked[x..x + width].fill(0.0);
                masked[x + width..].copy_from_slice(&open[x + width..]);
            } else {
                masked.copy_from_slice(open);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{ChannelOrder, Interpolation};

    fn geometry(channels: ChannelOrder) -> GeneratorGeometry {
        GeneratorGeometry::new(5, 2, channels, Interpolation::Cubic).unwrap()
    }

    #[test]
    fn every_value_is_the_bytes_or_the_masks() {
        let crop: Vec<u8> = (0..9 * 9 * 3).map(|i| (i * 7 % 256) as u8).collect();
        for (channels, byte_of) in [(ChannelOrder::Bgr, [0, 1, 2]), (ChannelOrder::Rgb, [2, 1, 0])] {
            let input = PictureInput::new(geometry(channels), [1, 2, 3, 2]).unwrap();
            let mut got = vec![f32::NAN; 6 * 25];
            input.fill(&crop, &mut got).unwrap();
            for (i, got) in got.into_iter().enumerate() {
                let (channel, y, x) = (i / 25, i / 5 % 5, i % 5);
                let byte = crop[((y + 2) * 9 + x + 2) * 3 + byte_of[channel % 3]];
                let masked = channel >= 3 && (1..4).contains(&x) && (2..4).contains(&y);
                let expected = if masked { 0.0 } else { f32::from(byte) / 255.0 };
                assert_eq!(got.to_bits(), expected.to_bits(), "{channels:?} {channel} {y} {x}");
            }
        }
    }

    #[test]
    fn masks_outside_and_wrong_lengths_are_refused() {
        let g = geometry(ChannelOrder::Bgr);
        for mask in [[3, 0, 3, 1], [0, 5, 1, 1], [usize::MAX, 0, 2, 1]] {
            assert_eq!(PictureInput::new(g, mask).unwrap_err(), GeometryError::Mask { mask, size_px: 5 });
        }
        let input = PictureInput::new(g, [5, 5, 0, 0]).unwrap();
        assert!(input.fill(&[0; 9 * 9 * 3 - 1], &mut [0.0; 150]).is_err());
        assert!(input.fill(&[0; 9 * 9 * 3], &mut [0.0; 151]).is_err());
    }
}
