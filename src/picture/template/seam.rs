//! Where a template's segments are cut for the patch between.

use super::huffman::Codes;
use super::layout::{Part, StripLayout};
use super::macroblocks::{Head, Levels, Walk};
use super::segments::SegmentError;

/// MCUs that are moved together: the first one's DC values are written anew, all other bits are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub head: Head,
    /// The bit after its last MCU.
    pub end: u32,
}

/// What of a template's segment stays: its MCUs before those of the strip, and those after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seam {
    /// The bit after the MCUs before the strip's.
    pub before_end: u32,
    /// The DC values of the last of them; zeros where there are none.
    pub before: Levels,
    pub after: Option<Run>,
}

/// The strip's MCUs in one segment of the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Filling {
    pub run: Run,
    /// The DC values of the last one.
    pub levels: Levels,
}

impl Seam {
    /// Finds the cuts in a template's segment for the strip's `part` of it.
    pub fn find(segment: &[u8], codes: &Codes, part: &Part, plain: &mut Vec<u8>) -> Result<Self, SegmentError> {
        let mut walk = Walk::new(codes, segment, plain);
        walk.skip(part.before)?;
        let (before_end, before) = (walk.place(), walk.levels());
        walk.skip(part.strip.len())?;
        let after = match part.after.checked_sub(1) {
            None => None,
            Some(others) => {
                let head = walk.head()?;
                walk.skip(others)?;
                Some(Run { head, end: walk.place() })
            }
        };
        walk.end()?;
        Ok(Self { before_end, before, after })
    }
}

/// Finds the strip's MCUs in `row`, one row of an encoded strip, for every segment of the frame that it touches; appends to `out`.
pub(super) fn fillings(
    row: &[u8],
    codes: &Codes,
    layout: &StripLayout,
    plain: &mut Vec<u8>,
    out: &mut Vec<Filling>,
) -> Result<(), SegmentError> {
    let mut walk = Walk::new(codes, row, plain);
    for part in layout.parts() {
        let head = walk.head()?;
        walk.skip(part.strip.len() - 1)?;
        out.push(Filling { run: Run { head, end: walk.place() }, levels: walk.levels() });
    }
    walk.end()
}
