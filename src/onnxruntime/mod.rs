//! ONNX Runtime, the CPU engine and one of the GPU engines: found, loaded and driven without a copy or an allocation per run.
//!
//! | file | gives |
//! | --- | --- |
//! | [`mod@locate`] | where the shared library may lie, in order |
//! | [`runtime`] | the library, loaded once per process |
//! | [`network`] | an ONNX file as a session that many threads may run |
//! | [`binding`] | one thread's input and output buffers, bound once to a network |
//! | [`bank`], [`halves`] | a network in two halves, and what the first makes of each item, kept |
//! | `memory`, `allocator` | what networks on the CPU work in: large pages, kept from run to run, and how ONNX Runtime gets at them |
//! | [`small_blocks`] | what the C library keeps of networks that were read or have gone, given back |
//! | [`device`] | a network on a GPU's stream, with buffers there |
//!
//! Sessions are built through the `ort` crate; the run itself goes through `ort-sys`, because `ort`
//! collects the outputs of every run into fresh vectors.

mod allocator;
pub mod bank;
pub mod binding;
pub mod device;
pub mod halves;
pub mod locate;
mod memory;
pub mod network;
mod optimised;
pub mod runtime;
pub mod small_blocks;

use std::path::PathBuf;

pub use bank::{Bank, Item};
pub use binding::BoundNetwork;
pub use device::{DeviceBinding, DeviceNetwork, DeviceTensor, Element};
pub use halves::{BoundHalves, Halved};
pub use locate::locate;
pub use network::{Network, TensorSpec};
pub use runtime::{OnnxRuntime, RuntimeInfo};

/// The release the project is built and measured against; any later one works too.
pub const TESTED_VERSION: &str = "1.32.0";

/// What can go wrong between a library file and a network that runs.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// No library in any of the usual places.
    #[error(
        "ONNX Runtime was not found: looked for libonnxruntime.so in {looked_in}; run `make onnxruntime`, \
         or set LIPSYNCD_ONNXRUNTIME to the library (it is inside `pip install onnxruntime=={TESTED_VERSION}`)"
    )]
    NotFound {
        /// The places, joined by commas.
        looked_in: String,
    },
    /// Nothing where a setting says that it is.
    #[error("there is no ONNX Runtime at {path}: correct `onnxruntime` (LIPSYNCD_ONNXRUNTIME, --onnxruntime)")]
    NotThere {
        /// The path that was set.
        path: PathBuf,
    },
    /// The file is there but is not a usable ONNX Runtime.
    #[error("ONNX Runtime at {path} cannot be used: {reason}; install onnxruntime {TESTED_VERSION} or later")]
    Unusable {
        /// The library file.
        path: PathBuf,
        /// The loader's own words.
        reason: String,
    },
    /// It runs networks on the CPU only.
    #[error(
        "{path} cannot run networks on a GPU: {reason}; take ONNX Runtime from `pip install onnxruntime-gpu`, with cuDNN 9 and \
         the CUDA libraries it asks for on LD_LIBRARY_PATH, and set LIPSYNCD_ONNXRUNTIME to its libonnxruntime.so"
    )]
    NoCuda {
        /// The library.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// The network file was refused by ONNX Runtime.
    #[error("{path}: ONNX Runtime cannot load this network: {reason}; {}", load_fix(reason))]
    Load {
        /// The network file.
        path: PathBuf,
        /// ONNX Runtime's own words.
        reason: String,
    },
    /// A buffer could not be bound to a network's input or output.
    #[error("tensor `{tensor}` of shape {shape:?} cannot be bound: {reason}")]
    Bind {
        /// The tensor's name in the graph.
        tensor: String,
        /// The shape asked for.
        shape: Vec<i64>,
        /// ONNX Runtime's own words.
        reason: String,
    },
    /// Memory for what a network makes could not be had.
    #[error("{bytes} bytes for what networks make of pictures cannot be had: {source}; lower picture_cache_bytes")]
    Memory {
        /// What was asked for.
        bytes: usize,
        /// The system's own words.
        source: std::io::Error,
    },
    /// A run failed.
    #[error("{network}: the network failed to run: {reason}")]
    Run {
        /// The network file.
        network: PathBuf,
        /// ONNX Runtime's own words.
        reason: String,
    },
}

/// What to do about a network that ONNX Runtime did not load for this `reason`.
fn load_fix(reason: &str) -> &'static str {
    if says_full(reason) { "free memory, and try again" } else { "export it again as float32 ONNX" }
}

/// Whether an engine of others, which speaks in words, says that there was no memory: C++'s own exception, ONNX Runtime's arena and its calls of CUDA, cuDNN and
/// cuBLAS, TensorRT's allocator and contexts.
pub(crate) fn says_full(words: &str) -> bool {
    const FULL: [&str; 7] = [
        "bad_alloc",
        "out of memory",
        "outofmemory",
        "failed to allocate memory",
        "is smaller than requested bytes",
        "alloc_failed",
        "allocation_failed",
    ];
    let words = words.to_ascii_lowercase();
    FULL.iter().any(|full| words.contains(full))
}
