//! A bundle that has been checked: what the daemon loads.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::check::Report;
use super::examine::examine;
use super::manifest::Manifest;
use super::onnx::{EncoderShape, GeneratorShape};
use super::probe::PictureSize;
use super::recipe::Recipe;
use crate::picture::Rect;

/// A checked bundle. Frames and networks are named, not loaded; all paths are absolute, links followed.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// The bundle's folder.
    pub dir: PathBuf,
    pub manifest: Manifest,
    /// What follows from the manifest's numbers.
    pub(crate) recipe: Recipe,
    /// The frames' files, in order; at least one.
    pub frames: Vec<PathBuf>,
    /// The one size all frames have.
    pub frame_size: PictureSize,
    /// One box for each frame, inside `frame_size`.
    pub boxes: Vec<Rect>,
    pub generator: Network<GeneratorShape>,
    pub audio_encoder: Network<EncoderShape>,
}

/// A network of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network<S> {
    pub path: PathBuf,
    /// Files that hold weights of it.
    pub weights: Vec<WeightsFile>,
    /// Which input is what.
    pub shape: S,
    /// Version of the standard operator set, when the file says it.
    pub opset: Option<i64>,
}

/// A file with weights of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightsFile {
    /// As the network names it.
    pub location: String,
    /// Where that leads, links followed.
    pub path: PathBuf,
}

/// The bundle cannot be used; the report says everything that is wrong.
#[derive(Debug, Error)]
#[error("the avatar bundle {} cannot be used; correct what follows\n{report}", dir.display())]
pub struct BundleError {
    pub dir: PathBuf,
    /// Boxed, since results should not carry its size when all is well.
    pub report: Box<Report>,
}

impl Bundle {
    /// Checks the bundle in `dir` and returns it; warnings, which do not stop it, are dropped.
    ///
    /// # Errors
    /// Every fault found, as [`super::check`] reports them.
    pub fn open(dir: &Path) -> Result<Self, BundleError> {
        let (report, bundle) = examine(dir);
        bundle.ok_or_else(|| BundleError { dir: dir.to_owned(), report: Box::new(report) })
    }
}
