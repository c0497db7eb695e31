//! The numbers of a manifest as the plans that sound and pictures are made by.

use std::sync::Arc;

use super::{Bundle, Channels, LoadError, MANIFEST_FILE, MAX_CONTEXT, MAX_MELS, Mask, Resize};
use crate::audio::{Context, FrameClock, MelParams, MelPlan};
use crate::picture::{ChannelOrder, GeneratorGeometry, GeometryError, Interpolation, PictureInput};

/// How an avatar's frames follow from sound and pictures.
#[derive(Clone)]
pub(super) struct Recipe {
    pub picture_input: PictureInput,
    pub mel_plan: Arc<MelPlan>,
    pub clock: FrameClock,
    pub context: Context,
}

impl Recipe {
    /// The recipe of `bundle`.
    ///
    /// # Errors
    /// [`LoadError`] naming the field that describes nothing possible.
    pub fn of(bundle: &Bundle) -> Result<Self, LoadError> {
        let path = || bundle.dir.join(MANIFEST_FILE);
        let manifest = &bundle.manifest;
        bounded(bundle, "audio.mels", manifest.audio.mels, MAX_MELS)?;
        bounded(bundle, "audio_encoder.context", manifest.audio_encoder.context, MAX_CONTEXT)?;
        let picture_input =
            picture_input_of(bundle).map_err(|source| LoadError::Geometry { manifest: path(), source })?;
        let mel_plan =
            MelPlan::new(mel_params(bundle)).map_err(|source| LoadError::Mel { manifest: path(), source })?;
        let audio = &manifest.audio;
        let hop = u32::try_from(audio.hop_samples).unwrap_or(u32::MAX);
        let clock = FrameClock::new(audio.sample_rate_hz, hop, manifest.fps)
            .map_err(|source| LoadError::Clock { manifest: path(), source })?;
        let context = Context::new(manifest.audio_encoder.context);
        Ok(Self { picture_input, mel_plan: Arc::new(mel_plan), clock, context })
    }
}

fn bounded(bundle: &Bundle, field: &'static str, got: usize, most: usize) -> Result<(), LoadError> {
    if got <= most {
        return Ok(());
    }
    Err(LoadError::TooMany { manifest: bundle.dir.join(MANIFEST_FILE), field, got, most })
}

/// The sizes that the bundle's generator works at.
pub(crate) fn geometry_of(bundle: &Bundle) -> Result<GeneratorGeometry, GeometryError> {
    let generator = &bundle.manifest.generator;
    let channels = match generator.channels {
        Channels::Bgr => ChannelOrder::Bgr,
        Channels::Rgb => ChannelOrder::Rgb,
    };
    let interpolation = match generator.resize {
        Resize::Bicubic => Interpolation::Cubic,
        Resize::Bilinear => Interpolation::Linear,
    };
    let (size_px, border_px) = (generator.size_px as usize, generator.border_px as usize);
    GeneratorGeometry::new(size_px, border_px, channels, interpolation)
}

fn picture_input_of(bundle: &Bundle) -> Result<PictureInput, GeometryError> {
    let Mask { x, y, width, height } = bundle.manifest.generator.mask;
    PictureInput::new(geometry_of(bundle)?, [x, y, width, height].map(|px| px as usize))
}

fn mel_params(bundle: &Bundle) -> MelParams {
    let audio = &bundle.manifest.audio;
    MelParams {
        sample_rate_hz: audio.sample_rate_hz,
        n_fft: audio.n_fft_samples,
        hop_samples: audio.hop_samples,
        window_samples: audio.window_samples,
        mels: audio.mels,
        fmin_hz: audio.fmin_hz,
        fmax_hz: audio.fmax_hz,
        pre_emphasis: audio.pre_emphasis,
    }
}
