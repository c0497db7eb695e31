//! The avatar bundle: a folder with a manifest, frames, face boxes and two networks.
//!
//! ```text
//! avatar.toml ─ manifest ┐
//! frames/     ─ frames, probe ├─ examine ─▶ check: Report (all that is wrong, at once)
//! boxes.json  ─ boxes    │              └─▶ bundle: Bundle (what the daemon loads)
//! *.onnx      ─ onnx     ┘
//! import: datasets and model folders of other tools ─▶ a bundle
//! ```
//!
//! Checking a bundle decodes no picture and runs no network; [`loaded`] does, once, and [`trial`] without
//! keeping anything.

pub mod eviction;
pub mod frame_store;
pub mod import;
pub mod loaded;
pub mod onnx;
pub mod registry;
pub mod silence;

mod backgrounds;
mod boxes;
mod bundle;
mod check;
mod checks;
mod examine;
mod fault;
mod frame_loader;
mod frames;
mod id;
mod load_error;
mod manifest;
mod network;
mod order;
mod path;
mod probe;
mod recipe;
mod registry_error;
mod residents;
mod trial;
mod usage;

pub use backgrounds::BackgroundsVersion;
pub use boxes::MIN_BOX_SIDE_PX;
pub use bundle::{Bundle, BundleError, Network, WeightsFile};
pub use check::{Report, Summary, check};
pub use checks::Checks;
pub use eviction::EvictPolicy;
pub use fault::{Fault, Warning};
pub use frame_store::{FrameStore, FrameStoreError, Keep, TemplateOptions};
pub use id::{AvatarId, IdError, MAX_ID_CHARS};
pub use load_error::LoadError;
pub use loaded::{LoadedAvatar, MAX_CONTEXT, MAX_MELS};
pub use manifest::{BUNDLE_FORMAT, EncoderSettings, FrameSettings, GeneratorSettings, MANIFEST_FILE, Manifest, Mask};
pub use order::FrameOrder;
pub use path::{BundlePath, PathError};
pub use probe::{MAX_FRAME_SIDE_PX, PictureSize, ProbeError, probe, probe_file};
pub use registry::{Acquired, LoadCounts, Registry, ResidencyLimits};
pub use registry_error::RegistryError;
pub use trial::trial;
pub use usage::AvatarUse;
