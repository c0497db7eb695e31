//! A strip as the YUV 4:2:0 planes that libjpeg-turbo would make of it, bit for bit: what the GPU's kernel delivers, and
//! the reference it is tested against.
//!
//! Colour: `rgb_ycc_convert` of libjpeg-turbo 3.1 `jccolor.c` (16-bit fixed point). Chroma: `h2v2_downsample` of
//! `jcsample.c`, the mean of 2x2 rounded with a bias that alternates 1, 2 along the row. Both start anew at multiples of
//! an MCU, so a strip gives the samples of its frame.

use multiversion::multiversion;

use super::layout::{MCU_PX, StripLayout};
use crate::picture::image::CHANNELS;
use crate::picture::jpeg::{JpegError, YuvPlanes};
use crate::picture::view::View;

/// Planes of strips up to a size, reused from frame to frame.
///
/// Luma is as wide as the strip's MCUs, chroma half that; what lies beyond the strip's own pixels repeats its last
/// column, as libjpeg does before it takes means.
#[derive(Debug, Default)]
pub struct StripPlanes {
    /// Width in whole MCUs, and the strip's own height.
    size_px: (usize, usize),
    y: Vec<u8>,
    u: Vec<u8>,
    v: Vec<u8>,
    /// Two rows of each of Y, Cb and Cr at full resolution.
    rows: Vec<u8>,
}

impl StripPlanes {
    /// Empty; [`StripPlanes::fit`] makes them large enough.
    pub fn new() -> Self {
        Self::default()
    }

    /// Grows the planes so that strips of `layout` are filled without allocating; never shrinks them.
    pub fn fit(&mut self, layout: &StripLayout) {
        let (width, height) = padded(layout.strip_px());
        for (plane, len) in [
            (&mut self.y, width * height),
            (&mut self.u, width * height / 4),
            (&mut self.v, width * height / 4),
            (&mut self.rows, 6 * width),
        ] {
            if plane.len() < len {
                plane.resize(len, 0);
            }
        }
    }

    /// Makes the planes of `strip`.
    ///
    /// # Errors
    /// [`JpegError::Plane`] when the planes were not fitted to a strip of this size.
    pub fn fill(&mut self, strip: View<'_>) -> Result<(), JpegError> {
        let (width, height) = padded((strip.width_px(), strip.height_px()));
        let short =
            |plane, expected, got| if got < expected { Err(JpegError::Plane { plane, expected, got }) } else { Ok(()) };
        short('y', width * height, self.y.len())?;
        short('u', width * height / 4, self.u.len())?;
        short('v', width * height / 4, self.v.len())?;
        short('y', 6 * width, self.rows.len())?;
        self.size_px = declared_size((strip.width_px(), strip.height_px()));
        let (lumas, chromas) = self.rows[..6 * width].split_at_mut(2 * width);
        let (blues, reds) = chromas.split_at_mut(2 * width);
        for pair in 0..height / 2 {
            for half in 0..2 {
                let row = strip.row((2 * pair + half).min(strip.height_px() - 1));
                let range = half * width..(half + 1) * width;
                convert(row, &mut lumas[range.clone()], &mut blues[range.clone()], &mut reds[range]);
            }
            self.y[2 * pair * width..][..2 * width].copy_from_slice(lumas);
            let out = pair * width / 2..(pair + 1) * width / 2;
            halve(blues, &mut self.u[out.clone()]);
            halve(reds, &mut self.v[out]);
        }
        Ok(())
    }

    /// The planes filled last.
    ///
    /// # Errors
    /// [`JpegError::Size`] when none were filled yet.
    pub fn planes(&self) -> Result<YuvPlanes<'_>, JpegError> {
        let (width, _) = self.size_px;
        YuvPlanes::new(self.size_px, (width, width / 2), [&self.y, &self.u, &self.v])
    }
}

/// Bytes of a strip's planes when they are packed: Y, then U, then V, each without gaps between rows.
#[must_use]
pub fn packed_len(strip_px: (usize, usize)) -> usize {
    let (width, height) = padded(strip_px);
    width * height * 3 / 2
}

/// The planes in `bytes`, packed as [`packed_len`] says: how a GPU delivers the strip of `strip_px`.
///
/// # Errors
/// [`JpegError::Plane`] when there are fewer bytes.
pub fn packed_planes(strip_px: (usize, usize), bytes: &[u8]) -> Result<YuvPlanes<'_>, JpegError> {
    let (width, height) = padded(strip_px);
    let luma = width * height;
    if bytes.len() < packed_len(strip_px) {
        return Err(JpegError::Plane { plane: 'y', expected: packed_len(strip_px), got: bytes.len() });
    }
    let (y, chroma) = bytes.split_at(luma);
    let (u, v) = chroma.split_at(luma / 4);
    YuvPlanes::new(declared_size(strip_px), (width, width / 2), [y, u, &v[..luma / 4]])
}

/// Size that the planes of a strip declare: whole MCUs across, so that libjpeg repeats nothing there itself.
pub(super) fn declared_size((width_px, height_px): (usize, usize)) -> (usize, usize) {
    (width_px.next_multiple_of(MCU_PX), height_px)
}

/// Size in whole MCUs across and whole chroma rows down.
fn padded((width_px, height_px): (usize, usize)) -> (usize, usize) {
    (width_px.next_multiple_of(MCU_PX), height_px.next_multiple_of(2))
}

