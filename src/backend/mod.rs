//! Where the stages run: encode audio, generate, composite, JPEG.
//!
//! A [`Backend`] loads networks and opens [`Lane`]s. A lane carries one slot at a time and is driven by
//! one thread; as many lanes as slots run side by side, so that one batch is staged while another is in
//! the networks and a third is encoded. The split of a lane's work into [`Lane::submit`] and
//! [`Lane::complete`] is for devices that work asynchronously.

mod budget;
pub mod cpu;
pub mod cuda;
mod draw;
mod table;

mod device;
mod error;

use std::fmt;
use std::sync::Arc;

pub use cpu::CpuBackend;
pub use device::{Device, DeviceId, DeviceMemory};
pub use error::BackendError;

use crate::avatar::{Bundle, LoadedAvatar, Network};
use crate::batch::health::Health;
use crate::batch::slot::{SlotShape, Staging};
use crate::batch::{Filled, InFlight, Ready, Slot};
use crate::picture::Quality;

/// A network as a backend knows it: the same id, the same file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelId(pub u64);

/// The two networks of a loaded avatar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Models {
    /// Window to feature. Avatars with the same encoder file share the id.
    pub encoder: ModelId,
    /// Picture and context to picture.
    pub generator: ModelId,
}

/// The content of a bundle's network, with all its weights. Engines get all of it at once: ONNX Runtime would map the files with weights, and a
/// mapped file that is written to is another network, or, cut short, the end of the process.
pub(crate) fn read_network<S>(network: &Network<S>) -> Result<Vec<u8>, BackendError> {
    network.read().map_err(|source| BackendError::File { path: network.path.clone(), source })
}

/// What is made of a composited frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FrameFormat {
    /// A JPEG file.
    Jpeg(Quality),
    /// The strip under the face as a JPEG file of its own; the whole frame's where it cannot be cut out.
    PatchJpeg(Quality),
    /// The strip's restart segments, each with the marker it has in the whole frame's file.
    PatchSegments(Quality),
    /// The pixels, BGR, rows tightly packed.
    Bgr,
}

impl FrameFormat {
    /// The quality of a format that is JPEG.
    #[must_use]
    pub fn quality(self) -> Option<Quality> {
        match self {
            Self::Jpeg(quality) | Self::PatchJpeg(quality) | Self::PatchSegments(quality) => Some(quality),
            Self::Bgr => None,
        }
    }
}

/// What a backend is and how much it takes at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendInfo {
    /// `cpu` or `cuda`.
    pub name: &'static str,
    /// The engine and its version, for people.
    pub engine: String,
    /// CUDA ordinal; `None` on the CPU.
    pub gpu: Option<u32>,
}

/// A device that runs the stages. Shared by everything that loads or serves avatars.
pub trait Backend: Send + Sync + 'static {
    /// What it is.
    fn info(&self) -> BackendInfo;

    /// Why its engine runs the networks and not a faster one; empty where there is none faster.
    fn why_not_another(&self) -> &str {
        ""
    }

    /// The memory that its networks and pictures take, as it was at the last look, and has another begun; waits for nobody. `None` where that is
    /// the process's own.
    fn memory(&self) -> Option<DeviceMemory> {
        None
    }

    /// Waits until [`Self::memory`] says how it is now, for a tenth of a second at most: not for the runtime's threads.
    fn look(&self) {}

    /// Bytes of the process's memory in which it keeps what generators make of pictures alone; `None` where it never does.
    fn kept_bytes(&self) -> Option<u64> {
        None
    }

    /// Pictures of the avatar with these networks of which that is kept as soon as they are drawn once.
    fn pictures_to_keep(&self, _models: Models) -> usize {
        0
    }

    /// Loads the networks of `bundle`, sharing an encoder that is already there.
    ///
    /// # Errors
    /// [`BackendError`] naming the file that cannot be used.
    fn load(&self, bundle: &Bundle) -> Result<Models, BackendError>;

    /// Lets go of what [`Self::load`] gave; lanes drop their buffers for it before their next batch or in [`Lane::rest`].
    fn unload(&self, models: Models);

    /// Brings to the device what it needs of an avatar's pictures, once they are there: after [`Self::load`], before any
    /// batch of its frames.
    ///
    /// # Errors
    /// [`BackendError`] when the device has no room for them; the avatar is then not loaded, and nothing else is disturbed.
    fn show(&self, _avatar: &LoadedAvatar) -> Result<(), BackendError> {
        Ok(())
    }

    /// Where it says that the device is lost and the process can only end, and its engine that a lane has broken.
    fn health(&self) -> &Arc<Health>;

    /// A lane of its own for the calling engine's next thread, for slots of `shape`.
    ///
    /// # Errors
    /// [`BackendError`] when the device has no room for one more.
    fn open_lane(&self, shape: SlotShape) -> Result<Box<dyn Lane>, BackendError>;
}

/// One slot's worth of device: streams, contexts, scratch. Driven by one thread.
pub trait Lane: Send {
    /// Memory for the lane's slot to stage its inputs in.
    ///
    /// # Errors
    /// [`BackendError`] when there is none left.
    fn staging(&mut self, floats: usize) -> Result<Box<dyn Staging>, BackendError> {
        Ok(Box::new(vec![0.0; floats]))
    }

    /// Starts the batch. The slot comes back through [`Self::complete`], failures included.
    fn submit(&mut self, slot: Slot<Filled>) -> Slot<InFlight>;

    /// Waits until the device is free for other batches, though the host may have work left on this one, and says true; false
    /// where only [`Self::complete`] frees it.
    fn settle(&mut self, _slot: &Slot<InFlight>) -> bool {
        false
    }

    /// Waits for the batch and gives its results or the reason there are none.
    fn complete(&mut self, slot: Slot<InFlight>) -> Slot<Ready>;

    /// Lets go of what was unloaded: called about once a second while there is nothing to do, so that a lane without work does not
    /// hold memory that another avatar needs.
    fn rest(&mut self) {}
}

/// Loaded networks that are let go when this drops.
pub struct ModelLease {
    backend: Arc<dyn Backend>,
    models: Models,
}

impl ModelLease {
    /// Loads the networks of `bundle`.
    ///
    /// # Errors
    /// Those of [`Backend::load`].
    pub fn load(backend: Arc<dyn Backend>, bundle: &Bundle) -> Result<Self, BackendError> {
        let models = backend.load(bundle)?;
        Ok(Self { backend, models })
    }

    /// What holds them.
    #[must_use]
    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.backend
    }

    /// The networks' ids.
    #[must_use]
    pub fn models(&self) -> Models {
        self.models
    }
}

impl Drop for ModelLease {
    fn drop(&mut self) {
        self.backend.unload(self.models);
    }
}

impl fmt::Display for BackendInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.engine)
    }
}
