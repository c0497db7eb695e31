//! The numbers of a manifest as the plans that sound and pictures are made by.

use std::sync::Arc;

use super::manifest::{GeneratorSettings, Manifest, Mask};
use crate::audio::{ClockError, Context, FrameClock, MelError, MelPlan};
use crate::picture::{GeneratorGeometry, GeometryError, PictureInput};

/// How an avatar's frames follow from sound and pictures.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    pub picture_input: PictureInput,
    pub mel_plan: Arc<MelPlan>,
    pub clock: FrameClock,
    pub context: Context,
}

/// What a manifest describes is not possible.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecipeError {
    #[error(transparent)]
    Picture(#[from] GeometryError),
    #[error(transparent)]
    Sound(#[from] MelError),
    #[error(transparent)]
    Clock(#[from] ClockError),
}

impl Recipe {
    /// The recipe of `manifest`.
    ///
    /// # Errors
    /// [`RecipeError`].
    pub(super) fn of(manifest: &Manifest) -> Result<Self, RecipeError> {
        let hop = u32::try_from(manifest.audio.hop_samples).unwrap_or(u32::MAX);
        Ok(Self {
            picture_input: picture_input(&manifest.generator)?,
            mel_plan: Arc::new(MelPlan::new(manifest.audio)?),
            clock: FrameClock::new(manifest.audio.sample_rate_hz, hop, manifest.fps)?,
            context: Context::new(manifest.audio_encoder.context),
        })
    }
}

fn picture_input(generator: &GeneratorSettings) -> Result<PictureInput, GeometryError> {
    let (size_px, border_px) = (generator.size_px as usize, generator.border_px as usize);
    let geometry = GeneratorGeometry::new(size_px, border_px, generator.channels, generator.resize)?;
    let Mask { x, y, width, height } = generator.mask;
    PictureInput::new(geometry, [x, y, width, height].map(|px| px as usize))
}