/// One row of BGR to rows of Y, Cb and Cr, whose values beyond the last pixel repeat it.
#[multiversion(targets("x86_64+avx2"))]
fn convert(bgr: &[u8], luma: &mut [u8], blue_difference: &mut [u8], red_difference: &mut [u8]) {
    const HALF: i32 = 1 << 15;
    const CENTRE: i32 = (128 << 16) + HALF - 1;
    let width = bgr.len() / CHANNELS;
    let outs = luma.iter_mut().zip(blue_difference.iter_mut()).zip(red_difference.iter_mut());
    for (pixel, ((y, cb), cr)) in bgr.chunks_exact(CHANNELS).zip(outs) {
        let (b, g, r) = (i32::from(pixel[0]), i32::from(pixel[1]), i32::from(pixel[2]));
        *y = ((19_595 * r + 38_470 * g + 7_471 * b + HALF) >> 16) as u8;
        *cb = ((32_768 * b - 11_059 * r - 21_709 * g + CENTRE) >> 16) as u8;
        *cr = ((32_768 * r - 27_439 * g - 5_329 * b + CENTRE) >> 16) as u8;
    }
    for plane in [luma, blue_difference, red_difference] {
        let last = plane[width - 1];
        plane[width..].fill(last);
    }
}

/// Two rows, one after the other, to one of half the width.
#[multiversion(targets("x86_64+avx2"))]
fn halve(rows: &[u8], out: &mut [u8]) {
    let (upper, lower) = rows.split_at(rows.len() / 2);
    let quads = upper.as_chunks::<4>().0.iter().zip(lower.as_chunks::<4>().0);
    for ((upper, lower), out) in quads.zip(out.as_chunks_mut::<2>().0) {
        let sum =
            |i: usize| u16::from(upper[i]) + u16::from(upper[i + 1]) + u16::from(lower[i]) + u16::from(lower[i + 1]);
        *out = [((sum(0) + 1) >> 2) as u8, ((sum(2) + 2) >> 2) as u8];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Image, JpegEncoder, JpegSettings, Rect};

    /// Planes and pixels must give the same JPEG: then every sample that is written agrees with libjpeg's.
    #[test]
    fn planes_encode_as_libjpegs_own() {
        for (w, h) in [(16, 16), (32, 17), (80, 31), (25, 9), (31, 40), (64, 1)] {
            let data = (0..w * h * 3).map(|i: usize| (i.wrapping_mul(2_654_435_761) >> 9) as u8).collect();
            let image = Image::from_bgr(w, h, data).unwrap();
            let layout = StripLayout::new((w, h), Rect::new(0, 0, w, h), 1).unwrap();
            assert!(layout.planes_are_exact());
            let mut planes = StripPlanes::new();
            planes.fit(&layout);
            planes.fill(image.view()).unwrap();
            let mut encoder = JpegEncoder::new(JpegSettings::default()).unwrap();
            let mut from_pixels = Vec::new();
            encoder.encode_to_vec(image.view(), &mut from_pixels).unwrap();
            let mut from_planes = vec![0; JpegEncoder::max_len(w.next_multiple_of(16), h)];
            let len = encoder.encode_yuv(planes.planes().unwrap(), &mut from_planes).unwrap();
            // The planes' width is declared in whole MCUs: two bytes of the header.
            let width_at = from_pixels.windows(2).position(|p| p == [0xFF, 0xC0]).unwrap() + 7;
            from_planes[width_at..width_at + 2].copy_from_slice(&(w as u16).to_be_bytes());
            assert!(from_planes[..len] == from_pixels, "{w}x{h}");
        }
    }

    /// Why [`StripLayout::planes_are_exact`] says no: libjpeg's own bits cannot be had there.
    #[test]
    fn a_half_filled_column_differs_from_planes() {
        let (w, h) = (24, 16);
        let data = (0..w * h * 3).map(|i: usize| (i.wrapping_mul(2_654_435_761) >> 9) as u8).collect();
        let image = Image::from_bgr(w, h, data).unwrap();
        let layout = StripLayout::new((w, h), Rect::new(0, 0, w, h), 1).unwrap();
        assert!(!layout.planes_are_exact());
        let mut planes = StripPlanes::new();
        planes.fit(&layout);
        planes.fill(image.view()).unwrap();
        let planes = planes.planes().unwrap();
        let narrow = YuvPlanes::new((w, h), (32, 16), [planes.y(), planes.u(), planes.v()]).unwrap();
        let mut encoder = JpegEncoder::new(JpegSettings::default()).unwrap();
        let mut from_pixels = Vec::new();
        encoder.encode_to_vec(image.view(), &mut from_pixels).unwrap();
        for planes in [planes, narrow] {
            let mut from_planes = vec![0; JpegEncoder::max_len(32, h)];
            let len = encoder.encode_yuv(planes, &mut from_planes).unwrap();
            let scan = |jpeg: &[u8]| jpeg[jpeg.windows(2).position(|p| p == [0xFF, 0xDA]).unwrap()..].to_vec();
            assert!(scan(&from_planes[..len]) != scan(&from_pixels));
        }
    }

    #[test]
    fn packed_planes_are_y_then_u_then_v() {
        let strip_px = (17, 3);
        let bytes: Vec<u8> = (0..192).collect();
        assert_eq!(packed_len(strip_px), bytes.len());
        let planes = packed_planes(strip_px, &bytes).unwrap();
        assert_eq!(
            (planes.width_px(), planes.height_px(), planes.luma_stride(), planes.chroma_stride()),
            (32, 3, 32, 16)
        );
        assert_eq!((planes.y(), planes.u(), planes.v()), (&bytes[..128], &bytes[128..160], &bytes[160..]));
        assert!(packed_planes(strip_px, &bytes[1..]).is_err());
    }

    #[test]
    fn unfitted_planes_are_errors() {
        let mut planes = StripPlanes::new();
        assert!(planes.planes().is_err());
        assert!(planes.fill(Image::black(16, 16).unwrap().view()).is_err());
    }
}
