//! All templates of one avatar at one quality.

use std::ops::Range;

use super::cache::{CacheError, Parsed, Record, parse};
use super::huffman::Codes;
use super::key::CacheKey;
use super::layout::StripLayout;
use super::mapped::MappedFile;
use super::margin::lay_margin;
use super::plan::TemplatePlan;
use super::seam::Seam;
use crate::picture::image::ImageError;
use crate::picture::jpeg::{JpegEncoder, JpegSettings};
use crate::picture::view::ViewMut;

/// Templates of every frame of an avatar: background JPEG, its segments, and the pixels around the box. Immutable.
#[derive(Debug)]
pub struct TemplateSet {
    plan: TemplatePlan,
    key: CacheKey,
    store: Store,
    codes: Codes,
    records: Vec<Record>,
}

/// The bytes of a cache file, wherever they lie.
#[derive(Debug)]
pub(super) enum Store {
    Memory(Vec<u8>),
    Mapped(MappedFile),
}

impl Store {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Memory(bytes) => bytes,
            Self::Mapped(file) => file,
        }
    }
}

impl TemplateSet {
    /// Takes the bytes of a cache file after checking every one of them.
    pub(super) fn new(plan: TemplatePlan, key: &CacheKey, store: Store) -> Result<Self, CacheError> {
        let Parsed { codes, records } = parse(store.bytes(), &plan, key)?;
        Ok(Self { plan, key: *key, store, codes, records })
    }

    /// Avatar frames.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no frame at all.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Names content and settings: the version that clients who keep backgrounds compare.
    pub fn key(&self) -> &CacheKey {
        &self.key
    }

    /// Quality and restart interval.
    pub fn settings(&self) -> JpegSettings {
        self.plan.settings()
    }

    /// One layout per frame.
    pub fn layouts(&self) -> &[StripLayout] {
        self.plan.layouts()
    }

    /// The template of one avatar frame.
    pub fn template(&self, frame: usize) -> Option<Template<'_>> {
        let (record, layout) = (self.records.get(frame)?, self.plan.layouts().get(frame)?);
        let bytes = self.store.bytes();
        let (jpeg, margin) = (&bytes[record.jpeg.clone()], &bytes[record.margin.clone()]);
        Some(Template { layout, jpeg, margin, scan: record.scan, ends: &record.ends, seams: &record.seams })
    }

    /// The Huffman tables of all of them.
    pub(super) fn codes(&self) -> &Codes {
        &self.codes
    }

    /// What the frames' owner keeps beside the template of `frame`; empty past the last.
    pub fn beside(&self, frame: usize) -> &[u8] {
        self.records.get(frame).map_or(&[], |record| &self.store.bytes()[record.beside.clone()])
    }

    /// Bytes that hold any frame spliced from these templates, and any patch: the size of a pooled output buffer.
    ///
    /// The background's JPEG, the longest that the strip can be, and as much again as the touched segments have, since each of
    /// their bytes may need stuffing once it is shifted.
    pub fn max_frame_len(&self) -> usize {
        let frame = |(record, layout): (&Record, &StripLayout)| {
            let (width_px, height_px) = layout.strip_px();
            record.jpeg.len() + JpegEncoder::max_len(width_px, height_px) + record.touched_len
        };
        self.records.iter().zip(self.plan.layouts()).map(frame).max().unwrap_or(0)
    }

    /// Bytes of backgrounds, margins, what is kept beside them, and indices; mapped ones count as if they were all in memory.
    pub fn resident_bytes(&self) -> usize {
        let index = |record: &Record| size_of_val(&record.ends[..]) + size_of_val(&record.seams[..]);
        self.store.bytes().len() + self.records.iter().map(index).sum::<usize>()
    }
}

/// One avatar frame's template.
#[derive(Debug, Clone, Copy)]
pub struct Template<'a> {
    layout: &'a StripLayout,
    jpeg: &'a [u8],
    margin: &'a [u8],
    scan: usize,
    ends: &'a [u32],
    seams: &'a [Seam],
}

impl<'a> Template<'a> {
    /// Where the box lies among the segments.
    pub fn layout(&self) -> &'a StripLayout {
        self.layout
    }

    /// The background as a complete JPEG: the avatar's frame as it is.
    pub fn jpeg(&self) -> &'a [u8] {
        self.jpeg
    }

    /// The JPEG's bytes before its scan.
    pub fn header(&self) -> &'a [u8] {
        &self.jpeg[..self.scan]
    }

    /// Offsets of one segment's entropy-coded bytes in [`Template::jpeg`]; its marker's two bytes follow.
    ///
    /// # Panics
    /// When the frame has no such segment.
    pub fn segment_span(&self, segment: usize) -> Range<usize> {
        let start = segment.checked_sub(1).map_or(self.scan, |before| self.ends[before] as usize + 2);
        start..self.ends[segment] as usize
    }

    /// One for each segment that the strip touches.
    pub(super) fn seams(&self) -> &'a [Seam] {
        self.seams
    }

    /// Lays the background's pixels around the box of a strip; the box itself is left as it is.
    ///
    /// # Errors
    /// [`ImageError::Length`] when `strip` has not the layout's size.
    pub fn lay_margin(&self, strip: &mut ViewMut<'_>) -> Result<(), ImageError> {
        lay_margin(self.margin, self.layout, strip)
    }
}
