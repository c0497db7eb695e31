//! The kernels compiled for this machine's CPU by its C compiler, and called thread by thread.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use libloading::Library;
use lipsyncd::backend::cuda::kernels::params::{FrameParams, Geometry, LAYOUT};
use lipsyncd::cuda::Grid;

/// Blocks, then threads of a block, as `Dim` of `kernels/host.c`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Dim([u32; 3]);

/// Values of a kernel's f32 or f16 side.
pub trait Value: Copy {
    const SUFFIX: &str;
    const NAN: Self;
    /// As the kernel reads it.
    fn of(value: f32) -> Self;
    fn to_f32(self) -> f32;
    /// Equal bits; any NaN for a NaN.
    fn same(self, other: Self) -> bool {
        let (a, b) = (self.to_f32(), other.to_f32());
        a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
    }
}

impl Value for f32 {
    const SUFFIX: &str = "f32";
    const NAN: Self = f32::NAN;
    fn of(value: f32) -> Self {
        value
    }
    fn to_f32(self) -> f32 {
        self
    }
}

impl Value for half::f16 {
    const SUFFIX: &str = "f16";
    const NAN: Self = half::f16::NAN;
    fn of(value: f32) -> Self {
        Self::from_f32(value)
    }
    fn to_f32(self) -> f32 {
        self.into()
    }
}

/// `kernels/host.c`, compiled once for all tests. It lives as long as they do.
fn library() -> &'static Library {
    static LIBRARY: OnceLock<Result<Library, String>> = OnceLock::new();
    LIBRARY.get_or_init(build).as_ref().unwrap_or_else(|said| panic!("{said}"))
}

fn build() -> Result<Library, String> {
    let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("kernels.so");
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    // Undefined behaviour traps: a misaligned wide store on the device is a fault there too. Products and sums are rounded
    // apart, as on the device.
    let built = Command::new(compiler)
        .args(["-std=c99", "-O1", "-fPIC", "-shared", "-Wall", "-Wextra", "-ffp-contract=off"])
        .args(["-fno-strict-aliasing", "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"])
        .arg("-I")
        .args([&kernels, &kernels.join("host.c")])
        .arg("-o")
        .args([library.as_path(), Path::new("-lm")])
        .output()
        .map_err(|error| format!("no C compiler ({error}): set CC, or install gcc"))?;
    let said = String::from_utf8_lossy(&built.stderr).into_owned();
    if !built.status.success() || !said.is_empty() {
        return Err(said);
    }
    // SAFETY: it was compiled just now from this repository, and has no initialisers.
    unsafe { Library::new(&library) }.map_err(|error| error.to_string())
}

/// Calls the library's function `name` as a `$type`.
macro_rules! call {
    ($name:expr, $type:ty, $($argument:expr),*) => {{
        // SAFETY: `kernels/host.c` defines it with these parameters.
        let function = unsafe { library().get::<$type>($name.as_bytes()) }.unwrap();
        // One at a time: a kernel's place in its grid is in the library's static variables.
        let _alone = alone();
        // SAFETY: the callers of these wrappers lend buffers as large as the kernels' headers ask for.
        unsafe { function($($argument),*) }
    }};
}

fn alone() -> std::sync::MutexGuard<'static, ()> {
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn dims(grid: Grid) -> (Dim, Dim) {
    (Dim(grid.blocks), Dim(grid.threads))
}

pub fn gather_context<T: Value>(grid: Grid, features: &[f32], rows: &[i32], out: &mut [T], feature_len: usize) {
    assert_eq!(out.len(), rows.len() * feature_len);
    let (blocks, threads) = dims(grid);
    type Gather<T> = unsafe extern "C" fn(Dim, Dim, *const f32, *const i32, *mut T, i32);
    let name = format!("run_gather_context_{}", T::SUFFIX);
    let (features, rows, out) = (features.as_ptr(), rows.as_ptr(), out.as_mut_ptr());
    call!(name, Gather<T>, blocks, threads, features, rows, out, feature_len as i32);
}

pub fn picture_input<T: Value>(grid: Grid, frames: &[FrameParams], out: *mut T, geometry: Geometry) {
    let (blocks, threads) = dims(grid);
    type Input<T> = unsafe extern "C" fn(Dim, Dim, *const FrameParams, *mut T, Geometry);
    let name = format!("run_picture_input_{}", T::SUFFIX);
    call!(name, Input<T>, blocks, threads, frames.as_ptr(), out, geometry);
}

pub fn override_picture(grid: Grid, input: *const f32, out: *mut half::f16, count: usize) {
    let (blocks, threads) = dims(grid);
    type Override = unsafe extern "C" fn(Dim, Dim, *const f32, *mut half::f16, u32);
    call!("run_override_picture_f16", Override, blocks, threads, input, out, count as u32);
}

pub fn paste_planes<T: Value>(grid: Grid, generated: &[T], frames: &[FrameParams], out: &mut [u8], geometry: Geometry) {
    let (blocks, threads) = dims(grid);
    type Paste<T> = unsafe extern "C" fn(Dim, Dim, *const T, *const FrameParams, *mut u8, Geometry);
    let name = format!("run_paste_planes_{}", T::SUFFIX);
    let (generated, out) = (generated.as_ptr(), out.as_mut_ptr());
    call!(name, Paste<T>, blocks, threads, generated, frames.as_ptr(), out, geometry);
}

pub fn layout_of_params() -> [usize; LAYOUT.len()] {
    let mut layout = [0_u32; LAYOUT.len()];
    call!("layout_of_params", unsafe extern "C" fn(*mut u32), layout.as_mut_ptr());
    layout.map(|n| n as usize)
}

/// Every value that `function(name)` gives for `inputs`.
pub fn each<I: Copy, O>(name: &str, inputs: impl Iterator<Item = I>, mut judge: impl FnMut(I, O)) {
    // SAFETY: as for `call`; the types are those of the function named.
    let function = unsafe { library().get::<unsafe extern "C" fn(I) -> O>(name.as_bytes()) }.unwrap();
    for input in inputs {
        // SAFETY: it reads its argument and nothing else.
        judge(input, unsafe { function(input) });
    }
}
