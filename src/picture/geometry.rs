//! The sizes an avatar's generator works at, checked once.

use super::image::CHANNELS;
use super::resize::Interpolation;

/// Largest generator picture, in pixels a side.
const MAX_SIZE_PX: usize = 2048;

/// Order of the colour planes a generator reads and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ChannelOrder {
    /// Plane 0 is blue: the recipe's.
    #[default]
    Bgr,
    /// Plane 0 is red.
    Rgb,
}

impl ChannelOrder {
    /// The generator's plane that holds each byte of a BGR pixel.
    pub const fn planes(self) -> [usize; CHANNELS] {
        match self {
            Self::Bgr => [0, 1, 2],
            Self::Rgb => [2, 1, 0],
        }
    }
}

/// A mask or a size that a generator cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GeometryError {
    /// `size` or `border` out of range.
    #[error(
        "generator size {size_px} with border {border_px} is impossible: size must be 1 to {MAX_SIZE_PX}, border less"
    )]
    Size {
        /// Pixels a side.
        size_px: usize,
        /// Pixels around it.
        border_px: usize,
    },
    /// The mask reaches outside the picture.
    #[error("mask {mask:?} reaches outside the generator's {size_px}x{size_px} picture")]
    Mask {
        /// `[x, y, width, height]`.
        mask: [usize; 4],
        /// Pixels a side.
        size_px: usize,
    },
    /// A buffer has not the length the geometry gives it.
    #[error("the {what} must have {expected} values, it has {got}")]
    Length {
        /// Which buffer.
        what: &'static str,
        /// Values it must have.
        expected: usize,
        /// Values it has.
        got: usize,
    },
}

/// The generator's picture and how it is cut from a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GeneratorGeometry {
    size_px: usize,
    border_px: usize,
    channels: ChannelOrder,
    interpolation: Interpolation,
}

impl GeneratorGeometry {
    /// A generator of `size_px` squared inside a crop with `border_px` more on each side.
    ///
    /// # Errors
    /// [`GeometryError::Size`] when `size_px` is not 1..=2048 or `border_px` is not below it.
    pub fn new(
        size_px: usize,
        border_px: usize,
        channels: ChannelOrder,
        interpolation: Interpolation,
    ) -> Result<Self, GeometryError> {
        if !(1..=MAX_SIZE_PX).contains(&size_px) || border_px >= size_px {
            return Err(GeometryError::Size { size_px, border_px });
        }
        Ok(Self { size_px, border_px, channels, interpolation })
    }

    /// Pixels a side of what the generator sees (320).
    pub fn size_px(&self) -> usize {
        self.size_px
    }

    /// Pixels of the crop around it (4).
    pub fn border_px(&self) -> usize {
        self.border_px
    }

    /// Pixels a side of the crop (328).
    pub fn crop_side_px(&self) -> usize {
        self.size_px + 2 * self.border_px
    }

    /// Order of the generator's planes.
    pub fn channels(&self) -> ChannelOrder {
        self.channels
    }

    /// How boxes become crops and come back.
    pub fn interpolation(&self) -> Interpolation {
        self.interpolation
    }

    /// Bytes of a crop, `[side, side, 3]`.
    pub fn crop_len(&self) -> usize {
        self.crop_side_px() * self.crop_side_px() * CHANNELS
    }

    /// Bytes of a crop's pixels outside its inner square, BGR.
    pub fn ring_len(&self) -> usize {
        self.crop_len() - self.plane_len() * CHANNELS
    }

    /// Values of one plane, `[size, size]`.
    pub fn plane_len(&self) -> usize {
        self.size_px * self.size_px
    }

    /// Values of the generator's picture input, `[6, size, size]`.
    pub fn input_len(&self) -> usize {
        2 * CHANNELS * self.plane_len()
    }

    /// Values of the generator's output, `[3, size, size]`.
    pub fn output_len(&self) -> usize {
        CHANNELS * self.plane_len()
    }
}

/// `Err` when a buffer called `what` has another length than expected.
pub(super) fn check_len(what: &'static str, expected: usize, got: usize) -> Result<(), GeometryError> {
    if expected == got { Ok(()) } else { Err(GeometryError::Length { what, expected, got }) }
}
