//! What backends fail with.

use std::io::ErrorKind;
use std::path::PathBuf;

use super::cuda;
use crate::avatar::onnx;
use crate::cuda::{CudaError, Severity};
use crate::onnxruntime::{OnnxError, says_full};
use crate::picture::template::{BuildError, PatchError, SpliceError, StripError};
use crate::picture::{CompositeError, DecodeError, GeometryError, ImageError, JpegError, PackError};

/// Why a backend cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// ONNX Runtime refused or failed.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// A network file, or one with weights of it, cannot be read.
    #[error("{path}: {source}; {}", source.fix())]
    File {
        /// The network's file.
        path: PathBuf,
        /// What is wrong with it.
        source: onnx::OnnxError,
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
        "the avatar's pictures need {needed} bytes of the GPU's memory, {used} of {most} are used by others; unload one, or raise max_device_bytes"
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
        match self {
            Self::DeviceFull { needed, most, .. } => needed <= most,
            Self::Onnx(OnnxError::Memory { .. }) => true,
            Self::Onnx(error) => says_full(&error.to_string()),
            Self::File { source: onnx::OnnxError::Io(source) | onnx::OnnxError::Weights { source, .. }, .. } => {
                source.kind() == ErrorKind::OutOfMemory
            }
            Self::Engine { reason, .. } => says_full(reason),
            Self::NvJpeg(error) if error.is_allocation() => true,
            _ => self.driver_error().is_some_and(|error| error.severity() == Severity::OutOfMemory),
        }
    }

    /// Whether a file of the avatar is no longer what was loaded.
    #[must_use]
    pub fn is_of_old_files(&self) -> bool {
        let is_changed = |error: &DecodeError| matches!(error, DecodeError::Changed { .. });
        match self {
            Self::Decode(error) => is_changed(error),
            Self::Template(error) => matches!(&**error, BuildError::Frame { source, .. } if is_changed(source)),
            _ => false,
        }
    }

    /// What the CUDA driver said, where it was the driver who refused.
    #[must_use]
    pub fn driver_error(&self) -> Option<CudaError> {
        use cuda::native::NativeError;
        use cuda::nvjpeg::NvJpegError;
        match self {
            Self::Cuda(error)
            | Self::Native { source: NativeError::Cuda(error), .. }
            | Self::NvJpeg(NvJpegError::Stream(error)) => Some(*error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use cudarc::driver::sys::CUresult;

    use super::cuda::native::NativeError;
    use super::cuda::nvjpeg::{NvJpegError, Status};
    use super::*;

    fn run(reason: &str) -> BackendError {
        OnnxError::Run { network: "generator.onnx".into(), reason: reason.to_owned() }.into()
    }

    fn engine(reason: &str) -> BackendError {
        BackendError::Engine { path: "generator.onnx".into(), reason: reason.to_owned() }
    }

    #[test]
    fn an_engine_that_found_no_memory_is_told_from_a_network_that_is_faulty() {
        for full in [
            "Non-zero status code returned while running Conv node. Name:'/up/conv/Conv' Status Message: \
             /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:376 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, \
             bool, onnxruntime::Stream*) Failed to allocate memory for requested buffer of size 1048576000",
            "/onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:165 onnxruntime::BFCArena::Extend Available memory of \
             1048576 is smaller than requested bytes of 2097152",
            "CUDA failure 2: out of memory ; GPU=0 ; hostname=a ; file=cuda_allocator.cc ; line=48 ; expr=cudaMalloc((void**)&p, size);",
            "CUDNN failure 4002: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED ; GPU=0",
            "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0 ; expr=cublasCreate(&cublas_handle_);",
            "Exception during initialization: std::bad_alloc",
        ] {
            assert!(run(full).is_device_full(), "{full}");
        }
        for full in [
            "[executionContext.cpp::ExecutionContext::586] Error Code 2: OutOfMemory (Requested size was 1073741824 bytes.)",
            "[defaultAllocator.cpp::allocate::31] Error Code 1: Cuda Runtime (out of memory)",
        ] {
            assert!(engine(full).is_device_full(), "{full}");
        }
        for faulty in
            ["Load model from generator.onnx failed: Protobuf parsing failed.", "CUDNN_STATUS_EXECUTION_FAILED"]
        {
            assert!(!run(faulty).is_device_full() && !engine(faulty).is_device_full(), "{faulty}");
        }
        let encode = |status| NvJpegError::Call { function: "nvjpegEncodeYUV", status: Status(status) };
        assert!(BackendError::from(encode(5)).is_device_full());
        assert!(!BackendError::from(encode(6)).is_device_full());
    }

    #[test]
    fn the_drivers_words_are_found_wherever_they_are_wrapped() {
        let cuda = |code| CudaError::new("cuMemAlloc", code);
        let native = |code| BackendError::Native { path: "a".into(), source: NativeError::Cuda(cuda(code)) };
        assert!(native(CUresult::CUDA_ERROR_OUT_OF_MEMORY).is_device_full());
        let lost = native(CUresult::CUDA_ERROR_ECC_UNCORRECTABLE);
        assert_eq!(lost.driver_error().map(|error| error.severity()), Some(Severity::Lost));
        let waited = BackendError::from(NvJpegError::Stream(cuda(CUresult::CUDA_ERROR_ILLEGAL_ADDRESS)));
        assert_eq!(waited.driver_error().map(|error| error.severity()), Some(Severity::Lost));
        assert!(BackendError::Unloaded.driver_error().is_none());
    }
}
