//! NVRTC, NVIDIA's run-time compiler, loaded when there is something to compile.
//!
//! Not through cudarc: it panics where the library is absent, and cannot hand over headers.
#![allow(unsafe_code)] // A part of the CUDA backend's fence: NVRTC's functions are C.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::ptr::null_mut;

use super::sources::Unit;
use crate::backend::cuda::shared_library::{LibraryError, Opened, Release, Wanted};

static NVRTC: Wanted = Wanted {
    product: "NVRTC",
    releases: &[
        Release { major: 13, file: "libnvrtc.so.13", package: "nvidia-cuda-nvrtc" },
        Release { major: 12, file: "libnvrtc.so.12", package: "nvidia-cuda-nvrtc-cu12" },
    ],
    variable: "LIPSYNCD_NVRTC",
};

/// Products and sums are rounded apart, as on the host.
pub(super) const OPTIONS: [&CStr; 2] = [c"--fmad=false", c"--std=c++17"];

/// Why NVRTC made nothing.
#[derive(Debug, thiserror::Error)]
pub enum NvrtcError {
    /// The library.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// The GPU is older than all it knows.
    #[error("{nvrtc} compiles for no GPU as old as sm_{sm}, only from sm_{oldest} on; install an older NVRTC")]
    Architecture {
        /// Name and version.
        nvrtc: String,
        /// The GPU's compute capability, 75 for 7.5.
        sm: u32,
        /// The oldest it knows.
        oldest: u32,
    },
    /// It did not take the sources.
    #[error("{nvrtc} did not compile the kernels: {log}")]
    Compile {
        /// Name and version.
        nvrtc: String,
        /// The first line of its log.
        log: String,
    },
    /// Something else went wrong inside.
    #[error("{function} failed: {status}; install another version of NVRTC, or set LIPSYNCD_NVRTC to its folder")]
    Call {
        /// The function called.
        function: &'static str,
        /// Its own words.
        status: String,
    },
}

type Status = c_int;
type Program = *mut c_void;

/// The functions used, as `nvrtc.h` of CUDA 12 and 13 declares them.
struct Functions {
    error_string: unsafe extern "C" fn(Status) -> *const c_char,
    version: unsafe extern "C" fn(*mut c_int, *mut c_int) -> Status,
    num_supported_archs: unsafe extern "C" fn(*mut c_int) -> Status,
    supported_archs: unsafe extern "C" fn(*mut c_int) -> Status,
    create: unsafe extern "C" fn(
        *mut Program,
        *const c_char,
        *const c_char,
        c_int,
        *const *const c_char,
        *const *const c_char,
    ) -> Status,
    destroy: unsafe extern "C" fn(*mut Program) -> Status,
    compile: unsafe extern "C" fn(Program, c_int, *const *const c_char) -> Status,
    log: Output,
    ptx: Output,
    cubin: Output,
}

/// The pair of functions that tell a result's size and copy it out.
#[derive(Clone, Copy)]
struct Output {
    name: &'static str,
    size: unsafe extern "C" fn(Program, *mut usize) -> Status,
    copy: unsafe extern "C" fn(Program, *mut c_char) -> Status,
}

/// The library, loaded.
pub struct Nvrtc {
    functions: Functions,
    version: (i32, i32),
    /// Declared last: the functions above are its.
    library: Opened,
}

impl Nvrtc {
    /// Loads the one for `driver` (13000 for CUDA 13.0), since what it makes wants a driver at least as new, from the folder
    /// `explicit`, or the one that `LIPSYNCD_NVRTC` names, or from where it is usually installed.
    ///
    /// # Errors
    /// [`NvrtcError::Library`].
    pub fn load(driver: u32, explicit: Option<&Path>) -> Result<Self, NvrtcError> {
        let library = Opened::open(&NVRTC, driver, explicit)?;
        let functions = functions(&library)?;
        let mut version = (0, 0);
        // SAFETY: it writes two integers.
        let status = unsafe { (functions.version)(&mut version.0, &mut version.1) };
        let nvrtc = Self { functions, version, library };
        nvrtc.check("nvrtcVersion", status)?;
        Ok(nvrtc)
    }

