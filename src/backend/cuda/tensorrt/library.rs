//! Finding TensorRT's two libraries and refusing those this program was not written for.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::backend::cuda::CudaOptions;
use crate::backend::cuda::plan::Plans;
use crate::chain::sentence;
use crate::paths::cache_folder;

/// The flavour this binary knows.
pub const FLAVOUR: &str = if ENTERPRISE { "TensorRT" } else { "TensorRT-RTX" };

const ENTERPRISE: bool = cfg!(feature = "tensorrt");

/// The runtime with the builder, and the ONNX parser, by the names that carry the major version: an unversioned name is
/// whatever was installed last.
const NAMES: [&str; 2] = if ENTERPRISE {
    ["libnvinfer.so.11", "libnvonnxparser.so.11"]
} else {
    ["libtensorrt_rtx.so.1", "libtensorrt_onnxparser_rtx.so.1"]
};

/// The headers the classes' layouts were taken from; an older library has shorter ones.
const OLDEST: Version = if ENTERPRISE { Version([11, 4, 0, 0]) } else { Version([1, 7, 0, 0]) };

/// Major, minor, patch, build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub [i32; 4]);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch, build] = self.0;
        write!(f, "{major}.{minor}.{patch}.{build}")
    }
}

/// Why TensorRT cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// Nowhere.
    #[error(
        "{FLAVOUR} was not found ({} in {looked_in}); install it, or set LIPSYNCD_TENSORRT to the folder that holds it",
        NAMES[0]
    )]
    NotFound {
        /// The places, joined by commas.
        looked_in: String,
    },
    /// There, but not loadable.
    #[error("{path}: {reason}; install {FLAVOUR} {OLDEST} or later of the same major version")]
    Unusable {
        /// The library.
        path: PathBuf,
        /// The loader's own words.
        reason: String,
    },
    /// Loadable, but of another version.
    #[error("{path} is {FLAVOUR} {found}; this program needs {OLDEST} or later of the same major version")]
    Version {
        /// The library.
        path: PathBuf,
        /// What it says it is.
        found: Version,
    },
}

/// TensorRT, loaded into this process for its lifetime.
#[derive(Debug, Clone)]
pub struct Library {
    /// The folder it came from.
    pub folder: PathBuf,
    /// What it says it is.
    pub version: Version,
}

impl Library {
    /// Finds and loads it from the first of: `explicit` (`LIPSYNCD_TENSORRT`), the folder of this executable, the user's
    /// cache, the system.
    ///
    /// # Errors
    /// [`LibraryError`].
    pub fn load(explicit: Option<&Path>) -> Result<Self, LibraryError> {
        let folders = explicit.map_or_else(folders, |folder| vec![folder.to_owned()]);
        let folder = folders.iter().find(|folder| folder.join(NAMES[0]).exists()).ok_or_else(|| {
            let looked_in = folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ");
            LibraryError::NotFound { looked_in }
        })?;
        let [runtime, parser] = NAMES.map(|name| folder.join(name));
        let version = version_of(&runtime)?;
        // Another major version has other classes behind the same names.
        if version < OLDEST || version.0[0] != OLDEST.0[0] {
            return Err(LibraryError::Version { path: runtime, found: version });
        }
        let unusable = |path: &Path, error: trtx::Error| LibraryError::Unusable {
            path: path.to_owned(),
            reason: super::build::one_line(&error),
        };
        trtx::dynamically_load_tensorrt(Some(&runtime)).map_err(|error| unusable(&runtime, error))?;
        trtx::dynamically_load_tensorrt_onnxparser(Some(&parser)).map_err(|error| unusable(&parser, error))?;
        Ok(Self { folder: folder.clone(), version })
    }

    /// Flavour and version, as plans name their maker.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{FLAVOUR} {}", self.version)
    }

    /// The plans of one who uses a GPU by `options`; none where there is no folder for them.
    #[must_use]
    pub fn plans(&self, options: &CudaOptions) -> Option<Plans> {
        let folder = options.plans.clone().or_else(|| cache_folder().map(|cache| cache.join("plans")))?;
        Some(Plans { folder, engine: self.name(), precision: options.precision, max_batch: options.max_batch })
    }
}

/// Whether this flavour is supported on GPUs of compute capability `sm` (support matrices of TensorRT 11 and TensorRT-RTX 1.7). The latter's builder
/// takes sm_80, too, which the matrix leaves out.
#[must_use]
pub fn knows(sm: u32) -> bool {
    if ENTERPRISE { sm >= 75 } else { [75, 86, 89, 120, 121].contains(&sm) }
}

fn folders() -> Vec<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned));
    let system =
        ["/usr/lib/x86_64-linux-gnu", "/usr/local/tensorrt/lib", "/usr/local/lib", "/opt/tensorrt/lib", "/usr/lib64"];
    let cache = cache_folder().map(|cache| cache.join("tensorrt"));
    beside.into_iter().chain(cache).chain(system.map(PathBuf::from)).collect()
}

/// Asks the library itself, before anything of its classes is touched.
fn version_of(path: &Path) -> Result<Version, LibraryError> {
    let unusable =
        |error: libloading::Error| LibraryError::Unusable { path: path.to_owned(), reason: sentence(&error) };
    // SAFETY: loading runs the library's initialisers; a file of this name in a folder the operator chose, or the system's
    // own, is trusted as far as any shared library is.
    let library = unsafe { libloading::Library::new(path) }.map_err(unusable)?;
    let mut version = [0; 4];
    let names = [
        c"getInferLibMajorVersion",
        c"getInferLibMinorVersion",
        c"getInferLibPatchVersion",
        c"getInferLibBuildVersion",
    ];
    for (part, name) in version.iter_mut().zip(names) {
        // SAFETY: NvInferRuntimeBase.h declares each as `int32_t name() noexcept` with C linkage.
        let function = unsafe { library.get::<unsafe extern "C" fn() -> i32>(name.to_bytes_with_nul()) };
        let function = function.map_err(unusable)?;
        // SAFETY: as above; they take nothing and only return a constant.
        *part = unsafe { function() };
    }
    Ok(Version(version))
}
