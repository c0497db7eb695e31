//! The strip of a finished frame, kept so that the frame can be made again without drawing it.

use super::layout::StripLayout;
use super::segments::{SegmentError, index_segments};
use super::set::Template;
use super::splice::{SpliceError, exchange};

/// The entropy-coded bytes of the segments that a strip touches, one after the other, without markers: a tenth to a third of the frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptStrip {
    bytes: Box<[u8]>,
    /// Where each segment ends in `bytes`.
    ends: Box<[u32]>,
}

impl KeptStrip {
    /// Takes the strip out of `jpeg`, a frame that was spliced from a template with this layout.
    ///
    /// # Errors
    /// [`SegmentError`] when it is no such frame.
    pub fn cut(jpeg: &[u8], layout: &StripLayout) -> Result<Self, SegmentError> {
        let mut frame_ends = Vec::with_capacity(layout.frame_segments());
        let scan = index_segments(jpeg, layout.frame_segments(), &mut frame_ends)?;
        let (mut bytes, mut ends) = (Vec::new(), Vec::with_capacity(layout.segments()));
        for k in 0..layout.segments() {
            let segment = layout.frame_segment(k);
            let start = segment.checked_sub(1).map_or(scan, |before| frame_ends[before] as usize + 2);
            bytes.extend_from_slice(&jpeg[start..frame_ends[segment] as usize]);
            ends.push(bytes.len() as u32);
        }
        Ok(Self { bytes: bytes.into(), ends: ends.into() })
    }

    /// Writes the frame again: the bytes it was cut from, if `template` is the one that frame was spliced from. Returns their
    /// number.
    ///
    /// # Errors
    /// [`SpliceError`] for a template of another layout, or a buffer that is too short.
    pub fn splice(&self, template: &Template<'_>, out: &mut [u8]) -> Result<usize, SpliceError> {
        if template.layout().segments() != self.ends.len() {
            return Err(SpliceError::Layout);
        }
        let start = |k: usize| k.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        exchange(template, out, |k, _, out| out.put(&self.bytes[start(k)..self.ends[k] as usize]))
    }

    /// Bytes it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() + size_of_val(&*self.ends)
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}
