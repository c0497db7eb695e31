//! An avatar in memory: everything that does not depend on the sound, computed once.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::frame_store::{FrameStore, FrameStoreError, Keep, Pictures};
use super::silence::Silence;
use super::{AvatarId, Bundle, BundleError, Channels, FrameOrder, Mask, Resize};
use crate::audio::{ClockError, Context, FrameClock, MelError, MelParams, MelPlan, WINDOW_MEL_FRAMES};
use crate::avatar::onnx::FEATURE_LEN;
use crate::backend::{BackendError, Device, DeviceId, ModelLease, Models};
use crate::batch::BufferPool;
use crate::batch::slot::StageTimes;
use crate::picture::{
    ChannelOrder, CompositeError, Compositor, DecodeError, GeneratorGeometry, GeometryError, Image, Interpolation,
    JpegEncoder, PictureInput, Rect,
};

/// Most mel bands a bundle may ask for; slots are sized for it.
pub const MAX_MELS: usize = 128;
/// Most features a frame may see; slots are sized for it.
pub const MAX_CONTEXT: usize = 64;

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
    /// The bundle is not the one that is loaded.
    #[error(
        "{dir}: its networks have changed since the avatar was loaded; unload it before it can go on another device"
    )]
    Changed {
        /// The bundle's folder.
        dir: PathBuf,
    },
}

/// An avatar ready to be drawn. Shared by its sessions; when the last owner drops it, its networks and
/// buffers go.
pub struct LoadedAvatar {
    id: AvatarId,
    name: String,
    fps: u32,
    order: FrameOrder,
    frames: Arc<FrameStore>,
    compositor: Arc<Compositor>,
    picture_input: PictureInput,
    mel_plan: Arc<MelPlan>,
    clock: FrameClock,
    context: Context,
    jpeg_pool: Arc<BufferPool>,
    lease: ModelLease,
    device: DeviceId,
    loaded_at_ns: u128,
    use_stats: Arc<UseStats>,
    silence: Arc<Silence>,
}

#[derive(Default)]
struct UseStats {
    sessions: AtomicUsize,
    requests: AtomicU64,
    frames: AtomicU64,
    silent_frames: AtomicU64,
    network_ns: AtomicU64,
    composite_ns: AtomicU64,
    last_used_unix_s: AtomicI64,
}

