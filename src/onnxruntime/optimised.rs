//! What ONNX Runtime makes of a network for this processor, as a network again: operators fused, weights and pictures in blocks of channels.
#![allow(unsafe_code)] // This is the project's binding to ONNX Runtime's C interface.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::path::Path;

use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;

use super::network::{load_error, options};
use super::{Network, OnnxError, OnnxRuntime};

impl Network {
    /// The network that `content` is, made of the file at `path`, as ONNX Runtime would run it. It is for this processor and this version
    /// alone, and for [`Self::load_optimised`].
    ///
    /// # Errors
    /// [`OnnxError::Load`]; weights in other files are not found.
    pub fn optimised(runtime: &OnnxRuntime, path: &Path, content: &[u8]) -> Result<Vec<u8>, OnnxError> {
        let mut file = memory_file().map_err(|error| load_error(path, &error))?;
        let name = format!("/proc/self/fd/{}", file.as_raw_fd());
        let session = || -> ort::Result<Session> {
            // It warns that the file is for this processor alone.
            options(runtime, 1)?
                .with_log_level(LogLevel::Error)?
                .with_optimized_model_path(name)?
                .commit_from_memory(content)
        };
        drop(session().map_err(|error| load_error(path, &error))?);
        let mut optimised = Vec::new();
        let read = file.rewind().and_then(|()| file.read_to_end(&mut optimised));
        read.map_err(|error| load_error(path, &error))?;
        Ok(optimised)
    }

    /// As [`Self::load`], of what was made of [`Self::optimised`]: it is run as it is.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_optimised(
        runtime: &OnnxRuntime,
        path: &Path,
        content: &[u8],
        threads: usize,
    ) -> Result<Self, OnnxError> {
        Self::commit(runtime, path, threads, |builder| {
            builder.with_optimization_level(GraphOptimizationLevel::Disable)?.commit_from_memory(content)
        })
    }
}

/// A file without a name and without a disk.
fn memory_file() -> io::Result<File> {
    // SAFETY: a system call with a constant name.
    let descriptor = unsafe { libc::memfd_create(c"lipsyncd-network".as_ptr(), libc::MFD_CLOEXEC) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just opened and is nobody else's.
    Ok(unsafe { File::from_raw_fd(descriptor) })
}
