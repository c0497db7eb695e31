//! The kernels compiled for this machine's CPU by its C++ compiler, and run on an emulated GPU that checks what they touch.

use std::ffi::{CStr, c_void};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use half::f16;
use libloading::Library;
use lipsyncd::backend::cuda::native::arena::Arena;
use lipsyncd::backend::cuda::native::branch::Branch;
use lipsyncd::backend::cuda::native::lower::{Addresses, Choice, Launch, Lowering};
use lipsyncd::backend::cuda::native::pack::Weights;
use lipsyncd::backend::cuda::native::program::{Op, Program, Target};
use lipsyncd::onnxruntime::Element;

/// What `emulate_memory` of `host.cc` lets kernels do.
const WEIGHTS: u32 = 0;
const READ: u32 = 1;
const WRITTEN: u32 = 2;

/// What memory holds before anything is written: a NaN in float16 and in float32.
const POISON: u8 = 0xFF;

/// `kernels/native/host.cc`, compiled once for all tests. It lives as long as they do.
fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("native.so");
        let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
        // longjmp between stacks is what a fortified one takes for an attack.
        let built = Command::new(compiler)
            .args(["-std=c++17", "-O2", "-fPIC", "-shared", "-Wall", "-Wextra", "-ffp-contract=off"])
            .args(["-fno-strict-aliasing", "-U_FORTIFY_SOURCE"])
            .arg("-I")
            .args([&kernels, &kernels.join("native/host.cc")])
            .arg("-o")
            .arg(&library)
            .output()
            .expect("a C++ compiler: set CXX, or install g++");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        assert!(built.stderr.is_empty(), "{}", String::from_utf8_lossy(&built.stderr));
        // SAFETY: it was compiled just now from this repository, and has no initialisers that matter.
        unsafe { Library::new(&library) }.unwrap()
    })
}

/// Calls the library's function `$name` as a `$type`.
macro_rules! call {
    ($name:literal, $type:ty, $($argument:expr),*) => {{
        // SAFETY: `kernels/native/host.cc` defines it with these parameters.
        let function = unsafe { library().get::<$type>($name) }.unwrap();
        // SAFETY: the arguments are this module's own buffers.
        unsafe { function($($argument),*) }
    }};
}

/// Bytes at a multiple of 16, as device buffers are.
pub struct Memory(Vec<u128>, usize);

impl Memory {
    pub fn poisoned(bytes: usize) -> Self {
        Self(vec![u128::from_ne_bytes([POISON; 16]); bytes.div_ceil(16).max(1)], bytes)
    }

    pub fn of(bytes: &[u8]) -> Self {
        let mut memory = Self::poisoned(bytes.len());
        memory.bytes_mut()[..bytes.len()].copy_from_slice(bytes);
        memory
    }

    pub fn address(&self) -> u64 {
        self.0.as_ptr().addr() as u64
    }

    pub fn bytes(&self) -> &[u8] {
        // SAFETY: plain bytes of its own.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.1) }
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.1) }
    }
}

/// A program with its memory on the emulated GPU.
pub struct Device<'p> {
    pub program: &'p Program,
    pub weights: Weights,
    pub arena: Arena,
    addresses: Addresses,
    packed: Memory,
    memory: Memory,
    inputs: Vec<Memory>,
    pub output: Memory,
    pub batch: usize,
}

impl<'p> Device<'p> {
    /// `inputs` are the items of each input, one after the other. With `apart`, no two buffers share a place.
    pub fn new(program: &'p Program, batch: usize, inputs: &[Vec<f32>], apart: bool) -> Self {
        let weights = Weights::new(program);
        let branch = Branch::find(program);
        let mut arena = Arena::new(program, branch.as_ref(), |_| true);
        if apart {
            arena.bytes = 0;
            for (offset, len) in arena.offsets.iter_mut().zip(&program.buffers) {
                *offset = arena.bytes;
                arena.bytes += (2 * len).next_multiple_of(256);
            }
        }
        let encode = |(values, element): (&Vec<f32>, Element)| {
            let bytes: Vec<u8> = match element {
                Element::F16 => values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect(),
                Element::F32 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            };
            Memory::of(&bytes)
        };
        let elements = program.inputs.iter().map(|edge| edge.element);
        let inputs: Vec<_> = inputs.iter().zip(elements).map(encode).collect();
        let output = Memory::poisoned(batch * program.output.len() * program.output.element.bytes());
        let (packed, memory) = (Memory::of(&weights.bytes), Memory::poisoned(arena.bytes * batch));
        let addresses = Addresses {
            inputs: inputs.iter().map(Memory::address).collect(),
            output: output.address(),
            weights: packed.address(),
            arena: memory.address(),
            max_batch: batch,
        };
        Self { program, weights, arena, addresses, packed, memory, inputs, output, batch }
    }

