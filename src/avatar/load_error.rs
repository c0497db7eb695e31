//! Why an avatar cannot be loaded.

use std::path::PathBuf;

use super::BundleError;
use super::frame_store::FrameStoreError;
use crate::audio::{ClockError, MelError};
use crate::backend::BackendError;
use crate::picture::{CompositeError, GeometryError};
use crate::session::SessionError;

/// Why an avatar cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The bundle is faulty; the report says all that is wrong.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A frame cannot be decoded or cut.
    #[error(transparent)]
    Frames(#[from] FrameStoreError),
    /// `[generator]` describes no possible picture.
    #[error("{manifest}: [generator]: {source}")]
    Geometry {
        /// `avatar.toml`.
        manifest: PathBuf,
        /// What is impossible.
        source: GeometryError,
    },
    /// The boxes cannot be pasted to.
    #[error(transparent)]
    Composite(#[from] CompositeError),
    /// `[audio]` describes no possible mel spectrogram.
    #[error("{manifest}: [audio]: {source}")]
    Mel {
        /// `avatar.toml`.
        manifest: PathBuf,
        /// What is impossible.
        source: MelError,
    },
    /// The audio and video rates describe no clock.
    #[error("{manifest}: {source}")]
    Clock {
        /// `avatar.toml`.
        manifest: PathBuf,
        /// What is impossible.
        source: ClockError,
    },
    /// A number of `avatar.toml` is more than slots have room for.
    #[error("{manifest}: {field} is {got}; at most {most} are supported")]
    TooMany {
        /// `avatar.toml`.
        manifest: PathBuf,
        /// The field.
        field: &'static str,
        /// Its value.
        got: usize,
        /// The bound.
        most: usize,
    },
    /// The backend refused the networks.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// It was loaded, and no frame of it could be drawn.
    #[error("it was loaded, but cannot be drawn: {source}")]
    Undrawable {
        /// What the device said.
        source: SessionError,
    },
    /// The bundle is not the one that is loaded.
    #[error(
        "{dir}: its networks have changed since the avatar was loaded; unload it before it can go on another device"
    )]
    Changed {
        /// The bundle's folder.
        dir: PathBuf,
    },
}
