//! The avatar's own frames as JPEG files: what patches are drawn on, for clients that keep them.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use super::LoadedAvatar;
use super::frame_store::Pictures;
use crate::backend::BackendError;
use crate::picture::template::{StripLayout, TemplateSet};
use crate::picture::{JpegEncoder, JpegSettings, Quality};

/// Names backgrounds: equal bytes mean equal files.
pub type BackgroundsVersion = [u8; 16];

impl LoadedAvatar {
    /// The pictures as templates; `None` where frames are encoded whole.
    #[must_use]
    pub fn templates(&self) -> Option<&TemplateSet> {
        self.frames.templates()
    }

    /// The version of the backgrounds at `quality`. It changes with the frames, the boxes, the restart interval and the
    /// encoder; where frames are kept as pixels, with every load, since nothing has read all of them.
    #[must_use]
    pub fn backgrounds_version(&self, quality: Quality) -> BackgroundsVersion {
        let mut hash = Sha256::new();
        match self.templates() {
            Some(set) => hash.update(set.key().bytes()),
            None => hash.update(self.loaded_at_ns().to_le_bytes()),
        }
        hash.update(quality.get().to_le_bytes());
        let mut version = BackgroundsVersion::default();
        version.copy_from_slice(&hash.finalize()[..size_of::<BackgroundsVersion>()]);
        version
    }

    /// Where the patch of picture `index` lies among the frame's segments; `None` where frames are encoded whole.
    #[must_use]
    pub fn strip_layout(&self, index: usize) -> Option<&StripLayout> {
        self.templates()?.layouts().get(index)
    }

    /// Macroblocks from restart marker to restart marker; 0 where frames are encoded whole.
    #[must_use]
    pub fn restart_interval_mcus(&self) -> u16 {
        self.templates().map_or(0, |set| set.settings().restart_interval_mcus)
    }

    /// Whether pictures at `quality` are kept as files, so that none has to be encoded.
    #[must_use]
    pub fn keeps_backgrounds(&self, quality: Quality) -> bool {
        self.templates().is_some_and(|set| quality == set.settings().quality)
    }

    /// Picture `index` as a JPEG file, as patches at `quality` expect it.
    ///
    /// # Errors
    /// [`BackendError`] when the picture's file has changed or cannot be encoded.
    pub fn background_jpeg(&self, index: usize, quality: Quality) -> Result<Vec<u8>, BackendError> {
        match self.pictures() {
            Pictures::Templates { set, .. } if quality == set.settings().quality => {
                Ok(set.template(index).ok_or(BackendError::Unloaded)?.jpeg().to_vec())
            }
            Pictures::Templates { set, on_demand } => {
                let decode = || self.pixels(index).map(Cow::into_owned);
                let own = on_demand.get_or_build(set, index, quality, decode).map_err(Box::new)?;
                let own = own.ok_or(BackendError::Unloaded)?;
                Ok(own.template(0).ok_or(BackendError::Unloaded)?.jpeg().to_vec())
            }
            Pictures::Pixels(_) => {
                let mut jpeg = Vec::new();
                let settings = JpegSettings { quality, ..JpegSettings::default() };
                JpegEncoder::new(settings)?.encode_to_vec(self.pixels(index)?.view(), &mut jpeg)?;
                Ok(jpeg)
            }
        }
    }
}
