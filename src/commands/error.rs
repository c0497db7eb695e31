//! A command's failure and its exit code.

use std::process::ExitCode;

use crate::avatar::LoadError;
use crate::backend::BackendError;
use crate::chain::sentence;
use crate::onnxruntime::OnnxError;
use crate::rpc::client::ClientError;

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// What the user gave cannot be used: exit code 2.
    #[error("{}", sentence(.0.as_ref()))]
    Input(Box<dyn std::error::Error + Send + Sync>),
    /// The input was sound, the work failed: exit code 1.
    #[error("{}", sentence(.0.as_ref()))]
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

impl CommandError {
    /// Bad input.
    pub fn input(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Input(error.into())
    }

    /// Failed work.
    pub fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Failed(error.into())
    }

    /// An avatar that could not be loaded: bad input where its bundle is at fault.
    pub(super) fn of_load(error: LoadError) -> Self {
        if error.is_faulty() { Self::input(error) } else { Self::failed(error) }
    }

    /// ONNX Runtime that could not be loaded: bad input where nothing is at the path that was set for it.
    pub(super) fn of_runtime(error: BackendError) -> Self {
        match error {
            BackendError::Onnx(OnnxError::NotThere { .. }) => Self::input(error),
            _ => Self::failed(error),
        }
    }

    /// What a daemon answered: bad input where it says that asking again is of no use.
    pub(super) fn of_daemon(error: ClientError) -> Self {
        if error.is_bad_request() { Self::input(error) } else { Self::failed(error) }
    }

    pub(super) fn exit_code(&self) -> ExitCode {
        self.code().into()
    }

    /// The exit code as a number.
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::Input(_) => 2,
            Self::Failed(_) => 1,
        }
    }
}

/// A file that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}")]
pub struct FileError {
    /// The file or folder.
    pub path: std::path::PathBuf,
    /// The system's reason.
    pub source: std::io::Error,
}

impl FileError {
    /// Names the file of an I/O error.
    pub fn at(path: impl Into<std::path::PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self { path, source }
    }
}
