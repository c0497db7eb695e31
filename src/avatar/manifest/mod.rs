//! `avatar.toml`: what a bundle says about itself.
//!
//! The text is read loosely, every fault noted, and converted once into [`Manifest`], which nothing can
//! half-fill.

mod read;
mod section;
mod write;

pub(crate) use read::{Draft, read_manifest};
pub(crate) use write::to_toml;

use super::order::FrameOrder;
use super::path::BundlePath;
use crate::audio::MelParams;
use crate::picture::{ChannelOrder, Interpolation};

/// The manifest's name in a bundle.
pub const MANIFEST_FILE: &str = "avatar.toml";
/// The version of the bundle format this program reads.
pub const BUNDLE_FORMAT: u32 = 1;

/// A valid `avatar.toml`.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// The avatar's name for people; its id is its folder's name.
    pub name: String,
    /// Video frames per second, 1..=120.
    pub fps: u32,
    pub frames: FrameSettings,
    pub generator: GeneratorSettings,
    pub audio_encoder: EncoderSettings,
    /// `[audio]`: how sound becomes the mel spectrogram.
    pub audio: MelParams,
}

/// `[frames]`: the avatar's pictures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameSettings {
    pub dir: BundlePath,
    pub boxes: BundlePath,
    /// Default ping-pong.
    pub order: FrameOrder,
}

/// `[generator]`: the network that draws the face, and how its picture is cut and pasted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratorSettings {
    pub model: BundlePath,
    /// Side of the picture the network sees, in pixels: 16..=2048, a multiple of 16.
    pub size_px: u32,
    /// Pixels of the crop around that picture, on each side: 0..=256, default 4.
    pub border_px: u32,
    /// What is painted black in the second half of the network's picture input.
    pub mask: Mask,
    /// How the box is resized to the crop and back; default bicubic.
    pub resize: Interpolation,
    /// Order of the three colour planes the network was trained on; default BGR.
    pub channels: ChannelOrder,
}

/// A rectangle inside the generator's picture, in pixels; at least 1x1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mask {
    pub x: u32,
    pub y: u32,
    pub width: u32,
    pub height: u32,
}

impl Mask {
    /// The mask the published training code uses for a picture of `size_px`: `[5, 5, size - 10, size - 15]`.
    pub fn published(size_px: u32) -> Self {
        Self { x: 5, y: 5, width: size_px.saturating_sub(10), height: size_px.saturating_sub(15) }
    }
}

/// The words for [`GeneratorSettings::resize`] in `avatar.toml`.
const RESIZES: [(&str, Interpolation); 2] = [("bicubic", Interpolation::Cubic), ("bilinear", Interpolation::Linear)];
/// The words for [`GeneratorSettings::channels`].
const CHANNELS: [(&str, ChannelOrder); 2] = [("bgr", ChannelOrder::Bgr), ("rgb", ChannelOrder::Rgb)];

/// `[audio_encoder]`: the network that turns sound into features.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncoderSettings {
    pub model: BundlePath,
    /// Features a frame sees, as many before it as from it on: even, 2..=64, default 16.
    pub context: usize,
}

#[cfg(test)]
mod tests;
