//! What backends fail with.

use std::path::PathBuf;

use super::cuda;
use crate::cuda::{CudaError, Severity};
use crate::onnxruntime::OnnxError;
use crate::picture::template::{BuildError, PatchError, SpliceError, StripError};
use crate::picture::{CompositeError, DecodeError, GeometryError, ImageError, JpegError, PackError};

/// Why a backend cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// ONNX Runtime refused or failed.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// A network file cannot be read.
    #[error("{path}: {source}; check the file and its permissions")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The network does not give what the recipe needs.
    #[error("{path}: {what}")]
    Network {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        what: &'static str,
    },
    /// The batch names a network that is not loaded: it was unloaded while work for it waited.
    #[error("the avatar was unloaded while its work waited; load it again")]
    Unloaded,
    /// A daemon was to be started on nothing.
    #[error("there is no device to serve with")]
    NoDevice,
    /// The system refused a thread for a lane.
    #[error("the system refused one more thread: {0}; lower `slots` or raise the process limit")]
    Thread(#[source] std::io::Error),
    /// Crop, mask and network do not fit together.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// The frame and its parts do not fit together.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The generator's picture could not be pasted.
    #[error(transparent)]
    Composite(#[from] CompositeError),
    /// The frame could not be encoded.
    #[error(transparent)]
    Jpeg(#[from] JpegError),
    /// A picture could not be decoded again.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The picture's crop could not be unpacked.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The strip under the box could not be drawn.
    #[error(transparent)]
    Strip(#[from] StripError),
    /// The strip could not be encoded.
    #[error(transparent)]
    Patch(#[from] PatchError),
    /// The strip does not fit its template.
    #[error(transparent)]
    Splice(#[from] SpliceError),
    /// Segments were asked of an avatar whose frames have none.
    #[error("this avatar's frames cannot be cut into segments; ask for patches as JPEG, or for whole frames")]
    NoSegments,
    /// The network cannot be given to a GPU's engine.
    #[error("{path}: {source}")]
    Prepare {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: cuda::PrepareError,
    },
    /// The network is not for the native engine, or that engine not for this GPU.
    #[error("{path}: {source}")]
    Native {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: cuda::native::NativeError,
    },
    /// The CUDA driver refused.
    #[error("the GPU refused: {0}")]
    Cuda(CudaError),
    /// The GPU has no room for an avatar's pictures.
    #[error(
        "the avatar's pictures need {needed} bytes of the GPU's memory, {used} of {most} are used by others; unload one, or          raise max_device_bytes"
    )]
    DeviceFull {
        /// Bytes needed.
        needed: u64,
        /// Bytes in use.
        used: u64,
        /// The bound.
        most: u64,
    },
    /// A thread that splices strips panicked over this frame.
    #[error("a frame could not be encoded: its encoder panicked, and said why in the log")]
    EncoderPanic,
    /// The GPU is gone for this process.
    #[error("the GPU is lost ({reason}) and the daemon restarts; connect again in a few seconds")]
    DeviceLost {
        /// What it said last.
        reason: String,
    },
    /// A GPU's engine refused a network, or failed to run it.
    #[error("{path}: the GPU's engine refused it: {reason}")]
    Engine {
        /// The network or its plan.
        path: PathBuf,
        /// Its own words.
        reason: String,
    },
    /// nvJPEG failed on a frame.
    #[error(transparent)]
    NvJpeg(#[from] cuda::nvjpeg::NvJpegError),
    /// There is no GPU to work with, or something that belongs to one is missing.
    #[error(transparent)]
    NoCuda(#[from] Box<cuda::CudaUnavailable>),
    /// A template at a quality asked for could not be made.
    #[error(transparent)]
    Template(#[from] Box<BuildError<DecodeError>>),
}

impl BackendError {
    /// Whether there was no room on the device: with less on it, the same may succeed. What an empty device has no room for is not meant.
    #[must_use]
    pub fn is_device_full(&self) -> bool {
        use cuda::native::NativeError;
        match self {
            Self::DeviceFull { needed, most, .. } => needed <= most,
            Self::Cuda(error) | Self::Native { source: NativeError::Cuda(error), .. } => {
                error.severity() == Severity::OutOfMemory
            }
            _ => false,
        }
    }
}
