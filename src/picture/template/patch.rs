//! The strip of one output frame as JPEG: encoded alone, ready to be spliced or sent by itself.

use super::layout::StripLayout;
use super::segments::{SegmentError, headers_agree, index_segments};
use super::set::TemplateSet;
use super::splice::{Cursor, SpliceError};
use crate::picture::jpeg::{JpegEncoder, JpegError, JpegSettings, Quality, YuvPlanes};
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

/// The first of the eight restart markers (T.81, table B.1).
const RST0: u8 = 0xD0;

/// Encodes strips for the templates it was made for. One per thread; encoding makes no Rust allocation.
pub struct PatchEncoder {
    encoder: JpegEncoder,
    jpeg: Vec<u8>,
    ends: Vec<u32>,
}

/// One encoded strip, borrowed from its encoder until the next.
#[derive(Debug, Clone, Copy)]
pub struct Patch<'a> {
    jpeg: &'a [u8],
    scan: usize,
    ends: &'a [u32],
}

impl<'a> Patch<'a> {
    /// The strip as a complete JPEG. Drawn at [`StripLayout::strip`]'s corner over the decoded background it makes the
    /// frame. From planes it may be up to 7 columns wider than the strip where that ends with the frame.
    pub fn jpeg(&self) -> &'a [u8] {
        self.jpeg
    }

    /// Its bytes before the scan.
    pub fn header(&self) -> &'a [u8] {
        &self.jpeg[..self.scan]
    }

    /// How many restart segments it has.
    pub fn segments(&self) -> usize {
        self.ends.len()
    }

    /// Entropy-coded bytes of segment `k` without its marker; empty past the last. They stand for the frame's segment
    /// [`StripLayout::frame_segment`]`(k)`.
    pub fn segment(&self, k: usize) -> &'a [u8] {
        let start =
            k.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(self.scan, |&end| end as usize + 2);
        self.ends.get(k).map_or(&[], |&end| &self.jpeg[start..end as usize])
    }
}

impl Patch<'_> {
    /// Writes the segments to the start of `out`, each followed by the marker it has in the whole frame, and returns their
    /// length. They are the bytes that stand, in rows, for those of the background; the frame's last segment has no marker.
    ///
    /// # Errors
    /// [`SpliceError`] for a patch of another layout, or a buffer that is too short.
    pub fn write_segments(&self, layout: &StripLayout, out: &mut [u8]) -> Result<usize, SpliceError> {
        let (expected, got) = (layout.segments(), self.segments());
        if expected != got {
            return Err(SpliceError::Segments { expected, got });
        }
        let mut out = Cursor::new(out);
        for k in 0..expected {
            out.put(self.segment(k))?;
            let segment = layout.frame_segment(k);
            if segment + 1 < layout.frame_segments() {
                out.put(&[0xFF, RST0 + (segment % 8) as u8])?;
            }
        }
        Ok(out.len())
    }
}

impl PatchEncoder {
    /// An encoder with the templates' settings and room for their largest strip.
    ///
    /// # Errors
    /// [`PatchError::Header`] when it writes other header bytes than the templates have.
    pub fn new(templates: &TemplateSet) -> Result<Self, PatchError> {
        let mut patcher = Self::unchecked(templates, templates.settings())?;
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

    /// An encoder for an avatar's templates at another quality, as [`super::OnDemandTemplates`] makes them.
    ///
    /// # Errors
    /// [`PatchError::Jpeg`] when there is no memory for it.
    pub fn with_quality(avatar: &TemplateSet, quality: Quality) -> Result<Self, PatchError> {
        Self::unchecked(avatar, JpegSettings { quality, ..avatar.settings() })
    }

    fn unchecked(templates: &TemplateSet, settings: JpegSettings) -> Result<Self, PatchError> {
        let layouts = || templates.layouts().iter();
        let room = |layout: &StripLayout| {
            let (width, height) = layout.strip_px();
            JpegEncoder::max_len(width, height)
        };
        Ok(Self {
            encoder: JpegEncoder::new(settings)?,
            jpeg: vec![0; layouts().map(room).max().unwrap_or(0)],
            ends: Vec::with_capacity(layouts().map(StripLayout::segments).max().unwrap_or(0)),
        })
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
        let jpeg = &self.jpeg[..len];
        let scan = index_segments(jpeg, layout.segments(), &mut self.ends)?;
        Ok(Patch { jpeg, scan, ends: &self.ends })
    }
}