    /// Runs operation `index` over the first `batch` items.
    pub fn run(&self, index: usize, choice: Choice, batch: usize) {
        let lowering =
            Lowering { program: self.program, weights: &self.weights, arena: &self.arena, addresses: &self.addresses };
        let launches = lowering.launches(index, choice, batch);
        for launch in launches.into_iter().flatten() {
            self.expose(&self.program.ops[index]);
            run(&launch);
        }
    }

    /// Lets the next kernel touch what the operation reads and writes, and nothing else.
    fn expose(&self, op: &Op) {
        call!(b"emulate_reset_memory", unsafe extern "C" fn(),);
        let expose = |address: u64, bytes: usize, kind: u32| {
            call!(b"emulate_memory", unsafe extern "C" fn(u64, u64, u32), address, bytes as u64, kind);
        };
        let memory = |memory: &Memory, kind| expose(memory.address(), memory.1, kind);
        memory(&self.packed, WEIGHTS);
        let (mut reads, mut writes) = (op.views().0, Vec::from_iter(op.views().1));
        match op {
            Op::Import(op) => memory(&self.inputs[op.input], READ),
            Op::Block(block) => {
                writes.extend(block.inside());
                block.import.iter().for_each(|import| memory(&self.inputs[import.input], READ));
                block.export.iter().for_each(|_| memory(&self.output, WRITTEN));
            }
            Op::Export(_) => memory(&self.output, WRITTEN),
            Op::Pointwise(op) if op.target == Target::Output => memory(&self.output, WRITTEN),
            _ => {}
        }
        reads.retain(|view| !writes.iter().any(|other| other.buffer == view.buffer));
        let reads = reads.into_iter().map(|view| (view, READ));
        for (view, kind) in reads.chain(writes.into_iter().map(|view| (view, WRITTEN))) {
            let start = self.memory.address() + (self.arena.offsets[view.buffer] * self.batch) as u64;
            expose(start, 2 * self.program.buffers[view.buffer] * self.batch, kind);
        }
    }

    /// One item of a buffer.
    pub fn buffer(&self, buffer: usize, item: usize) -> Vec<f32> {
        let len = self.program.buffers[buffer];
        let start = self.arena.offsets[buffer] * self.batch + 2 * len * item;
        halves(&self.memory.bytes()[start..][..2 * len])
    }

    /// Fills the items of a buffer.
    pub fn fill(&mut self, buffer: usize, items: &[Vec<f32>]) {
        let start = self.arena.offsets[buffer] * self.batch;
        let bytes: Vec<u8> = items.iter().flatten().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect();
        self.memory.bytes_mut()[start..][..bytes.len()].copy_from_slice(&bytes);
    }

    /// The output's items.
    pub fn output(&self) -> Vec<f32> {
        match self.program.output.element {
            Element::F16 => halves(self.output.bytes()),
            Element::F32 => {
                self.output.bytes().as_chunks::<4>().0.iter().map(|&word| f32::from_le_bytes(word)).collect()
            }
        }
    }
}

fn halves(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<2>().0.iter().map(|&word| f16::from_le_bytes(word).to_f32()).collect()
}

/// Runs one kernel. Whatever it does that it must not ends the process with a sentence.
fn run(launch: &Launch) {
    type Run = unsafe extern "C" fn(*const i8, *const u32, *const u32, u32, *const c_void, u32) -> u32;
    let (params, bytes) = launch.params.raw();
    let (name, threads): (&CStr, _) = (launch.kernel, [launch.threads, 1, 1]);
    let blocks = launch.blocks;
    let found = call!(
        b"emulate_launch",
        Run,
        name.as_ptr().cast(),
        blocks.as_ptr(),
        threads.as_ptr(),
        launch.shared_bytes,
        params,
        bytes as u32
    );
    assert_eq!(found, 1, "host.cc has no kernel {name:?} that takes {bytes} bytes");
}

/// Of every source line that touched shared memory since the thread's last call: instructions, passes over the banks, and the fewest
/// possible.
pub fn bank_passes() -> Vec<(i32, [u64; 3])> {
    type Count = unsafe extern "C" fn(u32, *mut i32, *mut u64) -> u32;
    let mut lines = Vec::new();
    loop {
        let (mut line, mut counts) = (0, [0; 3]);
        let found = call!(b"emulate_count", Count, lines.len() as u32, &raw mut line, counts.as_mut_ptr());
        if found == 0 {
            break;
        }
        lines.push((line, counts));
    }
    call!(b"emulate_reset_counts", unsafe extern "C" fn(),);
    lines
}
