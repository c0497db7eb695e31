//! The generator's output pasted back into the frame: bytes, into the crop, resized to the box, over the frame.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use multiversion::multiversion;

use super::geometry::{GeneratorGeometry, GeometryError, check_len};
use super::image::{CHANNELS, ImageError};
use super::rect::Rect;
use super::resize::{ResizeError, ResizeScratch, Resizer, Taps};
use super::surround::Surround;
use super::view::{View, ViewMut};

/// Pixels converted at a time: three planes of them stay in registers and the nearest cache.
const CHUNK_PX: usize = 64;

/// Why a patch was not pasted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompositeError {
    /// The box was not among those the compositor was made for.
    #[error("no box of {width_px}x{height_px} pixels was announced when the avatar was loaded")]
    UnknownBox {
        /// Width of the box.
        width_px: usize,
        /// Height of the box.
        height_px: usize,
    },
    /// The scratch was not fitted to this compositor.
    #[error("the composite scratch was not fitted to this avatar: fit it first")]
    Scratch,
    /// A buffer has a wrong length.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// The box reaches outside the frame.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The box cannot be resized.
    #[error(transparent)]
    Resize(#[from] ResizeError),
}

/// One avatar's compositor: tables for each size among its boxes. Immutable; share it, and give each thread a
/// [`CompositeScratch`].
#[derive(Debug)]
pub struct Compositor {
    geometry: GeneratorGeometry,
    resizers: HashMap<(usize, usize), Resizer>,
}

/// One thread's working memory for any compositor it was fitted to.
#[derive(Debug, Default)]
pub struct CompositeScratch {
    crop: Vec<u8>,
    resize: ResizeScratch,
}

impl CompositeScratch {
    /// Empty; [`CompositeScratch::fit`] makes it large enough.
    pub fn new() -> Self {
        Self::default()
    }

    /// Grows it so that `compositor` pastes without allocating; never shrinks it.
    pub fn fit(&mut self, compositor: &Compositor) {
        if self.crop.len() < compositor.geometry.crop_len() {
            self.crop.resize(compositor.geometry.crop_len(), 0);
        }
        for resizer in compositor.resizers.values() {
            self.resize.fit(resizer);
        }
    }
}

impl Compositor {
    /// Plans for every size among `boxes`.
    ///
    /// # Errors
    /// [`CompositeError::Resize`] for an empty or enormous box.
    pub fn new(geometry: GeneratorGeometry, boxes: &[Rect]) -> Result<Self, CompositeError> {
        let side = geometry.crop_side_px();
        let mut resizers = HashMap::new();
        for area in boxes {
            let size = (area.width_px(), area.height_px());
            if let Entry::Vacant(entry) = resizers.entry(size) {
                entry.insert(Resizer::new((side, side), size, geometry.interpolation())?);
            }
        }
        Ok(Self { geometry, resizers })
    }

    /// The sizes it was made for.
    pub fn geometry(&self) -> &GeneratorGeometry {
        &self.geometry
    }

    /// What boxes of `size` (width, height) are mixed from, of the crop's columns and rows: for whoever pastes elsewhere.
    ///
    /// # Errors
    /// [`CompositeError::UnknownBox`].
    pub fn taps(&self, (width_px, height_px): (usize, usize)) -> Result<Taps, CompositeError> {
        let resizer = self.resizers.get(&(width_px, height_px));
        Ok(resizer.ok_or(CompositeError::UnknownBox { width_px, height_px })?.taps())
    }

