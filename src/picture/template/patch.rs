//! The strip of one output frame as JPEG: encoded alone, ready to be spliced or sent by itself.

use super::header::headers_agree;
use super::huffman::Codes;
use super::join::join;
use super::layout::StripLayout;
use super::seam::{Filling, Seam, fillings};
use super::segments::{SegmentError, index_segments};
use super::set::TemplateSet;
use super::splice::{Cursor, SpliceError};
use crate::picture::jpeg::{JpegEncoder, JpegError, Quality, YuvPlanes};
use crate::picture::view::View;

/// Why a strip gave no patch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The encoder writes other tables than the templates have: their splice would be garbage.
    #[error("the templates were made by another JPEG encoder: their header differs from this one's; build them again")]
    Header,
    /// The strip has not the layout's size.
    #[error("this strip must have {expected:?} pixels, it has {got:?}")]
    Size {
        /// Width and height of the layout's strip (of its planes, if it came as planes).
        expected: (usize, usize),
        /// Width and height given.
        got: (usize, usize),
    },
    /// Planes where [`StripLayout::planes_are_exact`] says no.
    #[error("a strip that ends in a half-filled column of MCUs must be encoded from BGR, not from planes")]
    Planes,
    /// The encoder failed, or the strip is larger than any of the templates.
    #[error(transparent)]
    Jpeg(#[from] JpegError),
    /// The encoder wrote something that cannot be cut up.
    #[error(transparent)]
    Segments(#[from] SegmentError),
}

/// Encodes strips for the templates it was made for, at their quality until it is told another. One per thread; encoding makes no Rust
/// allocation.
pub struct PatchEncoder {
    encoder: JpegEncoder,
    codes: Codes,
    jpeg: Vec<u8>,
    ends: Vec<u32>,
    /// One row without stuffing, while it is read.
    plain: Vec<u8>,
    fillings: Vec<Filling>,
}

/// One encoded strip, borrowed from its encoder until the next.
#[derive(Debug, Clone, Copy)]
pub struct Patch<'a> {
    layout: StripLayout,
    codes: &'a Codes,
    jpeg: &'a [u8],
    scan: usize,
    ends: &'a [u32],
    fillings: &'a [Filling],
}

impl<'a> Patch<'a> {
    /// The strip as a complete JPEG with a restart marker after each row of MCUs. Drawn at [`StripLayout::strip`]'s corner over
    /// the decoded background it makes the frame. From planes it may be up to 7 columns wider than the strip where that ends
    /// with the frame.
    pub fn jpeg(&self) -> &'a [u8] {
        self.jpeg
    }

    /// Its bytes before the scan.
    pub fn header(&self) -> &'a [u8] {
        &self.jpeg[..self.scan]
    }

    /// Where it belongs.
    pub fn layout(&self) -> &StripLayout {
        &self.layout
    }

    /// Writes segment `k` of those it touches, as it is in the frame, without its marker. `background` is the template's.
    pub(super) fn write_segment(
        &self,
        k: usize,
        (background, seam): (&[u8], &Seam),
        out: &mut Cursor<'_>,
    ) -> Result<(), SpliceError> {
        let row = segment(self.jpeg, self.scan, self.ends, k / self.layout.columns());
        if self.layout.rows_are_segments() {
            return out.put(row);
        }
        let filling = self.fillings.get(k).ok_or(SpliceError::Layout)?;
        join(out, self.codes, (background, seam), (row, filling))
    }
}

/// Entropy-coded bytes of one segment of an indexed JPEG, without its marker.
pub(super) fn segment<'a>(jpeg: &'a [u8], scan: usize, ends: &[u32], index: usize) -> &'a [u8] {
    let start = index.checked_sub(1).map_or(scan, |before| ends[before] as usize + 2);
    &jpeg[start..ends[index] as usize]
}

impl PatchEncoder {
    /// An encoder with the templates' settings and room for their largest strip.
    ///
    /// # Errors
    /// [`PatchError::Header`] when it writes other header bytes than the templates have.
    pub fn new(templates: &TemplateSet) -> Result<Self, PatchError> {
        let most = |of: fn(&StripLayout) -> usize| templates.layouts().iter().map(of).max().unwrap_or(0);
        let jpeg = most(|layout| {
            let (width, height) = layout.strip_px();
            JpegEncoder::max_len(width, height)
        });
        let mut patcher = Self {
            encoder: JpegEncoder::with_marker_per_row(templates.settings().quality)?,
            codes: templates.codes().clone(),
            jpeg: vec![0; jpeg],
            ends: Vec::with_capacity(most(StripLayout::rows)),
            plain: Vec::with_capacity(jpeg),
            fillings: Vec::with_capacity(most(StripLayout::segments)),
        };
        if let Some(template) = templates.template(0) {
            let layout = template.layout();
            let (width, height) = layout.strip_px();
            let black = vec![0; layout.strip_len()];
            let strip = View::packed(width, height, &black).map_err(|_| PatchError::Header)?;
            let patch = patcher.encode(layout, strip)?;
            if !headers_agree(patch.header(), template.header())? {
                return Err(PatchError::Header);
            }
        }
        Ok(patcher)
    }

    /// Has the strips from now on encoded at `quality`, for templates as [`super::OnDemandTemplates`] makes them of these.
    ///
    /// # Errors
    /// As [`JpegEncoder::set_quality`].
    pub fn set_quality(&mut self, quality: Quality) -> Result<(), PatchError> {
        Ok(self.encoder.set_quality(quality)?)
    }

    /// Encodes a strip's pixels.
    ///
    /// # Errors
    /// [`PatchError::Size`] for another size than the layout's.
    pub fn encode(&mut self, layout: &StripLayout, strip: View<'_>) -> Result<Patch<'_>, PatchError> {
        let (expected, got) = (layout.strip_px(), (strip.width_px(), strip.height_px()));
        if expected != got {
            return Err(PatchError::Size { expected, got });
        }
        let len = self.encoder.encode(strip, &mut self.jpeg)?;
        self.cut(len, layout)
    }

    /// Encodes a strip that is already in planes, as [`super::StripPlanes`] or the GPU makes them: as wide as its MCUs.
    ///
    /// # Errors
    /// [`PatchError::Planes`] where planes cannot be exact, [`PatchError::Size`] for another size.
    pub fn encode_planes(&mut self, layout: &StripLayout, planes: YuvPlanes<'_>) -> Result<Patch<'_>, PatchError> {
        if !layout.planes_are_exact() {
            return Err(PatchError::Planes);
        }
        let expected = super::planes::declared_size(layout.strip_px());
        let got = (planes.width_px(), planes.height_px());
        if expected != got {
            return Err(PatchError::Size { expected, got });
        }
        let len = self.encoder.encode_yuv(planes, &mut self.jpeg)?;
        self.cut(len, layout)
    }

    fn cut(&mut self, len: usize, layout: &StripLayout) -> Result<Patch<'_>, PatchError> {
        let Self { codes, jpeg, ends, plain, fillings: found, .. } = self;
        let jpeg = &jpeg[..len];
        let scan = index_segments(jpeg, layout.rows(), ends)?;
        found.clear();
        for row in (0..layout.rows()).filter(|_| !layout.rows_are_segments()) {
            fillings(segment(jpeg, scan, ends, row), codes, layout, plain, found)?;
        }
        Ok(Patch { layout: *layout, codes, jpeg, scan, ends, fillings: found })
    }
}
