//! NVIDIA's smaller libraries, opened at run time by names that carry their major version.
#![allow(unsafe_code)] // A part of the CUDA backend's fence: it opens NVIDIA's libraries.

use std::path::{Path, PathBuf};

use libloading::Library;

use crate::chain::sentence;
use crate::paths::cache_folder;

/// A library and how to get it.
#[derive(Debug)]
pub struct Wanted {
    /// What people call it.
    pub product: &'static str,
    /// Those this program was written for, the newest first.
    pub releases: &'static [Release],
    /// Environment variable with the folder that holds it.
    pub variable: &'static str,
}

/// One major version of a library, made for the same of CUDA: it needs a driver of at least that.
#[derive(Debug)]
pub struct Release {
    /// 13 for CUDA 13.
    pub major: u32,
    /// File name, with the major version.
    pub file: &'static str,
    /// Package of PyPI that holds it.
    pub package: &'static str,
}

/// Why a library cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// Nowhere.
    #[error(
        "{} was not found ({file} in {looked_in}); install it (`pip install {package}` brings it), or set {} to the folder that \
         holds it",
        .wanted.product, .wanted.variable
    )]
    NotFound {
        /// What was looked for.
        wanted: &'static Wanted,
        /// The newest that the driver takes.
        file: &'static str,
        /// The package that holds it.
        package: &'static str,
        /// The places, joined by commas.
        looked_in: String,
    },
    /// The driver is too old for all of them.
    #[error("{} cannot be used: the driver has CUDA {driver}; update it to one of CUDA {oldest} or later", .wanted.product)]
    Driver {
        /// What was looked for.
        wanted: &'static Wanted,
        /// Major version of CUDA that the driver has.
        driver: u32,
        /// Major version of CUDA that the oldest release needs.
        oldest: u32,
    },
    /// There, but not loadable, or without a function that it should have.
    #[error("{path}: {reason}; install {} again, or set {} to the folder that holds it", .wanted.product, .wanted.variable)]
    Unusable {
        /// What was looked for.
        wanted: &'static Wanted,
        /// The library.
        path: PathBuf,
        /// The loader's own words.
        reason: String,
    },
}

/// Whether the system's loader can open `file`, a path or a bare name, and all that it needs.
///
/// # Errors
/// The loader's own words.
pub fn try_open(file: &Path) -> Result<(), String> {
    // SAFETY: as in `Opened::load`.
    unsafe { Library::new(file) }.map(drop).map_err(|error| sentence(&error))
}

/// A library in this process, and where it came from.
#[derive(Debug)]
pub struct Opened {
    wanted: &'static Wanted,
    path: PathBuf,
    library: Library,
}

impl Opened {
    /// Opens the newest release for `driver` (13000 for CUDA 13.0, as `cuDriverGetVersion` says), from the first of: `explicit`,
    /// or else the folder that the environment names, alone (a wrong setting is never papered over); the folder of this executable and
    /// the user's cache; what the system's loader finds by itself; the folders CUDA is installed to.
    ///
    /// # Errors
    /// [`LibraryError`].
    pub fn open(wanted: &'static Wanted, driver: u32, explicit: Option<&Path>) -> Result<Self, LibraryError> {
        let driver = driver / 1000;
        let releases = || wanted.releases.iter().filter(|release| release.major <= driver);
        let Some(newest) = releases().next() else {
            let oldest = wanted.releases.iter().map(|release| release.major).min().unwrap_or(0);
            return Err(LibraryError::Driver { wanted, driver, oldest });
        };
        let there = |folders: &[PathBuf]| {
            let mut paths = releases().flat_map(|release| folders.iter().map(|folder| folder.join(release.file)));
            paths.find(|path| path.exists())
        };
        let named = std::env::var_os(wanted.variable).filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let explicit = explicit.or(named.as_deref());
        let mut folders = explicit.map_or_else(own_folders, |folder| vec![folder.to_owned()]);
        if let Some(path) = there(&folders) {
            return Self::load(wanted, path);
        }
        if explicit.is_none() {
            if let Some(opened) = releases().find_map(|release| Self::load(wanted, release.file.into()).ok()) {
                return Ok(opened);
            }
            folders.extend(CUDA_FOLDERS.map(PathBuf::from));
            if let Some(path) = there(&folders) {
                return Self::load(wanted, path);
            }
        }
        let mut looked_in: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
        if explicit.is_none() {
            looked_in.push("the system's library folders".to_owned());
        }
        let (file, package) = (newest.file, newest.package);
        Err(LibraryError::NotFound { wanted, file, package, looked_in: looked_in.join(", ") })
    }

