//! One pass of copies: the template's background with the patch's segments in their places.
//!
//! A client that keeps backgrounds can do the same: for each `k`, [`Patch::segment`]`(k)` replaces the bytes
//! [`Template::segment_span`]`(`[`frame_segment`](super::StripLayout::frame_segment)`(k))` of the background, in order of `k`.

use super::patch::Patch;
use super::segments::headers_agree;
use super::set::Template;

/// Why a patch and a template do not make a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpliceError {
    /// The patch was made for another template.
    #[error("the patch has {got} restart segments, the template's strip {expected}")]
    Segments {
        /// Segments of the template's strip.
        expected: usize,
        /// Segments of the patch.
        got: usize,
    },
    /// Patch and template were made with other tables or another interval: their splice would be garbage.
    #[error("the patch was not encoded with the template's settings: their headers differ")]
    Header,
    /// The output buffer is too short for this frame.
    #[error("the frame does not fit the buffer of {len} bytes")]
    Buffer {
        /// Bytes of the buffer.
        len: usize,
    },
}

/// Writes the frame's JPEG to the start of `out` and returns its length, which never exceeds the templates'
/// `max_frame_len`. No byte is written that a full encode of the composited frame would not have.
///
/// # Errors
/// [`SpliceError`] for a patch of another layout or other settings, or a buffer that is too short.
pub fn splice(template: &Template<'_>, patch: &Patch<'_>, out: &mut [u8]) -> Result<usize, SpliceError> {
    let layout = template.layout();
    let (expected, got) = (layout.segments(), patch.segments());
    if expected != got {
        return Err(SpliceError::Segments { expected, got });
    }
    // Some hundred bytes: nothing beside the patch, and no mix of qualities can ever reach a viewer.
    if !headers_agree(patch.header(), template.header()).unwrap_or(false) {
        return Err(SpliceError::Header);
    }
    splice_segments(template, |k| patch.segment(k), out)
}

/// Writes the template's background with segment `k` of its strip replaced by `segment(k)`.
pub(super) fn splice_segments<'s>(
    template: &Template<'_>,
    segment: impl Fn(usize) -> &'s [u8],
    out: &mut [u8],
) -> Result<usize, SpliceError> {
    let (layout, background) = (template.layout(), template.jpeg());
    let mut out = Cursor::new(out);
    // Background bytes before this offset are in the output or replaced.
    let mut done = 0;
    for k in 0..layout.segments() {
        // A marker depends on its place in the frame alone, so those of the background stay.
        let span = template.segment_span(layout.frame_segment(k));
        out.put(&background[done..span.start])?;
        out.put(segment(k))?;
        done = span.end;
    }
    out.put(&background[done..])?;
    Ok(out.len())
}

/// Writes one part after the other.
pub(super) struct Cursor<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(out: &'a mut [u8]) -> Self {
        Self { out, len: 0 }
    }

    /// Bytes written so far.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<(), SpliceError> {
        let buffer = SpliceError::Buffer { len: self.out.len() };
        let room = self.out.get_mut(self.len..self.len + bytes.len()).ok_or(buffer)?;
        room.copy_from_slice(bytes);
        self.len += bytes.len();
        Ok(())
    }
}
