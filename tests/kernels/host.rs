//! The kernels compiled for this machine's CPU by its C compiler, and called thread by thread.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use libloading::Library;
use lipsyncd::backend::cuda::kernels::grid;
use lipsyncd::backend::cuda::kernels::params::{FrameAddresses, FrameParams, Geometry, LAYOUT};
use lipsyncd::cuda::Grid;
use lipsyncd::onnxruntime::Element;

use crate::c::compile;
use crate::pictures::{Batch, Frame, Tables};
use crate::runner::{Runner, TAIL, UNTOUCHED, Value};

/// Blocks, then threads of a block, as `Dim` of `kernels/host.c`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Dim([u32; 3]);

/// `kernels/host.c`, compiled once for all tests. It lives as long as they do.
fn library() -> &'static Library {
    static LIBRARY: OnceLock<Result<Library, String>> = OnceLock::new();
    LIBRARY.get_or_init(build).as_ref().unwrap_or_else(|said| panic!("{said}"))
}

fn build() -> Result<Library, String> {
    let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("kernels.so");
    // Undefined behaviour traps: a misaligned wide store on the device is a fault there too. Products and sums are rounded
    // apart, as on the device.
    let kernels = kernels.to_str().ok_or("the repository's path is not UTF-8")?;
    let options =
        ["-ffp-contract=off", "-fno-strict-aliasing", "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"];
    compile(&Path::new(kernels).join("host.c"), &library, &[&options[..], &["-I", kernels]].concat())?;
    // SAFETY: it was compiled just now from this repository, and has no initialisers.
    unsafe { Library::new(&library) }.map_err(|error| error.to_string())
}

/// Calls the library's function `$name`, a `$type`.
macro_rules! call {
    ($name:expr, $type:ty, $($argument:expr),*) => {{
        // SAFETY: `kernels/host.c` defines it with these parameters.
        let function = unsafe { library().get::<$type>($name.as_bytes()) }.unwrap();
        // One at a time: a kernel's place in its grid is in the library's static variables.
        let _alone = alone();
        // SAFETY: the callers lend buffers as large as the kernels' headers ask for.
        unsafe { function($($argument),*) }
    }};
}

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn dims(grid: Grid) -> (Dim, Dim) {
    (Dim(grid.blocks), Dim(grid.threads))
}

fn named<T: Value>(kernel: &str) -> String {
    let element = match T::ELEMENT {
        Element::F32 => "f32",
        Element::F16 => "f16",
    };
    format!("run_{kernel}_{element}")
}

/// This machine.
pub struct Host;

impl Runner for Host {
    fn gather_context<T: Value>(&self, features: &[f32], rows: &[i32], context: usize, feature_len: usize) -> Vec<u8> {
        let mut out = Aligned::new(rows.len() * feature_len * size_of::<T>());
        let (blocks, threads) = dims(grid::gather_context(rows.len() / context, context));
        type Gather = unsafe extern "C" fn(Dim, Dim, *const f32, *const i32, *mut u8, i32);
        let (features, rows, at) = (features.as_ptr(), rows.as_ptr(), out.at());
        call!(named::<T>("gather_context"), Gather, blocks, threads, features, rows, at, feature_len as i32);
        out.bytes()
    }

    fn picture_input<T: Value>(&self, batch: &Batch) -> Vec<u8> {
        let geometry = batch.input.geometry();
        let mut out = Aligned::new(batch.frames.len() * geometry.input_len() * size_of::<T>());
        let (blocks, threads) = dims(grid::picture_input(batch.frames.len(), geometry.size_px()));
        let tables = batch.tables();
        let params = batch.params(&addresses(batch, &tables));
        type Input = unsafe extern "C" fn(Dim, Dim, *const FrameParams, *mut u8, Geometry);
        let (frames, at) = (params.as_ptr(), out.at());
        call!(named::<T>("picture_input"), Input, blocks, threads, frames, at, batch.geometry());
        out.bytes()
    }