    /// Writes the generator's `output` (`[3, size, size]` f32, 0..1) over the box `area` of `frame`, without allocating.
    /// `surround` is the frame's crop or its ring, whose pixels surround the output while it is resized.
    ///
    /// A value becomes `value * 255` cut to a byte; below 0 and NaN become 0, above 1 becomes 255 (the reference wraps
    /// there, but its networks end in a sigmoid and never leave 0..1).
    ///
    /// # Errors
    /// [`CompositeError`] for a box of a size or place that does not fit, a wrong length, a scratch that is too small.
    pub fn paste(
        &self,
        output: &[f32],
        surround: Surround<'_>,
        area: Rect,
        frame: ViewMut<'_>,
        scratch: &mut CompositeScratch,
    ) -> Result<(), CompositeError> {
        check_len("generator's output", self.geometry.output_len(), output.len())?;
        surround.check(&self.geometry)?;
        let (width_px, height_px) = (area.width_px(), area.height_px());
        let resizer =
            self.resizers.get(&(width_px, height_px)).ok_or(CompositeError::UnknownBox { width_px, height_px })?;
        let hole = frame.part(area)?;
        let patched = scratch.crop.get_mut(..self.geometry.crop_len()).ok_or(CompositeError::Scratch)?;
        self.patch_crop(output, surround, patched);
        let side = self.geometry.crop_side_px();
        Ok(resizer.run(View::packed(side, side, patched)?, hole, &mut scratch.resize)?)
    }

    /// The crop with its inner square replaced by the generator's picture.
    fn patch_crop(&self, output: &[f32], surround: Surround<'_>, patched: &mut [u8]) {
        let (size, border) = (self.geometry.size_px(), self.geometry.border_px());
        let row_len = self.geometry.crop_side_px() * CHANNELS;
        let [blue, green, red] = self.geometry.channels().planes().map(|plane| plane * self.geometry.plane_len());
        for (y, to) in patched.chunks_exact_mut(row_len).enumerate() {
            let (left, right) = surround.row(&self.geometry, y);
            to[..left.len()].copy_from_slice(left);
            to[row_len - right.len()..].copy_from_slice(right);
            if (border..border + size).contains(&y) {
                let planes = [blue, green, red].map(|start| &output[start + (y - border) * size..][..size]);
                interleave(planes, &mut to[left.len()..row_len - right.len()]);
            }
        }
    }
}

/// Three rows of 0..1 to one row of BGR bytes. Each operation rounds on its own, so AVX2 gives the same bits.
#[multiversion(targets("x86_64+avx2"))]
fn interleave([blue, green, red]: [&[f32]; CHANNELS], out: &mut [u8]) {
    // Two steps, so that the conversion runs on whole vectors and only the shuffle of bytes is scalar.
    let mut bytes = [[0; CHUNK_PX]; CHANNELS];
    let chunks = blue.chunks(CHUNK_PX).zip(green.chunks(CHUNK_PX)).zip(red.chunks(CHUNK_PX));
    for (((blue, green), red), out) in chunks.zip(out.chunks_mut(CHUNK_PX * CHANNELS)) {
        for (bytes, values) in bytes.iter_mut().zip([blue, green, red]) {
            for (byte, &value) in bytes.iter_mut().zip(values) {
                *byte = to_byte(value);
            }
        }
        for (i, pixel) in out.chunks_exact_mut(CHANNELS).enumerate() {
            pixel.copy_from_slice(&[bytes[0][i], bytes[1][i], bytes[2][i]]);
        }
    }
}

/// `value * 255` cut to a byte, clamped; NaN is 0.
///
/// Rust's `as` guards every conversion against overflow, which takes three times as long in a vector loop. Instead: a
/// float of 2^23 and more has no fraction bits, so adding 2^23 leaves the nearest integer in the lowest bits, which is one
/// too many where it was rounded up.
#[inline]
fn to_byte(value: f32) -> u8 {
    const SHIFT: f32 = (1 << 23) as f32;
    let scaled = value * 255.0;
    // Comparisons, not `clamp`: they turn NaN into 0.
    let positive = if scaled > 0.0 { scaled } else { 0.0 };
    let level = if positive < 255.0 { positive } else { 255.0 };
    let shifted = level + SHIFT;
    let rounded_up = shifted - SHIFT > level;
    (shifted.to_bits() as u8).wrapping_sub(u8::from(rounded_up))
}

#[cfg(test)]
mod tests;
