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
    /// File names that carry the major versions this program was written for, the newest first.
    pub names: &'static [&'static str],
    /// Environment variable with the folder that holds it.
    pub variable: &'static str,
    /// Package of PyPI that holds it.
    pub package: &'static str,
}

/// Why a library cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// Nowhere.
    #[error(
        "{} was not found ({} in {looked_in}); install it (`pip install {}` brings it), or set {} to the folder that holds it",
        .wanted.product, .wanted.names.join(" or "), .wanted.package, .wanted.variable
    )]
    NotFound {
        /// What was looked for.
        wanted: &'static Wanted,
        /// The places, joined by commas.
        looked_in: String,
    },
    /// There, but not loadable, or without a function that it should have.
    #[error("{path}: {reason}; install {} of one of the versions {} or set {} to the folder that holds it",
        .wanted.product, .wanted.names.join(", "), .wanted.variable)]
    Unusable {
        /// What was looked for.
        wanted: &'static Wanted,
        /// The library.
        path: PathBuf,
        /// The loader's own words.
        reason: String,
    },
}

/// A library in this process, and where it came from.
#[derive(Debug)]
pub struct Opened {
    wanted: &'static Wanted,
    path: PathBuf,
    library: Library,
}

impl Opened {
    /// Opens the first of: the names in `explicit` alone (a wrong setting is never papered over), or in the folder of this
    /// executable and the user's cache, then what the system's loader finds by itself, then the folders CUDA is installed to.
    ///
    /// # Errors
    /// [`LibraryError`].
    pub fn open(wanted: &'static Wanted, explicit: Option<&Path>) -> Result<Self, LibraryError> {
        let found = |folders: &[PathBuf]| {
            let paths = wanted.names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
            paths.into_iter().find(|path| path.exists())
        };
        let own = explicit.map_or_else(own_folders, |folder| vec![folder.to_owned()]);
        if let Some(path) = found(&own) {
            return Self::load(wanted, path);
        }
        let mut looked_in: Vec<_> = own.iter().map(|folder| folder.display().to_string()).collect();
        if explicit.is_none() {
            if let Some(opened) = wanted.names.iter().find_map(|name| Self::load(wanted, name.into()).ok()) {
                return Ok(opened);
            }
            looked_in.push("the system's library folders".to_owned());
            let installed = CUDA_FOLDERS.map(PathBuf::from);
            if let Some(path) = found(&installed) {
                return Self::load(wanted, path);
            }
            looked_in.extend(CUDA_FOLDERS.map(str::to_owned));
        }
        Err(LibraryError::NotFound { wanted, looked_in: looked_in.join(", ") })
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
        names: &["libnothing-at-all.so.2", "libnothing-at-all.so.1"],
        variable: "LIPSYNCD_NOTHING",
        package: "nothing",
    };

    #[test]
    fn what_is_nowhere_is_named_with_how_to_get_it() {
        let error = Opened::open(&WANTED, None).unwrap_err().to_string();
        for part in
            ["Nothing", "libnothing-at-all.so.2 or", "/usr/local/cuda", "pip install nothing", "LIPSYNCD_NOTHING"]
        {
            assert!(error.contains(part), "{error}");
        }
        let error = Opened::open(&WANTED, Some(Path::new("/nowhere"))).unwrap_err().to_string();
        assert!(error.contains("/nowhere") && !error.contains("/usr/local/cuda"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_library_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(WANTED.names[1]);
        std::fs::write(&path, "not a library").unwrap();
        let error = Opened::open(&WANTED, Some(folder.path())).unwrap_err();
        assert!(matches!(&error, LibraryError::Unusable { path: named, .. } if *named == path), "{error}");
    }
}
