//! A unit's kernels on one GPU.

use std::sync::Arc;

use super::image::{KernelError, KernelImage, Origin, Target, default_cache};
use super::sources::Unit;
use crate::cuda::{Context, CudaError, Module};

/// Why a unit cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is no image for this GPU and driver.
    #[error(transparent)]
    Image(#[from] KernelError),
    /// The driver refuses the image.
    #[error(transparent)]
    Cuda(#[from] CudaError),
}

/// Loads what is built into this program, or, where there is nothing for this driver or it refuses that, what NVRTC compiles here.
///
/// # Errors
/// [`LoadError`] when there is neither.
pub fn load(context: &Arc<Context>, unit: Unit, target: Target) -> Result<Arc<Module>, LoadError> {
    let image = KernelImage::load(unit, target)?;
    tracing::debug!("kernels of {}: {:?}", unit.name(), image.origin());
    // SAFETY: the image is nvcc's or NVRTC's own, whole by its checksum.
    match unsafe { Module::load(context, image.bytes()) } {
        Err(refused) if matches!(image.origin(), Origin::BuiltIn(_)) => {
            tracing::info!("the driver refuses the kernels built in ({refused}); they are compiled here");
            let image = KernelImage::compile(unit, target, None, default_cache().as_deref())?;
            // SAFETY: as above.
            Ok(unsafe { Module::load(context, image.bytes()) }?)
        }
        loaded => Ok(loaded?),
    }
}