    /// `NVRTC 13.5`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("NVRTC {}.{}", self.version.0, self.version.1)
    }

    /// Where it came from.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.library.path()
    }

    /// A unit's kernels as what `cuModuleLoadData` takes on a GPU of compute capability `sm` (90 for 9.0): machine code, or PTX
    /// (with its terminating zero) where the GPU is newer than this library.
    ///
    /// # Errors
    /// [`NvrtcError`].
    pub fn compile(&self, unit: Unit, sm: u32) -> Result<Vec<u8>, NvrtcError> {
        let architectures = self.architectures()?;
        let newest = architectures.iter().copied().filter(|&known| known <= sm).max();
        let newest = newest.ok_or_else(|| NvrtcError::Architecture {
            nvrtc: self.name(),
            sm,
            oldest: architectures.iter().copied().min().unwrap_or(0),
        })?;
        let (kind, output) = if newest == sm { ("sm", self.functions.cubin) } else { ("compute", self.functions.ptx) };
        let program = ProgramGuard::new(self, unit)?;
        let architecture = c_string(&format!("--gpu-architecture={kind}_{newest}"))?;
        let options = [architecture.as_ptr(), OPTIONS[0].as_ptr(), OPTIONS[1].as_ptr()];
        // SAFETY: the program is alive and the options are as many C strings as said.
        let status = unsafe { (self.functions.compile)(program.program, options.len() as c_int, options.as_ptr()) };
        if status != 0 {
            let log = program.take(self.functions.log).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            let line = log.lines().find(|line| !line.trim().is_empty()).unwrap_or("it does not say why");
            return Err(NvrtcError::Compile { nvrtc: self.name(), log: line.trim_end_matches('\0').to_owned() });
        }
        program.take(output)
    }

    fn architectures(&self) -> Result<Vec<u32>, NvrtcError> {
        let mut count = 0;
        // SAFETY: it writes one integer.
        let status = unsafe { (self.functions.num_supported_archs)(&mut count) };
        self.check("nvrtcGetNumSupportedArchs", status)?;
        let mut architectures = vec![0; usize::try_from(count).unwrap_or(0)];
        // SAFETY: it writes as many integers as it said there are.
        let status = unsafe { (self.functions.supported_archs)(architectures.as_mut_ptr()) };
        self.check("nvrtcGetSupportedArchs", status)?;
        Ok(architectures.into_iter().filter_map(|sm| u32::try_from(sm).ok()).collect())
    }

    fn check(&self, function: &'static str, status: Status) -> Result<(), NvrtcError> {
        if status == 0 {
            return Ok(());
        }
        // SAFETY: it takes any status.
        let words = unsafe { (self.functions.error_string)(status) };
        let status = if words.is_null() {
            format!("status {status}")
        } else {
            // SAFETY: not null, hence a C string of the library's own constants.
            unsafe { CStr::from_ptr(words) }.to_string_lossy().into_owned()
        };
        Err(NvrtcError::Call { function, status })
    }
}

fn functions(library: &Opened) -> Result<Functions, LibraryError> {
    macro_rules! function {
        ($name:literal) => {
            // SAFETY: the field it goes to has the type that nvrtc.h declares.
            unsafe { library.function($name) }?
        };
    }
    Ok(Functions {
        error_string: function!(c"nvrtcGetErrorString"),
        version: function!(c"nvrtcVersion"),
        num_supported_archs: function!(c"nvrtcGetNumSupportedArchs"),
        supported_archs: function!(c"nvrtcGetSupportedArchs"),
        create: function!(c"nvrtcCreateProgram"),
        destroy: function!(c"nvrtcDestroyProgram"),
        compile: function!(c"nvrtcCompileProgram"),
        log: Output {
            name: "nvrtcGetProgramLog",
            size: function!(c"nvrtcGetProgramLogSize"),
            copy: function!(c"nvrtcGetProgramLog"),
        },
        ptx: Output { name: "nvrtcGetPTX", size: function!(c"nvrtcGetPTXSize"), copy: function!(c"nvrtcGetPTX") },
        cubin: Output {
            name: "nvrtcGetCUBIN",
            size: function!(c"nvrtcGetCUBINSize"),
            copy: function!(c"nvrtcGetCUBIN"),
        },
    })
}

/// A program of a unit's sources, destroyed with this.
struct ProgramGuard<'n> {
    nvrtc: &'n Nvrtc,
    program: Program,
    /// NVRTC may read these until the program is destroyed.
    _texts: Vec<CString>,
}

impl<'n> ProgramGuard<'n> {
    fn new(nvrtc: &'n Nvrtc, unit: Unit) -> Result<Self, NvrtcError> {
        let (mut names, mut texts) = (Vec::new(), Vec::new());
        for (name, text) in unit.sources() {
            names.push(c_string(name)?);
            texts.push(c_string(text)?);
        }
        let pointers = |strings: &[CString]| strings.iter().map(|string| string.as_ptr()).collect::<Vec<_>>();
        let (name_pointers, text_pointers) = (pointers(&names), pointers(&texts));
        let mut program = null_mut();
        // SAFETY: as many names and texts as said, all C strings, which live as long as the program.
        let status = unsafe {
            (nvrtc.functions.create)(
                &mut program,
                text_pointers[0],
                name_pointers[0],
                names.len() as c_int,
                text_pointers.as_ptr(),
                name_pointers.as_ptr(),
            )
        };
        nvrtc.check("nvrtcCreateProgram", status)?;
        texts.append(&mut names);
        Ok(Self { nvrtc, program, _texts: texts })
    }

    /// One of the program's results.
    fn take(&self, output: Output) -> Result<Vec<u8>, NvrtcError> {
        let mut len = 0;
        // SAFETY: the program is alive; it writes one size.
        let status = unsafe { (output.size)(self.program, &mut len) };
        self.nvrtc.check(output.name, status)?;
        let mut bytes = vec![0; len];
        // SAFETY: the program is alive; it writes as many bytes as it said.
        let status = unsafe { (output.copy)(self.program, bytes.as_mut_ptr().cast()) };
        self.nvrtc.check(output.name, status)?;
        Ok(bytes)
    }
}

impl Drop for ProgramGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: it was created and is destroyed once. A failure would leave memory behind, and nobody to tell.
        let _ = unsafe { (self.nvrtc.functions.destroy)(&mut self.program) };
    }
}

fn c_string(text: &str) -> Result<CString, NvrtcError> {
    // None of ours has one.
    CString::new(text).map_err(|_| NvrtcError::Call { function: "a source", status: "it holds a zero byte".to_owned() })
}
