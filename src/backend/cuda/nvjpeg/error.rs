//! What nvJPEG can answer, and what this program makes of it.

use std::fmt;
use std::path::PathBuf;

use super::library::Version;
use crate::backend::cuda::shared_library::LibraryError;
use crate::cuda::CudaError;

/// `nvjpegStatus_t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(pub i32);

impl Status {
    /// What `nvjpeg.h` calls it.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "success",
            1 => "not initialized",
            2 => "invalid parameter",
            3 => "bad JPEG",
            4 => "JPEG not supported",
            5 => "allocator failure",
            6 => "execution failed",
            7 => "architecture mismatch",
            8 => "internal error",
            9 => "implementation not supported",
            10 => "incomplete bitstream",
            _ => return None,
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "status {}", self.0),
        }
    }
}

/// `NVJPEG_STATUS_ALLOCATOR_FAILURE`.
const ALLOCATOR_FAILURE: Status = Status(5);

/// Why nvJPEG made no JPEG.
#[derive(Debug, thiserror::Error)]
pub enum NvJpegError {
    /// The library.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// It is not what its name says.
    #[error("{path} is nvJPEG {found}, this program needs that of CUDA 12 or 13; set LIPSYNCD_NVJPEG to its folder")]
    Version {
        /// The library.
        path: PathBuf,
        /// What it says it is.
        found: Version,
    },
    /// It does not start, most often for want of a driver.
    #[error("nvJPEG {version} does not start ({status}); it needs an NVIDIA GPU and a driver of CUDA {major} or later",
        major = .version.major)]
    Start {
        /// What it says it is.
        version: Version,
        /// Its answer.
        status: Status,
    },
    /// A call failed.
    #[error("{function} failed: {status}")]
    Call {
        /// The function called.
        function: &'static str,
        /// Its answer.
        status: Status,
    },
    /// The picture or its planes cannot be encoded.
    #[error(
        "nvJPEG cannot encode {width_px}x{height_px} pixels in planes {luma_pitch} and {chroma_pitch} bytes wide: {reason}"
    )]
    Planes {
        /// Columns.
        width_px: usize,
        /// Rows.
        height_px: usize,
        /// Bytes between rows of Y.
        luma_pitch: usize,
        /// Bytes between rows of U and V.
        chroma_pitch: usize,
        /// What is wrong with them.
        reason: &'static str,
    },
    /// The JPEG does not fit.
    #[error("the JPEG has {needed} bytes, the buffer {got}: lend one of the encoder's max_len")]
    Buffer {
        /// Bytes of the JPEG.
        needed: usize,
        /// Bytes lent.
        got: usize,
    },
    /// The stream did not get there.
    #[error("waiting for nvJPEG's stream failed: {0}")]
    Stream(CudaError),
}

impl NvJpegError {
    /// Whether it found no memory.
    #[must_use]
    pub fn is_allocation(&self) -> bool {
        matches!(self, Self::Start { status, .. } | Self::Call { status, .. } if *status == ALLOCATOR_FAILURE)
    }
}
