//! One pass of copies: the template's background with the patch's MCUs in their places.

use super::header::headers_agree;
use super::patch::Patch;
use super::segments::restart_marker;
use super::set::Template;

/// Why a patch and a template do not make a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpliceError {
    /// The patch was made for another place.
    #[error("the patch was made for another box or frame size than the template's")]
    Layout,
    /// Patch and template were made with other tables: their splice would be garbage.
    #[error("the patch was not encoded with the template's settings: their headers differ")]
    Header,
    /// The template's seams lie outside its segments, or a DC difference has no code.
    #[error("the template and the patch cannot be joined; build the templates again")]
    Coding,
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
    check(template, patch)?;
    let seams = template.seams();
    exchange(template, out, |k, background, out| {
        let seam = seams.get(k).ok_or(SpliceError::Layout)?;
        patch.write_segment(k, (background, seam), out)
    })
}

/// Writes the template's background with each segment that its strip touches replaced: `replace` gets its number among those, its bytes
/// without the marker, and where to write the others.
pub(super) fn exchange(
    template: &Template<'_>,
    out: &mut [u8],
    replace: impl Fn(usize, &[u8], &mut Cursor<'_>) -> Result<(), SpliceError>,
) -> Result<usize, SpliceError> {
    let (layout, background) = (template.layout(), template.jpeg());
    let mut out = Cursor::new(out);
    // Background bytes before this offset are in the output or replaced.
    let mut done = 0;
    for k in 0..layout.segments() {
        // A marker depends on its place in the frame alone, so those of the background stay.
        let span = template.segment_span(layout.frame_segment(k));
        out.put(&background[done..span.start])?;
        done = span.end;
        replace(k, &background[span], &mut out)?;
    }
    out.put(&background[done..])?;
    Ok(out.len())
}

/// Writes the segments that the patch touches to the start of `out`, each followed by the marker it has in the whole frame, and
/// returns their length. They are the bytes that stand, in rows, for those of the background; the frame's last segment has no
/// marker.
///
/// # Errors
/// As [`splice`].
pub fn splice_segments(template: &Template<'_>, patch: &Patch<'_>, out: &mut [u8]) -> Result<usize, SpliceError> {
    check(template, patch)?;
    let layout = template.layout();
    let mut out = Cursor::new(out);
    for (k, seam) in template.seams().iter().enumerate() {
        let segment = layout.frame_segment(k);
        let background = &template.jpeg()[template.segment_span(segment)];
        patch.write_segment(k, (background, seam), &mut out)?;
        if segment + 1 < layout.frame_segments() {
            out.put(&[0xFF, restart_marker(segment)])?;
        }
    }
    Ok(out.len())
}

fn check(template: &Template<'_>, patch: &Patch<'_>) -> Result<(), SpliceError> {
    if patch.layout() != template.layout() {
        return Err(SpliceError::Layout);
    }
    // Some hundred bytes: nothing beside the patch, and no mix of qualities can ever reach a viewer.
    if headers_agree(patch.header(), template.header()) == Ok(true) { Ok(()) } else { Err(SpliceError::Header) }
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
