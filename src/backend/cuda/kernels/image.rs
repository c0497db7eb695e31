//! The kernels as something the driver can load: built in, or compiled on this machine and kept.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::cache;
use super::nvrtc::{Nvrtc, NvrtcError, OPTIONS};
use super::sources::{self, Unit};
use crate::backend::cuda::shared_library::LibraryError;
use crate::paths::cache_folder;

/// What the build compiled: a fat binary for each unit, empty where it found no nvcc.
static FRAMES: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/frames.fatbin")));
static NATIVE: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/native.fatbin")));

/// The CUDA version that made them, `13.5`; empty likewise.
const BUILT_BY: &str = env!("LIPSYNCD_KERNELS_CUDA");

/// As nvcc aligns a fat binary inside a program.
#[repr(C, align(16))]
struct Aligned<T: ?Sized>(T);

/// Why there are no kernels: nothing is built in that this driver takes, and nothing can be compiled.
#[derive(Debug, thiserror::Error)]
#[error("the kernels are not built into this program for this driver, and cannot be compiled: {0}")]
pub struct KernelError(#[from] NvrtcError);

impl KernelError {
    /// Whether NVRTC is missing, rather than unable.
    #[must_use]
    pub fn is_missing_library(&self) -> bool {
        matches!(self.0, NvrtcError::Library(LibraryError::NotFound { .. }))
    }
}

/// The GPU and driver that kernels are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Compute capability, 90 for 9.0.
    pub sm: u32,
    /// What `cuDriverGetVersion` says, 13000 for CUDA 13.0.
    pub driver: u32,
}

/// Where this program keeps what it compiles.
pub(super) fn default_cache() -> Option<PathBuf> {
    cache_folder().map(|cache| cache.join("kernels"))
}

/// Where an image came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built into this program, by nvcc of this version.
    BuiltIn(&'static str),
    /// Compiled just now.
    Compiled {
        /// Name and version.
        nvrtc: String,
    },
    /// Compiled by an earlier start, and kept there.
    Cached(PathBuf),
}

/// A unit's kernels in one module.
pub struct KernelImage {
    bytes: Cow<'static, [u8]>,
    origin: Origin,
}

impl std::fmt::Debug for KernelImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KernelImage").field("bytes", &self.bytes.len()).field("origin", &self.origin).finish()
    }
}

impl KernelImage {
    /// What was built in, where it is for such a driver; else what [`KernelImage::compile`] gives, kept in the user's cache.
    ///
    /// # Errors
    /// As [`KernelImage::compile`].
    pub fn load(unit: Unit, target: Target) -> Result<Self, KernelError> {
        let compile = || Self::compile(unit, target, None, default_cache().as_deref());
        Self::built_in(unit, target).map_or_else(compile, Ok)
    }

    /// What nvcc made when this program was built. None where it was built without, or for a newer driver: code of one major
    /// version of CUDA needs a driver of at least that.
    #[must_use]
    pub fn built_in(unit: Unit, target: Target) -> Option<Self> {
        let major: u32 = BUILT_BY.split('.').next()?.parse().ok()?;
        let image = match unit {
            Unit::Frames => &FRAMES.0,
            Unit::Native => &NATIVE.0,
        };
        if image.is_empty() || major > target.driver / 1000 {
            return None;
        }
        Some(Self { bytes: Cow::Borrowed(image), origin: Origin::BuiltIn(BUILT_BY) })
    }

    /// What NVRTC makes of the sources for this GPU: the way out where nothing fitting is built in, or the driver refuses it. `nvrtc` is
    /// the folder it is in; none is what `LIPSYNCD_NVRTC` names, or else where it is usually installed.
    ///
    /// It is kept in the folder `cache`, under a name that changes with the sources, the GPU and NVRTC. A folder that cannot
    /// be written, or a damaged file in it, costs a second at the next start and is logged.
    ///
    /// # Errors
    /// [`KernelError`].
    pub fn compile(
        unit: Unit,
        target: Target,
        nvrtc: Option<&Path>,
        cache: Option<&Path>,
    ) -> Result<Self, KernelError> {
        let nvrtc = Nvrtc::load(target.driver, nvrtc)?;
        let path = cache.map(|folder| {
            let fingerprint = sources::fingerprint(unit, &format!("{} {OPTIONS:?} sm_{}", nvrtc.name(), target.sm));
            folder.join(format!("{}-sm_{}-{fingerprint}.kernels", unit.name(), target.sm))
        });
        if let Some(path) = &path
            && let Some(bytes) = cache::read(path)
        {
            return Ok(Self { bytes: Cow::Owned(bytes), origin: Origin::Cached(path.clone()) });
        }
        let bytes = nvrtc.compile(unit, target.sm)?;
        if let Some(path) = &path {
            cache::write(path, &bytes);
        }
        Ok(Self { bytes: Cow::Owned(bytes), origin: Origin::Compiled { nvrtc: nvrtc.name() } })
    }

    /// What `cuModuleLoadData` takes: a fat binary, a cubin, or PTX with its terminating zero.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where it came from.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}
