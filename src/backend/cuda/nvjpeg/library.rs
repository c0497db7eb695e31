//! Finding nvJPEG, and asking what it is; nothing here needs a GPU.

use std::fmt;
use std::path::Path;

use super::binding::{Functions, check};
use super::error::NvJpegError;
use crate::backend::cuda::shared_library::{Opened, Release, Wanted};

static NVJPEG: Wanted = Wanted {
    product: "nvJPEG",
    releases: &[
        Release { major: 13, file: "libnvjpeg.so.13", package: "nvidia-nvjpeg" },
        Release { major: 12, file: "libnvjpeg.so.12", package: "nvidia-nvjpeg-cu12" },
    ],
    variable: "LIPSYNCD_NVJPEG",
};

/// Major (that of CUDA), minor, patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// That of CUDA.
    pub major: i32,
    /// Within it.
    pub minor: i32,
    /// Within that.
    pub patch: i32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// nvJPEG, loaded into this process.
#[derive(Debug)]
pub struct Library {
    pub(super) functions: Functions,
    version: Version,
    /// Declared last: the functions above are its.
    opened: Opened,
}

impl Library {
    /// Loads the one for `driver` (13000 for CUDA 13.0), from the folder `explicit`, or the one that `LIPSYNCD_NVJPEG` names, or from
    /// where it is usually installed.
    ///
    /// # Errors
    /// [`NvJpegError::Library`], or [`NvJpegError::Version`] when it is of another CUDA than its name says.
    pub fn load(driver: u32, explicit: Option<&Path>) -> Result<Self, NvJpegError> {
        let opened = Opened::open(&NVJPEG, driver, explicit)?;
        let functions = Functions::of(&opened)?;
        let mut version = [0; 3];
        for (property, value) in (0..).zip(&mut version) {
            // SAFETY: it writes one integer, for one of the three values of libraryPropertyType.
            check("nvjpegGetProperty", unsafe { (functions.get_property)(property, value) })?;
        }
        let [major, minor, patch] = version;
        let found = Version { major, minor, patch };
        if !(12..=13).contains(&major) {
            return Err(NvJpegError::Version { path: opened.path().to_owned(), found });
        }
        Ok(Self { functions, version: found, opened })
    }

    /// What it says it is.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Where it came from: a path, or a bare name when the system's loader found it.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.opened.path()
    }
}
