//! What the kernels are handed, byte for byte as `kernels/params.h` has it.

use std::mem::{offset_of, size_of};

use crate::picture::{self, Interpolation, PictureInput, Rect};

/// An address in the GPU's memory, `CUdeviceptr`; 0 where a kernel does not read it.
pub type DeviceAddress = u64;

/// What one column or row of a box is mixed from. Tables of these must start at a multiple of 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(16))]
pub struct Tap {
    source: [u16; 4],
    weight: [i16; 4],
}

impl From<picture::Tap> for Tap {
    fn from(tap: picture::Tap) -> Self {
        Self { source: tap.source, weight: tap.weight }
    }
}

/// One frame of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(8))]
pub struct FrameParams {
    crop: DeviceAddress,
    strip: DeviceAddress,
    columns: DeviceAddress,
    rows: DeviceAddress,
    strip_px: [i32; 2],
    hole: [i32; 4],
    out: u64,
}

/// Where what the kernels read of one avatar frame lies on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameAddresses {
    /// The crop, `[side, side, 3]` BGR bytes; faster at a multiple of 4 bytes.
    pub crop: DeviceAddress,
    /// The strip, `[height, width, 3]` BGR bytes; the box's pixels are not read.
    pub strip: DeviceAddress,
    /// A [`Tap`] for each column of the box, from the crop's columns.
    pub columns: DeviceAddress,
    /// A [`Tap`] for each row of the box, from the crop's rows.
    pub rows: DeviceAddress,
}

impl FrameParams {
    /// Of a strip of `strip_px` (width, height) with the box at `hole`, whose planes go to byte `out` of the batch's output:
    /// an even offset, [`crate::picture::template::packed_len`] bytes from there on.
    ///
    /// The caller sees to it that the addresses hold what they say; sides are at most [`picture::MAX_SIDE_PX`].
    #[must_use]
    pub fn new(at: FrameAddresses, strip_px: (usize, usize), hole: Rect, out: usize) -> Self {
        Self {
            crop: at.crop,
            strip: at.strip,
            columns: at.columns,
            rows: at.rows,
            strip_px: [strip_px.0, strip_px.1].map(|n| n as i32),
            hole: [hole.x0, hole.y0, hole.x1, hole.y1].map(|n| n as i32),
            out: out as u64,
        }
    }

    /// The same frame with its planes at byte `out`.
    #[must_use]
    pub fn with_out(self, out: usize) -> Self {
        Self { out: out as u64, ..self }
    }
}

/// What the frames of a batch share, by value in each launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Geometry {
    size: i32,
    border: i32,
    planes: [i32; 3],
    mask: [i32; 4],
    interpolation: i32,
}

impl Geometry {
    /// Pixels a side of the crop: the picture and its border.
    #[must_use]
    pub fn crop_side_px(self) -> usize {
        (self.size + 2 * self.border) as usize
    }
}

impl From<&PictureInput> for Geometry {
    fn from(input: &PictureInput) -> Self {
        let geometry = input.geometry();
        // All of these are at most 2048.
        Self {
            size: geometry.size_px() as i32,
            border: geometry.border_px() as i32,
            planes: geometry.channels().planes().map(|plane| plane as i32),
            mask: input.mask().map(|n| n as i32),
            interpolation: match geometry.interpolation() {
                Interpolation::Cubic => 0,
                Interpolation::Linear => 1,
            },
        }
    }
}

/// Sizes and offsets, in the order that `layout_of_params` of `kernels/host.c` tells the C compiler's.
pub const LAYOUT: [usize; 16] = [
    size_of::<Tap>(),
    offset_of!(Tap, weight),
    size_of::<FrameParams>(),
    offset_of!(FrameParams, strip),
    offset_of!(FrameParams, columns),
    offset_of!(FrameParams, rows),
    offset_of!(FrameParams, strip_px),
    offset_of!(FrameParams, hole),
    offset_of!(FrameParams, hole) + 4,
    offset_of!(FrameParams, hole) + 8,
    offset_of!(FrameParams, hole) + 12,
    offset_of!(FrameParams, out),
    size_of::<Geometry>(),
    offset_of!(Geometry, planes),
    offset_of!(Geometry, mask),
    offset_of!(Geometry, interpolation),
];

const _: () = assert!(size_of::<Tap>() == 16 && size_of::<FrameParams>() == 64 && size_of::<Geometry>() == 40);
