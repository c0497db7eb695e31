//! Why an avatar cannot be loaded.

use std::path::PathBuf;

use super::BundleError;
use super::frame_store::FrameStoreError;
use crate::backend::BackendError;
use crate::bounded;
use crate::picture::CompositeError;
use crate::session::SessionError;

/// Why an avatar cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The bundle is faulty; the report says all that is wrong.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A frame cannot be decoded or cut.
    #[error(transparent)]
    Frames(#[from] FrameStoreError),
    /// The boxes cannot be pasted to.
    #[error(transparent)]
    Composite(#[from] CompositeError),
    /// The backend refused the networks.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// It was loaded, and no frame of it could be drawn.
    #[error("it was loaded, but cannot be drawn: {source}")]
    Undrawable {
        /// What the device said.
        source: SessionError,
    },
    /// The bundle is not the one that is loaded.
    #[error(
        "{dir}: its networks have changed since the avatar was loaded; unload it before it can go on another device"
    )]
    Changed {
        /// The bundle's folder.
        dir: PathBuf,
    },
}

impl LoadError {
    /// Whether the bundle is at fault, so that the next try meets the same: not where memory, a device or a disk failed.
    #[must_use]
    pub fn is_faulty(&self) -> bool {
        let failed = match self {
            Self::Bundle(error) => error.report.is_passing(),
            Self::Backend(error) => error.is_device_full() || matches!(error, BackendError::DeviceLost { .. }),
            Self::Undrawable { source } => source.is_device_full() || source.is_passing(),
            _ => false,
        };
        !failed && bounded::passing_cause(self).is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::super::{Fault, Report};
    use super::*;
    use crate::avatar::onnx;
    use crate::onnxruntime::OnnxError;
    use crate::picture::DecodeError;

    #[test]
    fn a_system_that_failed_is_told_from_a_bundle_that_is_faulty() {
        let refused = |reason: &str| {
            let error = OnnxError::Load { path: "generator.onnx".into(), reason: reason.to_owned() };
            LoadError::from(BackendError::from(error))
        };
        let (faulty, full) = (refused("This is an invalid model."), refused("std::bad_alloc"));
        assert!(faulty.is_faulty() && faulty.to_string().ends_with("export it again as float32 ONNX"), "{faulty}");
        assert!(!full.is_faulty() && full.to_string().ends_with("free memory, and try again"), "{full}");
        let frame = |kind: io::ErrorKind| {
            let error = DecodeError::Read { path: "000000.jpg".into(), source: kind.into() };
            LoadError::from(FrameStoreError::from(error))
        };
        let network = |kind: io::ErrorKind| {
            let source = onnx::OnnxError::Io(kind.into());
            LoadError::from(BackendError::File { path: "generator.onnx".into(), source })
        };
        for error in [frame, network] {
            for kind in [io::ErrorKind::NotFound, io::ErrorKind::PermissionDenied, io::ErrorKind::FileTooLarge] {
                assert!(error(kind).is_faulty(), "{kind}");
            }
            for kind in [io::ErrorKind::OutOfMemory, io::ErrorKind::Other, io::ErrorKind::StaleNetworkFileHandle] {
                assert!(!error(kind).is_faulty(), "{kind}");
            }
        }
        assert!(!LoadError::from(BackendError::DeviceLost { reason: "it has not answered".to_owned() }).is_faulty());
        let bundle = |kind: io::ErrorKind| {
            let faults = vec![Fault::of("boxes.json", "", &io::Error::from(kind), "write it")];
            LoadError::from(BundleError {
                dir: "mira".into(),
                report: Box::new(Report { faults, ..Report::default() }),
            })
        };
        assert!(bundle(io::ErrorKind::InvalidData).is_faulty() && !bundle(io::ErrorKind::Other).is_faulty());
    }
}
