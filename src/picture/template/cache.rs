//! The file that templates are kept in, and its validation.
//!
//! Little-endian: `LSTMPL03`, the 32 bytes of the [`CacheKey`], the number of frames as u32; then of each frame its JPEG, its margin and
//! what its owner keeps beside them; then of each frame the lengths of the three as u32; and at the end the SHA-256 of all
//! before it. The same bytes serve in memory where there is no cache folder.

use std::io;
use std::ops::Range;

use sha2::{Digest, Sha256};

use super::header::Header;
use super::huffman::Codes;
use super::key::CacheKey;
use super::layout::{Part, StripLayout};
use super::patch::segment;
use super::plan::TemplatePlan;
use super::seam::Seam;
use super::segments::{SegmentError, index_segments};

const MAGIC: &[u8; 8] = b"LSTMPL03";
const KEY_LEN: usize = 32;
const CHECKSUM_LEN: usize = 32;
const RECORD_LEN: usize = 12;
/// Six DC differences of 20 bits at most, all of whose bytes may be stuffed, and the padding.
const MAX_JOINTS_LEN: usize = 32;
const HEAD_LEN: usize = MAGIC.len() + KEY_LEN + 4;

/// Why a cache file is not used, or could not be written.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The file could not be read or mapped.
    #[error("the template cache could not be read: {0}")]
    Read(#[source] io::Error),
    /// The file could not be written.
    #[error("the template cache could not be written: {0}")]
    Write(#[source] io::Error),
    /// It is no template cache, or one of another format, or for other content.
    #[error("the template cache has another format or belongs to other frames")]
    Foreign,
    /// There is nothing to make templates of.
    #[error("an avatar without frames has no templates")]
    Empty,
    /// Its lengths do not add up or its checksum is wrong.
    #[error("the template cache is damaged")]
    Damaged,
    /// A frame's JPEG has not the segments its layout needs.
    #[error("template {frame} in the cache is damaged: {source}")]
    Segments {
        /// The frame.
        frame: usize,
        /// What is wrong.
        source: SegmentError,
    },
    /// A frame's part is too long for the format.
    #[error("template {frame} is too long for the cache")]
    TooLong {
        /// The frame.
        frame: usize,
    },
}

/// Where one template's parts lie in the file, and where its segments end in the JPEG.
#[derive(Debug)]
pub(super) struct Record {
    pub jpeg: Range<usize>,
    pub margin: Range<usize>,
    pub beside: Range<usize>,
    pub scan: usize,
    pub ends: Vec<u32>,
    /// One for each segment that the strip touches.
    pub seams: Vec<Seam>,
    /// Bytes of those segments, and of the joints in them at most.
    pub touched_len: usize,
}

/// What a cache file holds.
pub(super) struct Parsed {
    /// The tables that all JPEGs have.
    pub codes: Codes,
    pub records: Vec<Record>,
}

/// What is kept of one frame.
pub(super) struct Parts {
    pub jpeg: Vec<u8>,
    pub margin: Vec<u8>,
    /// Its owner's own, such as the crop.
    pub beside: Vec<u8>,
}

impl Parts {
    fn each(&self) -> [&[u8]; 3] {
        [&self.jpeg, &self.margin, &self.beside]
    }
}

/// The bytes of a cache file as they come about, frame by frame. One buffer holds them all, so that what is built for a moment
/// leaves no holes in the heap.
pub(super) struct Assembly {
    bytes: Vec<u8>,
    lengths: Vec<[u32; 3]>,
    count: usize,
}

impl Assembly {
    /// Begins the file of `count` frames.
    pub fn new(key: &CacheKey, count: usize) -> Result<Self, CacheError> {
        let number = u32::try_from(count).map_err(|_| CacheError::TooLong { frame: 0 })?;
        let mut bytes = Vec::new();
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(key.bytes());
        bytes.extend(number.to_le_bytes());
        Ok(Self { bytes, lengths: Vec::with_capacity(count), count })
    }

    /// Frames appended.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Appends the next frame.
    pub fn push(&mut self, parts: &Parts) -> Result<(), CacheError> {
        let frame = self.lengths.len();
        let length = |part: &[u8]| u32::try_from(part.len()).map_err(|_| CacheError::TooLong { frame });
        let [jpeg, margin, beside] = parts.each().map(length);
        self.lengths.push([jpeg?, margin?, beside?]);
        let len: usize = parts.each().iter().map(|part| part.len()).sum();
        if self.bytes.capacity() - self.bytes.len() < len {
            // As if the frames to come were a quarter larger than this one: memory that is not written is not taken.
            self.bytes.reserve(len + (self.count - frame) * (len + len / 4 + RECORD_LEN) + CHECKSUM_LEN);
        }
        parts.each().into_iter().for_each(|part| self.bytes.extend_from_slice(part));
        Ok(())
    }

    /// The whole file.
    pub fn finish(mut self) -> Vec<u8> {
        self.lengths.iter().flatten().for_each(|length| self.bytes.extend(length.to_le_bytes()));
        let checksum = Sha256::digest(&self.bytes);
        self.bytes.extend(checksum);
        self.bytes
    }
}

/// Checks every byte of a cache file and finds its parts.
pub(super) fn parse(bytes: &[u8], plan: &TemplatePlan, key: &CacheKey) -> Result<Parsed, CacheError> {
    let (content, checksum) = bytes.split_last_chunk::<CHECKSUM_LEN>().ok_or(CacheError::Damaged)?;
    let (magic, rest) = content.split_first_chunk().ok_or(CacheError::Damaged)?;
    let (found_key, rest) = rest.split_first_chunk::<KEY_LEN>().ok_or(CacheError::Damaged)?;
    if magic != MAGIC || found_key != key.bytes() {
        return Err(CacheError::Foreign);
    }
    if Sha256::digest(content)[..] != checksum[..] {
        return Err(CacheError::Damaged);
    }
    let (count, rest) = rest.split_first_chunk().ok_or(CacheError::Damaged)?;
    let layouts = plan.layouts();
    if u32::from_le_bytes(*count) as usize != layouts.len() {
        return Err(CacheError::Foreign);
    }
    let table = rest.len().checked_sub(layouts.len() * RECORD_LEN).ok_or(CacheError::Damaged)?;
    let lengths = rest[table..].as_chunks::<4>().0.as_chunks::<3>().0;
    let mut reader = Reader { content: &content[..HEAD_LEN + table], at: HEAD_LEN };
    let mut records = Vec::with_capacity(layouts.len());
    for (frame, (layout, lengths)) in layouts.iter().zip(lengths).enumerate() {
        records.push(reader.record(frame, layout, lengths.map(|n| u32::from_le_bytes(n) as usize))?);
    }
    let head = |record: &Record| &content[record.jpeg.start..][..record.scan];
    let first = head(records.first().ok_or(CacheError::Empty)?);
    if reader.at != reader.content.len() || records.iter().any(|record| head(record) != first) {
        return Err(CacheError::Damaged);
    }
    let segments = |source| CacheError::Segments { frame: 0, source };
    let codes = Header::read(first).and_then(|header| Codes::of(&header)).map_err(segments)?;
    find_seams(content, layouts, &codes, &mut records)?;
    Ok(Parsed { codes, records })
}

/// Cuts every template's segments around its strip.
fn find_seams(
    content: &[u8],
    layouts: &[StripLayout],
    codes: &Codes,
    records: &mut [Record],
) -> Result<(), CacheError> {
    let mut plain = Vec::new();
    for (frame, (layout, record)) in layouts.iter().zip(records).enumerate() {
        let jpeg = &content[record.jpeg.clone()];
        let parts: Vec<Part> = layout.parts().collect();
        let seam = |k: usize| {
            let bytes = segment(jpeg, record.scan, &record.ends, layout.frame_segment(k));
            record.touched_len += bytes.len() + MAX_JOINTS_LEN;
            Seam::find(bytes, codes, &parts[k % parts.len()], &mut plain)
        };
        let seams = (0..layout.segments()).map(seam).collect::<Result<_, _>>();
        record.seams = seams.map_err(|source| CacheError::Segments { frame, source })?;
    }
    Ok(())
}

struct Reader<'a> {
    content: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, len: usize) -> Result<Range<usize>, CacheError> {
        let end = self.at.checked_add(len).filter(|&end| end <= self.content.len()).ok_or(CacheError::Damaged)?;
        let range = self.at..end;
        self.at = end;
        Ok(range)
    }

    fn record(&mut self, frame: usize, layout: &StripLayout, lengths: [usize; 3]) -> Result<Record, CacheError> {
        let (jpeg, margin, beside) = (self.take(lengths[0])?, self.take(lengths[1])?, self.take(lengths[2])?);
        if margin.len() != layout.margin_len() {
            return Err(CacheError::Damaged);
        }
        let mut ends = Vec::with_capacity(layout.frame_segments());
        let scan = index_segments(&self.content[jpeg.clone()], layout.frame_segments(), &mut ends)
            .map_err(|source| CacheError::Segments { frame, source })?;
        Ok(Record { jpeg, margin, beside, scan, ends, seams: Vec::new(), touched_len: 0 })
    }
}
