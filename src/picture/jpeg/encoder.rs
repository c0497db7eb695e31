//! [`JpegEncoder`]: one compressor, into the caller's buffer.

use super::handle::{Handle, JpegFault, Param, SUBSAMPLING_420};
use crate::picture::view::View;

/// Largest side a baseline JPEG can declare.
const MAX_JPEG_SIDE_PX: usize = 65_500;

/// Why a picture could not be encoded, or an encoder made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JpegError {
    /// Outside 1..=100.
    #[error("JPEG quality {got} is not between 1 and 100")]
    Quality {
        /// What was asked for.
        got: u32,
    },
    /// A side is zero or more than a JPEG can hold.
    #[error("a JPEG of {width_px}x{height_px} pixels is impossible: sides go from 1 to {MAX_JPEG_SIDE_PX}")]
    Size {
        /// Width.
        width_px: usize,
        /// Height.
        height_px: usize,
    },
    /// A plane is shorter than its size and stride need.
    #[error("plane {plane} needs {expected} bytes, got {got}")]
    Plane {
        /// `y`, `u` or `v`.
        plane: char,
        /// Bytes needed.
        expected: usize,
        /// Bytes given.
        got: usize,
    },
    /// The output buffer is shorter than [`JpegEncoder::max_len`].
    #[error("the JPEG buffer must hold {expected} bytes, it holds {got}")]
    Buffer {
        /// Bytes needed in the worst case.
        expected: usize,
        /// Bytes there are.
        got: usize,
    },
    /// The library refused or failed.
    #[error(transparent)]
    Library(#[from] JpegFault),
}

/// JPEG quality, 1 (smallest) to 100 (best), libjpeg's scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quality(u8);

impl Quality {
    /// The recipe's default, 75.
    pub const DEFAULT: Self = Self(75);

    /// Checks the range.
    ///
    /// # Errors
    /// [`JpegError::Quality`] outside 1..=100.
    pub fn new(quality: u32) -> Result<Self, JpegError> {
        match u8::try_from(quality) {
            Ok(q @ 1..=100) => Ok(Self(q)),
            _ => Err(JpegError::Quality { got: quality }),
        }
    }

    /// The number, 1..=100.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for Quality {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What an encoder writes besides the pixels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct JpegSettings {
    /// Quantisation.
    pub quality: Quality,
    /// MCUs (16x16 pixels) from one restart marker to the next; 0 writes none.
    pub restart_interval_mcus: u16,
}

/// Planes of one 4:2:0 picture, full range, as libjpeg makes them: luma of the size rounded up to even, chroma half that.
#[derive(Debug, Clone, Copy)]
pub struct YuvPlanes<'a> {
    width_px: usize,
    height_px: usize,
    luma_stride: usize,
    chroma_stride: usize,
    y: &'a [u8],
    u: &'a [u8],
    v: &'a [u8],
}

impl<'a> YuvPlanes<'a> {
    /// Borrows planes whose rows are `luma_stride` and `chroma_stride` bytes apart.
    ///
    /// # Errors
    /// [`JpegError::Size`] or [`JpegError::Plane`] when a plane is too short for the size.
    pub fn new(
        (width_px, height_px): (usize, usize),
        (luma_stride, chroma_stride): (usize, usize),
        [y, u, v]: [&'a [u8]; 3],
    ) -> Result<Self, JpegError> {
        check_size(width_px, height_px)?;
        let (chroma_w, chroma_h) = (width_px.div_ceil(2), height_px.div_ceil(2));
        if luma_stride < chroma_w * 2 || chroma_stride < chroma_w {
            return Err(JpegError::Size { width_px, height_px });
        }
        let needed = |w: usize, h: usize, stride: usize| (h - 1).saturating_mul(stride).saturating_add(w);
        let luma_len = needed(chroma_w * 2, chroma_h * 2, luma_stride);
        let chroma_len = needed(chroma_w, chroma_h, chroma_stride);
        for (plane, data, expected) in [('y', y, luma_len), ('u', u, chroma_len), ('v', v, chroma_len)] {
            if data.len() < expected {
                return Err(JpegError::Plane { plane, expected, got: data.len() });
            }
        }
        Ok(Self { width_px, height_px, luma_stride, chroma_stride, y, u, v })
    }

    /// Columns of the picture (the luma plane has this rounded up to even).
    pub fn width_px(&self) -> usize {
        self.width_px
    }

    /// Rows of the picture (the luma plane has this rounded up to even).
    pub fn height_px(&self) -> usize {
        self.height_px
    }

    /// Bytes between luma rows.
    pub fn luma_stride(&self) -> usize {
        self.luma_stride
    }

    /// Bytes between chroma rows, in both chroma planes.
    pub fn chroma_stride(&self) -> usize {
        self.chroma_stride
    }

    /// Luma.
    pub fn y(&self) -> &'a [u8] {
        self.y
    }

