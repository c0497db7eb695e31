//! The avatar's pictures and their crops: everything about a frame that does not depend on the sound.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use super::Bundle;
use super::frame_loader::{Loader, decode_unchanged};
use crate::picture::template::{BuildError, ContentDigest, OnDemandTemplates, TemplatePlan, TemplateSet};
use crate::picture::{
    CHANNELS, CropError, DecodeError, Image, JpegEncoder, JpegError, PackError, Quality, Rect, Unpacker,
};

/// Why a frame cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FrameStoreError {
    /// The file cannot be read, or the picture is damaged.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The picture is not of the size its header said.
    #[error("{path}: the picture is {got:?} pixels, its header said {expected:?}; replace the frame")]
    Size {
        /// The frame.
        path: PathBuf,
        /// Width and height it decoded to.
        got: (usize, usize),
        /// Width and height of the bundle's frames.
        expected: (usize, usize),
    },
    /// The box cannot be cut from the frame.
    #[error("{path}: box {index}: {source}")]
    Crop {
        /// The frame.
        path: PathBuf,
        /// Its number.
        index: usize,
        /// What is wrong with the box.
        source: CropError,
    },
    /// A frame cannot be encoded.
    #[error(transparent)]
    Jpeg(#[from] JpegError),
    /// A crop cannot be packed.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The templates could not be made.
    #[error(transparent)]
    Templates(#[from] Box<BuildError<FrameStoreError>>),
}

/// How an avatar's pictures are kept in memory.
#[derive(Debug, Clone)]
pub enum Keep {
    /// As pixels, 3 bytes each: for lossless output.
    Pixels,
    /// As JPEG templates, a twentieth of that: for everything that is delivered as JPEG.
    Templates(TemplateOptions),
}

/// How templates are made.
#[derive(Debug, Clone)]
pub struct TemplateOptions {
    /// The quality most viewers get.
    pub quality: Quality,
    /// Where made templates are kept between runs.
    pub cache_dir: Option<PathBuf>,
    /// Templates at other qualities, for all avatars.
    pub on_demand: Arc<OnDemandTemplates>,
}

/// The pictures in the form they are kept.
pub enum Pictures {
    /// Decoded.
    Pixels(Vec<Image>),
    /// Encoded once; a frame's patch is spliced in.
    Templates {
        /// At the avatar's own quality.
        set: Box<TemplateSet>,
        /// At other qualities.
        on_demand: Arc<OnDemandTemplates>,
    },
}

/// Every picture of an avatar with its crop and box.
pub struct FrameStore {
    pictures: Pictures,
    /// Of pictures kept as pixels; templates keep theirs beside them, packed.
    crops: Vec<Image>,
    boxes: Vec<Rect>,
    paths: Vec<PathBuf>,
    /// Of the files as they were read; none where the pictures are kept as pixels.
    contents: Vec<ContentDigest>,
    size_px: (usize, usize),
    crop_side_px: usize,
}

impl FrameStore {
    /// Reads every frame of `bundle` on all cores, keeping the pictures as `keep` says. Where splicing does
    /// not pay for the frames' geometry, they are kept as pixels all the same.
    ///
    /// # Errors
    /// That of the first faulty frame met.
    pub fn load(bundle: &Bundle, keep: &Keep, progress: &(dyn Fn(usize) + Sync)) -> Result<Self, FrameStoreError> {
        let loader = Loader::of(bundle);
        let templates = match keep {
            Keep::Pixels => None,
            Keep::Templates(options) => loader.templates(options, progress)?,
        };
        let (pictures, crops, contents) = match templates {
            None => loader.pixels(progress).map(|(pictures, crops)| (pictures, crops, Vec::new()))?,
            Some((pictures, contents)) => (pictures, Vec::new(), contents),
        };
        Ok(Self {
            pictures,
            crops,
            boxes: bundle.boxes.clone(),
            paths: bundle.frames.clone(),
            contents,
            size_px: bundle.frame_size.px(),
            crop_side_px: loader.geometry.crop_side_px(),
        })
    }

    /// What is wrong with the pictures of `bundle`, each decoded and cut, none kept.
    pub(super) fn faults(bundle: &Bundle, progress: &(dyn Fn(usize) + Sync)) -> Vec<FrameStoreError> {
        Loader::of(bundle).faults(progress)
    }

    /// Number of pictures.
    #[must_use]
    pub fn len(&self) -> usize {
        self.boxes.len()
    }

    /// Whether there is no picture; a checked bundle has one at least.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.boxes.is_empty()
    }

    /// Width and height of every picture.
    #[must_use]
    pub fn size_px(&self) -> (usize, usize) {
        self.size_px
    }

    /// The pictures as they are kept.
    #[must_use]
    pub fn pictures(&self) -> &Pictures {
        &self.pictures
    }

    /// The pictures as templates, where they are kept so.
    #[must_use]
    pub fn templates(&self) -> Option<&TemplateSet> {
        match &self.pictures {
            Pictures::Templates { set, .. } => Some(set),
            Pictures::Pixels(_) => None,
        }
    }

    /// The pixels of picture `index`; kept as a template, it is decoded from its file again.
    ///
    /// # Errors
    /// [`DecodeError`], [`DecodeError::Changed`] when the file has changed since it was loaded.
    pub fn pixels(&self, index: usize) -> Result<Cow<'_, Image>, DecodeError> {
        match &self.pictures {
            Pictures::Pixels(images) => Ok(Cow::Borrowed(&images[index])),
            Pictures::Templates { .. } => Ok(Cow::Owned(decode_unchanged(&self.paths[index], &self.contents[index])?)),
        }
    }

    /// The crop of picture `index`, which `unpacker` lends where it is kept packed.
    ///
    /// # Errors
    /// [`PackError`] when a cache file held something else.
    pub fn crop<'a>(&'a self, index: usize, unpacker: &'a mut Unpacker) -> Result<&'a [u8], PackError> {
        match self.templates() {
            Some(set) => unpacker.unpack(set.beside(index), (self.crop_side_px, self.crop_side_px)),
            None => Ok(self.crops[index].data()),
        }
    }

    /// Every picture's box.
    #[must_use]
    pub fn boxes(&self) -> &[Rect] {
        &self.boxes
    }

    /// Bytes that hold any frame as a JPEG, at the quality the pictures are kept for.
    #[must_use]
    pub fn max_jpeg_len(&self) -> usize {
        let (width_px, height_px) = self.size_px;
        self.templates().map_or_else(|| JpegEncoder::max_len(width_px, height_px), TemplateSet::max_frame_len)
    }

    /// Bytes of the pictures and crops.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let total = |images: &[Image]| images.iter().map(|image| image.data().len() as u64).sum::<u64>();
        let pictures = match &self.pictures {
            Pictures::Pixels(images) => total(images),
            Pictures::Templates { set, .. } => set.resident_bytes() as u64,
        };
        pictures + total(&self.crops)
    }
}

/// Bytes that loading `bundle` will hold, for admission before the work.
#[must_use]
pub fn predicted_bytes(bundle: &Bundle, keep: &Keep) -> u64 {
    let size_px = bundle.frame_size.px();
    let pixels = (size_px.0 * size_px.1 * CHANNELS) as u64;
    let spliced = match keep {
        Keep::Pixels => false,
        Keep::Templates(options) => TemplatePlan::choose(size_px, &bundle.boxes, options.quality).is_some(),
    };
    let crop = bundle.recipe.picture_input.geometry().crop_len() as u64;
    // Measured: a photograph's template at quality 75 is a nineteenth of its pixels, at 90 an eleventh, and a packed crop less than
    // half of its own.
    let frame = if spliced { pixels / 12 + crop / 2 } else { pixels + crop };
    bundle.frames.len() as u64 * frame
}