/// What an avatar has been used for, since it was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AvatarUse {
    /// Sessions open now.
    pub sessions: usize,
    /// Sessions opened.
    pub requests: u64,
    /// Frames drawn by the networks.
    pub frames: u64,
    /// Frames beside these that were made of silent pictures.
    pub silent_frames: u64,
    /// Time those frames spent in the generator.
    pub network: Duration,
    /// Time they spent in compositing and encoding.
    pub composite: Duration,
    /// Unix seconds; 0 when never used.
    pub last_used_unix_s: i64,
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
        let path = || bundle.dir.join(super::MANIFEST_FILE);
        let manifest = &bundle.manifest;
        bounded(bundle, "audio.mels", manifest.audio.mels, MAX_MELS)?;
        bounded(bundle, "audio_encoder.context", manifest.audio_encoder.context, MAX_CONTEXT)?;
        let geometry = geometry_of(bundle).map_err(|source| LoadError::Geometry { manifest: path(), source })?;
        let Mask { x, y, width, height } = manifest.generator.mask;
        let picture_input = PictureInput::new(geometry, [x, y, width, height].map(|px| px as usize))
            .map_err(|source| LoadError::Geometry { manifest: path(), source })?;
        let mel_plan =
            MelPlan::new(mel_params(bundle)).map_err(|source| LoadError::Mel { manifest: path(), source })?;
        let audio = &manifest.audio;
        let hop = u32::try_from(audio.hop_samples).unwrap_or(u32::MAX);
        let clock = FrameClock::new(audio.sample_rate_hz, hop, manifest.fps)
            .map_err(|source| LoadError::Clock { manifest: path(), source })?;
        // The networks first: a wrong one is found before minutes of decoding.
        let Device { id: device, backend } = device.into();
        let lease = ModelLease::load(backend, bundle)?;
        let frames = FrameStore::load(bundle, &geometry, keep, progress)?;
        let compositor = Compositor::new(geometry, frames.boxes())?;
        let (width_px, height_px) = frames.size_px();
        let avatar = Self {
            id,
            name: manifest.name.clone(),
            fps: manifest.fps,
            order: manifest.frames.order,
            frames: Arc::new(frames),
            compositor: Arc::new(compositor),
            picture_input,
            mel_plan: Arc::new(mel_plan),
            clock,
            context: Context::new(manifest.audio_encoder.context),
            jpeg_pool: BufferPool::new(JpegEncoder::max_len(width_px, height_px)),
            lease,
            device,
            loaded_at_ns: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos(),
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
            id: self.id.clone(),
            name: self.name.clone(),
            frames: Arc::clone(&self.frames),
            compositor: Arc::clone(&self.compositor),
            picture_input: self.picture_input.clone(),
            mel_plan: Arc::clone(&self.mel_plan),
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
        match self.frames.pictures() {
            Pictures::Templates { set, .. } => Some(set.layouts().get(index)?.strip_px()),
            Pictures::Pixels(_) => None,
        }
    }

    /// The pixels of picture `index`.
    ///
    /// # Errors
    /// [`DecodeError`] when it is kept as a template and its file has changed.
    pub fn pixels(&self, index: usize) -> Result<Cow<'_, Image>, DecodeError> {
        self.frames.pixels(index)
    }

    /// The crop of picture `index`.
    #[must_use]
    pub fn crop(&self, index: usize) -> &[u8] {
        self.frames.crop(index)
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
        &self.picture_input
    }

    /// Floats of one picture input, `6 * size * size`.
    #[must_use]
    pub fn picture_len(&self) -> usize {
        self.picture_input.geometry().input_len()
    }

    /// How sound becomes mel frames.
    #[must_use]
    pub fn mel_plan(&self) -> &Arc<MelPlan> {
        &self.mel_plan
    }

    /// Mel bands.
    #[must_use]
    pub fn mels(&self) -> usize {
        self.mel_plan.params().mels
    }

    /// Rate of the recipe's sound, Hz.
    #[must_use]
    pub fn sample_rate_hz(&self) -> u32 {
        self.mel_plan.params().sample_rate_hz
    }

    /// Where frames lie in the sound.
    #[must_use]
    pub fn clock(&self) -> FrameClock {
        self.clock
    }

    /// What a frame sees of the features.
    #[must_use]
    pub fn context(&self) -> Context {
        self.context
    }

    /// Samples, at the recipe's rate, that are enough past a frame's own first sample for the frame to be made: it waits for the
    /// last window of its context, and that for half a transform of sound.
    #[must_use]
    pub fn lookahead_samples(&self) -> u64 {
        let params = self.mel_plan.params();
        let after = self.context.rows() / 2 - 1;
        let mel_frames = self.clock.window_start(after) + WINDOW_MEL_FRAMES;
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
        self.context.rows() * FEATURE_LEN
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

    /// Buffers for JPEGs of its size.
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

    /// What it has been used for.
    #[must_use]
    pub fn usage(&self) -> AvatarUse {
        let stats = &self.use_stats;
        AvatarUse {
            sessions: stats.sessions.load(Ordering::Relaxed),
            requests: stats.requests.load(Ordering::Relaxed),
            frames: stats.frames.load(Ordering::Relaxed),
            silent_frames: stats.silent_frames.load(Ordering::Relaxed),
            network: Duration::from_nanos(stats.network_ns.load(Ordering::Relaxed)),
            composite: Duration::from_nanos(stats.composite_ns.load(Ordering::Relaxed)),
            last_used_unix_s: stats.last_used_unix_s.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn session_opened(&self) {
        self.use_stats.sessions.fetch_add(1, Ordering::Relaxed);
        self.use_stats.requests.fetch_add(1, Ordering::Relaxed);
        self.touch();
    }

    pub(crate) fn session_closed(&self) {
        self.use_stats.sessions.fetch_sub(1, Ordering::Relaxed);
        self.touch();
    }

    pub(crate) fn frame_done(&self, share: StageTimes) {
        let add = |counter: &AtomicU64, elapsed: Duration| {
            counter.fetch_add(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        };
        self.use_stats.frames.fetch_add(1, Ordering::Relaxed);
        add(&self.use_stats.network_ns, share.network);
        add(&self.use_stats.composite_ns, share.composite);
    }

    pub(crate) fn silent_frame_done(&self) {
        self.use_stats.silent_frames.fetch_add(1, Ordering::Relaxed);
    }

    fn touch(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.use_stats.last_used_unix_s.store(i64::try_from(now).unwrap_or(i64::MAX), Ordering::Relaxed);
    }
}

fn bounded(bundle: &Bundle, field: &'static str, got: usize, most: usize) -> Result<(), LoadError> {
    if got <= most {
        return Ok(());
    }
    Err(LoadError::TooMany { manifest: bundle.dir.join(super::MANIFEST_FILE), field, got, most })
}

fn geometry_of(bundle: &Bundle) -> Result<GeneratorGeometry, GeometryError> {
    let generator = &bundle.manifest.generator;
    let channels = match generator.channels {
        Channels::Bgr => ChannelOrder::Bgr,
        Channels::Rgb => ChannelOrder::Rgb,
    };
    let interpolation = match generator.resize {
        Resize::Bicubic => Interpolation::Cubic,
        Resize::Bilinear => Interpolation::Linear,
    };
    GeneratorGeometry::new(generator.size_px as usize, generator.border_px as usize, channels, interpolation)
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
