//! An avatar in memory: everything that does not depend on the sound, computed once.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::frame_store::{FrameStore, Keep, Pictures};
use super::recipe::Recipe;
use super::silence::Silence;
use super::usage::UseStats;
use super::{AvatarId, Bundle, FrameOrder, LoadError};
use crate::audio::{Context, FrameClock, MelPlan};
use crate::avatar::onnx::FEATURE_LEN;
use crate::backend::{BackendError, Device, DeviceId, ModelLease, Models};
use crate::batch::BufferPool;
use crate::picture::template::StripLayout;
use crate::picture::{Compositor, DecodeError, Image, PackError, PictureInput, Rect, Unpacker};

/// Most mel bands a bundle may ask for; slots are sized for it.
pub const MAX_MELS: usize = 128;
/// Most features a frame may see; slots are sized for it.
pub const MAX_CONTEXT: usize = 64;

/// An avatar ready to be drawn. Shared by its sessions; when the last owner drops it, its networks and
/// buffers go.
pub struct LoadedAvatar {
    id: AvatarId,
    name: String,
    fps: u32,
    order: FrameOrder,
    pub(super) frames: Arc<FrameStore>,
    compositor: Arc<Compositor>,
    recipe: Recipe,
    jpeg_pool: Arc<BufferPool>,
    lease: ModelLease,
    device: DeviceId,
    loaded_at_ns: u128,
    /// Frames of it have been drawn on its device.
    pub(super) ready: AtomicBool,
    pub(super) use_stats: Arc<UseStats>,
    silence: Arc<Silence>,
}

impl LoadedAvatar {
    /// Reads the frames of `bundle`, keeps them as `keep` says, cuts the crops and loads the networks on `device`. `progress` is told
    /// how many frames are done, from any thread.
    ///
    /// # Errors
    /// [`LoadError`] naming the file or field.
    pub fn load(
        id: AvatarId,
        bundle: &Bundle,
        device: impl Into<Device>,
        keep: &Keep,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Self, LoadError> {
        let manifest = &bundle.manifest;
        let recipe = bundle.recipe.clone();
        let geometry = *recipe.picture_input.geometry();
        // The networks first: a wrong one is found before minutes of decoding.
        let Device { id: device, backend } = device.into();
        let lease = ModelLease::load(backend, bundle)?;
        let frames = FrameStore::load(bundle, keep, progress)?;
        let compositor = Compositor::new(geometry, frames.boxes())?;
        let avatar = Self {
            id,
            name: manifest.name.clone(),
            fps: manifest.fps,
            order: manifest.frames.order,
            jpeg_pool: BufferPool::new(frames.max_jpeg_len()),
            frames: Arc::new(frames),
            compositor: Arc::new(compositor),
            recipe,
            lease,
            device,
            loaded_at_ns: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos(),
            ready: AtomicBool::new(false),
            use_stats: Arc::default(),
            silence: Arc::default(),
        };
        avatar.lease.backend().show(&avatar)?;
        Ok(avatar)
    }

    /// The same avatar with its networks on `device` too: pictures, buffers and figures are shared.
    ///
    /// # Errors
    /// The backend's, about `bundle`'s networks or the room for its pictures.
    pub fn replica(&self, bundle: &Bundle, device: Device) -> Result<Self, BackendError> {
        let replica = Self {
            lease: ModelLease::load(device.backend, bundle)?,
            device: device.id,
            ready: AtomicBool::new(false),
            id: self.id.clone(),
            name: self.name.clone(),
            frames: Arc::clone(&self.frames),
            compositor: Arc::clone(&self.compositor),
            recipe: self.recipe.clone(),
            jpeg_pool: Arc::clone(&self.jpeg_pool),
            use_stats: Arc::clone(&self.use_stats),
            silence: Arc::clone(&self.silence),
            ..*self
        };
        replica.lease.backend().show(&replica)?;
        Ok(replica)
    }

    /// Its id: the name of its bundle's folder.
    #[must_use]
    pub fn id(&self) -> &AvatarId {
        &self.id
    }

    /// Its name for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Video frames per second.
    #[must_use]
    pub fn fps(&self) -> u32 {
        self.fps
    }

    /// Width and height of its frames.
    #[must_use]
    pub fn size_px(&self) -> (usize, usize) {
        self.frames.size_px()
    }

    /// Bytes of one frame as BGR pixels.
    #[must_use]
    pub fn bgr_bytes(&self) -> usize {
        let (width_px, height_px) = self.size_px();
        width_px * height_px * crate::picture::CHANNELS
    }

    /// Pictures in its loop.
    #[must_use]
    pub fn frame_count(&self) -> usize {
        self.frames.len()
    }

    /// Which picture stands at `position` of the loop.
    #[must_use]
    pub fn frame_at(&self, position: u64) -> usize {
        self.order.avatar_frame(position, self.frames.len())
    }

    /// The order its pictures are played in.
    #[must_use]
    pub fn order(&self) -> FrameOrder {
        self.order
    }

    /// When it was loaded, Unix nanoseconds: no two loads have the same.
    pub(super) fn loaded_at_ns(&self) -> u128 {
        self.loaded_at_ns
    }

    /// The pictures as they are kept.
    #[must_use]
    pub fn pictures(&self) -> &Pictures {
        self.frames.pictures()
    }

    /// Width and height of the strip under the box of picture `index`; none where frames are not spliced.
    #[must_use]
    pub fn strip_px(&self, index: usize) -> Option<(usize, usize)> {
        self.strip_layout(index).map(StripLayout::strip_px)
    }

    /// The pixels of picture `index`.
    ///
    /// # Errors
    /// [`DecodeError`] when it is kept as a template and its file has changed.
    pub fn pixels(&self, index: usize) -> Result<Cow<'_, Image>, DecodeError> {
        self.frames.pixels(index)
    }