    fn override_picture(&self, values: &[f32]) -> Vec<u8> {
        let mut input = Aligned::new(size_of_val(values));
        input.fill(&values.iter().flat_map(|value| value.to_ne_bytes()).collect::<Vec<_>>());
        let mut out = Aligned::new(values.len() * 2);
        let (blocks, threads) = dims(grid::override_picture(values.len()));
        type Override = unsafe extern "C" fn(Dim, Dim, *const u8, *mut u8, u32);
        let (from, to) = (input.at(), out.at());
        call!("run_override_picture_f16", Override, blocks, threads, from, to, values.len() as u32);
        out.bytes()
    }

    fn paste_planes<T: Value>(&self, batch: &Batch, generated: &[T]) -> (Vec<u8>, Vec<u8>) {
        let tables = batch.tables();
        let params = batch.params(&addresses(batch, &tables));
        let (frames, geometry) = (params.as_ptr(), batch.geometry());
        let mut patched = Aligned::new(batch.patched_len());
        let (blocks, threads) = dims(grid::patch_crop(batch.frames.len(), geometry.crop_side_px()));
        type Patch<T> = unsafe extern "C" fn(Dim, Dim, *const T, *const FrameParams, *mut u8, Geometry);
        let (pictures, at) = (generated.as_ptr(), patched.at());
        call!(named::<T>("patch_crop"), Patch<T>, blocks, threads, pictures, frames, at, geometry);
        let mut out = vec![UNTOUCHED; batch.planes_len()];
        let (blocks, threads) = dims(grid::paste_planes(batch.frames.len(), batch.largest_strip()));
        type Paste = unsafe extern "C" fn(Dim, Dim, *const u8, *const FrameParams, *mut u8, Geometry);
        let planes = out.as_mut_ptr();
        call!("run_paste_planes", Paste, blocks, threads, at, frames, planes, geometry);
        (out, patched.bytes())
    }
}

/// Where a batch lies in this process.
fn addresses(batch: &Batch, tables: &[Tables]) -> Vec<FrameAddresses> {
    let at = |(frame, tables): (&Frame, &Tables)| FrameAddresses {
        crop: frame.crop.as_ptr().addr() as u64,
        strip: frame.strip.as_ptr().addr() as u64,
        columns: tables.columns.as_ptr().addr() as u64,
        rows: tables.rows.as_ptr().addr() as u64,
    };
    batch.frames.iter().zip(tables).map(at).collect()
}

/// Sizes and offsets of the structures, as the C compiler has them.
pub fn layout_of_params() -> [usize; LAYOUT.len()] {
    let mut layout = [0_u32; LAYOUT.len()];
    call!("layout_of_params", unsafe extern "C" fn(*mut u32), layout.as_mut_ptr());
    layout.map(|n| n as usize)
}

/// Shows `judge` every value that the function `name` gives for `inputs`.
pub fn each<I: Copy, O>(name: &str, inputs: impl Iterator<Item = I>, mut judge: impl FnMut(I, O)) {
    // SAFETY: as for `call`; the types are those of the function named.
    let function = unsafe { library().get::<unsafe extern "C" fn(I) -> O>(name.as_bytes()) }.unwrap();
    for input in inputs {
        // SAFETY: it reads its argument and nothing else.
        judge(input, unsafe { function(input) });
    }
}

/// Bytes at a multiple of 16, as device buffers are, and a tail.
struct Aligned {
    blocks: Vec<Block>,
    len: usize,
}

#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Block([u8; 16]);

impl Aligned {
    fn new(len: usize) -> Self {
        Self { blocks: vec![Block([UNTOUCHED; 16]); (len + TAIL).div_ceil(16)], len }
    }

    fn at(&mut self) -> *mut u8 {
        self.blocks.as_mut_ptr().cast()
    }

    fn fill(&mut self, bytes: &[u8]) {
        for (block, bytes) in self.blocks.iter_mut().zip(bytes.chunks(16)) {
            block.0[..bytes.len()].copy_from_slice(bytes);
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.blocks.iter().flat_map(|block| block.0).collect();
        bytes.truncate(self.len + TAIL);
        bytes
    }
}