    fn load(wanted: &'static Wanted, path: PathBuf) -> Result<Self, LibraryError> {
        // SAFETY: loading runs the library's initialisers; a file of this name in a folder the operator chose, or the
        // system's own, is trusted as far as any shared library is.
        match unsafe { Library::new(&path) } {
            Ok(library) => Ok(Self { wanted, path, library }),
            Err(error) => Err(LibraryError::Unusable { wanted, path, reason: sentence(&error) }),
        }
    }

    /// Where it came from: a path, or a bare name when the system's loader found it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The function called `name`, good for as long as this is kept.
    ///
    /// # Safety
    /// `F` must be the function pointer type that the library's header declares for `name`.
    ///
    /// # Errors
    /// [`LibraryError::Unusable`] when the library has no such function.
    pub unsafe fn function<F: Copy>(&self, name: &std::ffi::CStr) -> Result<F, LibraryError> {
        // SAFETY: the caller vouches for the type.
        match unsafe { self.library.get::<F>(name) } {
            Ok(function) => Ok(*function),
            Err(error) => Err(self.unusable(sentence(&error))),
        }
    }

    /// That this library cannot be used, and why.
    #[must_use]
    pub fn unusable(&self, reason: String) -> LibraryError {
        LibraryError::Unusable { wanted: self.wanted, path: self.path.clone(), reason }
    }
}

/// Where CUDA's installers put what they do not tell the system's loader of.
const CUDA_FOLDERS: [&str; 3] = ["/usr/local/cuda/lib64", "/opt/cuda/lib64", "/usr/local/nvidia/lib64"];

fn own_folders() -> Vec<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned));
    let system = PathBuf::from("/var/cache/lipsyncd");
    beside.into_iter().chain(cache_folder().into_iter().chain([system]).map(|cache| cache.join("nvidia"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    static WANTED: Wanted = Wanted {
        product: "Nothing",
        releases: &[
            Release { major: 2, file: "libnothing-at-all.so.2", package: "nothing-cu2" },
            Release { major: 1, file: "libnothing-at-all.so.1", package: "nothing-cu1" },
        ],
        variable: "LIPSYNCD_NOTHING",
    };

    #[test]
    fn what_is_nowhere_is_named_with_how_to_get_it() {
        for (driver, file, package) in
            [(9000, "libnothing-at-all.so.2", "nothing-cu2"), (1080, "libnothing-at-all.so.1", "nothing-cu1")]
        {
            let error = Opened::open(&WANTED, driver, None).unwrap_err().to_string();
            for part in ["Nothing", file, "/usr/local/cuda", package, "LIPSYNCD_NOTHING"] {
                assert!(error.contains(part), "{error}");
            }
        }
        let error = Opened::open(&WANTED, 2000, Some(Path::new("/nowhere"))).unwrap_err().to_string();
        assert!(error.contains("/nowhere") && !error.contains("/usr/local/cuda"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_library_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(WANTED.releases[1].file);
        std::fs::write(&path, "not a library").unwrap();
        let error = Opened::open(&WANTED, 2000, Some(folder.path())).unwrap_err();
        assert!(matches!(&error, LibraryError::Unusable { path: named, .. } if *named == path), "{error}");
    }

    #[test]
    fn a_driver_too_old_for_any_is_told_to_be_updated() {
        let error = Opened::open(&WANTED, 990, None).unwrap_err().to_string();
        assert_eq!(error, "Nothing cannot be used: the driver has CUDA 0; update it to one of CUDA 1 or later");
    }
}