    /// The crop of picture `index`, which `unpacker` lends where it is kept packed.
    ///
    /// # Errors
    /// [`PackError`] when a cache file held something else.
    pub fn crop<'a>(&'a self, index: usize, unpacker: &'a mut Unpacker) -> Result<&'a [u8], PackError> {
        self.frames.crop(index, unpacker)
    }

    /// The box of picture `index`.
    #[must_use]
    pub fn face_box(&self, index: usize) -> Rect {
        self.frames.boxes()[index]
    }

    /// Pastes the generator's pictures into the frames.
    #[must_use]
    pub fn compositor(&self) -> &Compositor {
        &self.compositor
    }

    /// Makes the generator's picture input of a crop.
    #[must_use]
    pub fn picture_input(&self) -> &PictureInput {
        &self.recipe.picture_input
    }

    /// Floats of one picture input, `6 * size * size`.
    #[must_use]
    pub fn picture_len(&self) -> usize {
        self.recipe.picture_input.geometry().input_len()
    }

    /// How sound becomes mel frames.
    #[must_use]
    pub fn mel_plan(&self) -> &Arc<MelPlan> {
        &self.recipe.mel_plan
    }

    /// Mel bands.
    #[must_use]
    pub fn mels(&self) -> usize {
        self.recipe.mel_plan.params().mels
    }

    /// Rate of the recipe's sound, Hz.
    #[must_use]
    pub fn sample_rate_hz(&self) -> u32 {
        self.recipe.mel_plan.params().sample_rate_hz
    }

    /// Where frames lie in the sound.
    #[must_use]
    pub fn clock(&self) -> FrameClock {
        self.recipe.clock
    }

    /// What a frame sees of the features.
    #[must_use]
    pub fn context(&self) -> Context {
        self.recipe.context
    }

    /// Samples, at the recipe's rate, that are enough past a frame's own first sample for the frame to be made: it waits for the
    /// last window of its context, and that for half a transform of sound.
    #[must_use]
    pub fn lookahead_samples(&self) -> u64 {
        let params = self.recipe.mel_plan.params();
        let after = self.recipe.context.rows() / 2 - 1;
        let mel_frames = self.recipe.clock.mel_frames_that_make_certain(after);
        (mel_frames * params.hop_samples + params.n_fft / 2) as u64
    }

    /// The same as a time.
    #[must_use]
    pub fn lookahead(&self) -> Duration {
        Duration::from_secs_f64(self.lookahead_samples() as f64 / f64::from(self.sample_rate_hz()))
    }

    /// Floats of one context.
    #[must_use]
    pub fn context_len(&self) -> usize {
        self.recipe.context.rows() * FEATURE_LEN
    }

    /// Its networks in the backend.
    #[must_use]
    pub fn models(&self) -> Models {
        self.lease.models()
    }

    /// Where its networks are.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        self.device
    }

    /// Buffers for its frames as JPEGs at the quality they are kept for.
    #[must_use]
    pub fn jpeg_pool(&self) -> &Arc<BufferPool> {
        &self.jpeg_pool
    }

    /// What it looks like while nothing is heard.
    #[must_use]
    pub fn silence(&self) -> &Silence {
        &self.silence
    }

    /// Bytes of its frames and crops and of silent pictures that are kept; its networks' memory is ONNX Runtime's own.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        self.frames.resident_bytes() + self.silence.bytes()
    }
}
