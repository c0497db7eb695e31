//! Makes bundles from what other tools leave behind.
//!
//! A source is read into a plan (frames, boxes, networks, manifest); the plan is written beside the
//! target, checked like any bundle, and moved into place only when it is whole.

mod crop_rects;
mod go_config;
mod go_server;
mod lms;
mod plan;
mod synctalk;
mod write;

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::check::Report;

/// Where a bundle's parts come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportSource {
    /// A SyncTalk_2D dataset (`full_body_img/N.jpg`, `landmarks/N.lms`) and the two exported networks.
    SyncTalk2d { dataset: PathBuf, generator: PathBuf, audio_encoder: PathBuf },
    /// A model folder of the Go server: `frames/frame_NNNN.png|jpg`, `crop_rects.json`, `model_best.onnx`,
    /// `audio_encoder.onnx`. `config` is its `config.yaml`; `None` takes the one in the folder, if any.
    GoServer { model_dir: PathBuf, config: Option<PathBuf> },
}

/// Where a bundle goes and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportOptions {
    /// The bundle's folder; its name becomes the avatar's id.
    pub to: PathBuf,
    /// The avatar's name for people; `None` takes the folder's name.
    pub name: Option<String>,
    /// Replace a bundle that is already there.
    pub force: bool,
    /// Hard-link the frames instead of copying them, where the file system can. The bundle then changes with
    /// the originals.
    pub link: bool,
}

/// A finished import.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportSummary {
    pub bundle: PathBuf,
    /// The check of the new bundle; its warnings include those about the source.
    pub report: Report,
}

/// Why no bundle was made. Nothing was left at the target, nor was anything there changed.
#[derive(Debug, Error)]
pub enum ImportError {
    #[error("the source cannot be imported; correct what follows\n{0}")]
    Source(Report),
    #[error("the bundle would not be usable; correct the source\n{0}")]
    Bundle(Report),
    #[error("{} exists; give another folder, or --force to replace the bundle there", to.display())]
    Exists { to: PathBuf },
    #[error("{} is not a bundle, so --force does not replace it; give another folder", to.display())]
    NotABundle { to: PathBuf },
    #[error("{} is not a folder's name; give the folder to make", to.display())]
    Target { to: PathBuf },
    #[error("{} cannot be copied to {} ({source}); check both files and the disk", from.display(), to.display())]
    Copy { from: PathBuf, to: PathBuf, source: io::Error },
    #[error("{} cannot be written ({source}); check the disk and the permissions", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// Makes a bundle; `progress` hears `(files done, files in all)` after each file.
///
/// # Errors
/// Everything wrong with the source at once, a target in the way, or a failed write.
pub fn import(
    source: &ImportSource,
    options: &ImportOptions,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<ImportSummary, ImportError> {
    // Before the source is read, which takes a while.
    let target = write::Target::claim(options)?;
    let mut report = Report::default();
    let plan = match source {
        ImportSource::SyncTalk2d { dataset, generator, audio_encoder } => {
            synctalk::plan(dataset, generator, audio_encoder, target.name(), &mut report)
        }
        ImportSource::GoServer { model_dir, config } => {
            go_server::plan(model_dir, config.as_deref(), target.name(), &mut report)
        }
    };
    match plan {
        Some(plan) if report.is_usable() => target.write(&plan, report.warnings, progress),
        _ => Err(ImportError::Source(report)),
    }
}

#[cfg(test)]
mod tests;