    /// Blue difference (Cb).
    pub fn u(&self) -> &'a [u8] {
        self.u
    }

    /// Red difference (Cr).
    pub fn v(&self) -> &'a [u8] {
        self.v
    }
}

/// One JPEG compressor: baseline, 4:2:0, slow integer DCT, standard Huffman tables. The same pixels at the same quality give the same bytes,
/// whatever was encoded before. `Send`, one per thread.
///
/// Encoding makes no Rust allocation; libjpeg-turbo takes and returns its own few working buffers by `malloc`.
pub struct JpegEncoder {
    handle: Handle,
}

impl JpegEncoder {
    /// A compressor with these settings.
    ///
    /// # Errors
    /// [`JpegError::Library`] when libjpeg-turbo has no memory.
    pub fn new(settings: JpegSettings) -> Result<Self, JpegError> {
        Self::with(settings.quality, Param::RestartBlocks, i32::from(settings.restart_interval_mcus))
    }

    /// A compressor that writes a restart marker after each row of MCUs, however wide the picture.
    ///
    /// # Errors
    /// [`JpegError::Library`] when libjpeg-turbo has no memory.
    pub fn with_marker_per_row(quality: Quality) -> Result<Self, JpegError> {
        Self::with(quality, Param::RestartRows, 1)
    }

    fn with(quality: Quality, restart: Param, interval: i32) -> Result<Self, JpegError> {
        let mut handle = Handle::compressor()?;
        handle.set(Param::NoRealloc, 1)?;
        handle.set(Param::Subsampling, SUBSAMPLING_420)?;
        handle.set(Param::Quality, i32::from(quality.get()))?;
        handle.set(restart, interval)?;
        Ok(Self { handle })
    }

    /// Has the pictures from now on encoded at `quality`: libjpeg makes its tables anew for each, so one compressor serves all.
    ///
    /// # Errors
    /// [`JpegError::Library`], which would be a fault of ours.
    pub fn set_quality(&mut self, quality: Quality) -> Result<(), JpegError> {
        Ok(self.handle.set(Param::Quality, i32::from(quality.get()))?)
    }

    /// Bytes that always hold a picture of this size, whatever the quality and the restart interval.
    ///
    /// TurboJPEG's `tj3JPEGBufSize` for 4:2:0 (3 bytes a pixel over whole MCUs, and 2048), plus what a restart marker
    /// after every MCU can add (padding byte and two bytes of marker).
    pub fn max_len(width_px: usize, height_px: usize) -> usize {
        let mcus = width_px.div_ceil(16).saturating_mul(height_px.div_ceil(16));
        mcus.saturating_mul(16 * 16 * 3 + 4).saturating_add(2048)
    }

    /// Encodes BGR pixels into the start of `out` and returns the length of the JPEG.
    ///
    /// # Errors
    /// [`JpegError::Size`] for impossible sides, [`JpegError::Buffer`] when `out` is shorter than [`Self::max_len`].
    pub fn encode(&mut self, picture: View<'_>, out: &mut [u8]) -> Result<usize, JpegError> {
        check_room(picture.width_px(), picture.height_px(), out.len())?;
        Ok(self.handle.compress(picture, out)?)
    }

    /// Encodes ready 4:2:0 planes into the start of `out` and returns the length of the JPEG.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_yuv(&mut self, planes: YuvPlanes<'_>, out: &mut [u8]) -> Result<usize, JpegError> {
        check_room(planes.width_px(), planes.height_px(), out.len())?;
        Ok(self.handle.compress_yuv420(planes, out)?)
    }

    /// Encodes BGR pixels into `out`, which is grown to [`Self::max_len`] and cut to the JPEG. Its spare room is filled
    /// with zeros each time: where that counts, keep a buffer of full length and use [`Self::encode`].
    ///
    /// # Errors
    /// [`JpegError::Size`] for impossible sides.
    pub fn encode_to_vec(&mut self, picture: View<'_>, out: &mut Vec<u8>) -> Result<(), JpegError> {
        check_size(picture.width_px(), picture.height_px())?;
        out.resize(Self::max_len(picture.width_px(), picture.height_px()), 0);
        let len = self.encode(picture, out)?;
        out.truncate(len);
        Ok(())
    }
}

fn check_size(width_px: usize, height_px: usize) -> Result<(), JpegError> {
    let side = 1..=MAX_JPEG_SIDE_PX;
    if side.contains(&width_px) && side.contains(&height_px) {
        Ok(())
    } else {
        Err(JpegError::Size { width_px, height_px })
    }
}

fn check_room(width_px: usize, height_px: usize, got: usize) -> Result<(), JpegError> {
    check_size(width_px, height_px)?;
    let expected = JpegEncoder::max_len(width_px, height_px);
    if got < expected { Err(JpegError::Buffer { expected, got }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
