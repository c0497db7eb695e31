//! The file that templates are kept in, and its validation.
//!
//! Little-endian: `LSTMPL02`, the 32 bytes of the [`CacheKey`], the number of frames as u32, then per frame the lengths of
//! its JPEG, its margin and what its owner keeps beside them as u32 each, then per frame the three themselves, and at the end the
//! SHA-256 of all before it.
//! The same bytes serve in memory where there is no cache folder.

use std::io;
use std::ops::Range;

use sha2::{Digest, Sha256};

use super::key::CacheKey;
use super::layout::StripLayout;
use super::plan::TemplatePlan;
use super::segments::{SegmentError, index_segments};

const MAGIC: &[u8; 8] = b"LSTMPL02";
const KEY_LEN: usize = 32;
const CHECKSUM_LEN: usize = 32;
const RECORD_LEN: usize = 12;
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

/// The bytes of a cache file.
pub(super) fn assemble(key: &CacheKey, frames: Vec<Parts>) -> Result<Vec<u8>, CacheError> {
    let payload: usize = frames.iter().flat_map(Parts::each).map(<[u8]>::len).sum();
    let mut out = Vec::with_capacity(HEAD_LEN + frames.len() * RECORD_LEN + payload + CHECKSUM_LEN);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(key.bytes());
    let length = |frame: usize, len: usize| u32::try_from(len).map_err(|_| CacheError::TooLong { frame });
    out.extend(length(0, frames.len())?.to_le_bytes());
    for (frame, parts) in frames.iter().enumerate() {
        for part in parts.each() {
            out.extend(length(frame, part.len())?.to_le_bytes());
        }
    }
    for parts in frames {
        parts.each().into_iter().for_each(|part| out.extend_from_slice(part));
    }
    let checksum = Sha256::digest(&out);
    out.extend(checksum);
    Ok(out)
}

/// Checks every byte of a cache file and finds its parts.
pub(super) fn parse(bytes: &[u8], plan: &TemplatePlan, key: &CacheKey) -> Result<Vec<Record>, CacheError> {
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
    let lengths = rest.get(..layouts.len() * RECORD_LEN).ok_or(CacheError::Damaged)?.as_chunks::<4>().0;
    let mut reader = Reader { content, at: HEAD_LEN + layouts.len() * RECORD_LEN };
    let mut records = Vec::with_capacity(layouts.len());
    for (frame, (layout, lengths)) in layouts.iter().zip(lengths.as_chunks::<3>().0).enumerate() {
        records.push(reader.record(frame, layout, lengths.map(|n| u32::from_le_bytes(n) as usize))?);
    }
    let head = |record: &Record| &content[record.jpeg.start..][..record.scan];
    let uniform = records.windows(2).all(|pair| head(&pair[0]) == head(&pair[1]));
    if reader.at == content.len() && uniform { Ok(records) } else { Err(CacheError::Damaged) }
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
        Ok(Record { jpeg, margin, beside, scan, ends })
    }
}
