//! An engine of our own for networks of the SyncTalk_2D family: compiled from ONNX in Rust, run by kernels in `kernels/native`.
//!
//! | module | gives |
//! | --- | --- |
//! | [`program`] | a network as operations on NHWC float16 buffers |
//! | `compile` | ONNX to that, with what follows a convolution folded into it |
//! | [`branch`] | the operations on the sound, which run beside the others |
//! | [`arena`] | where the buffers lie in one run of memory |
//! | [`pack`] | weights as the kernels read them |
//! | [`pack_block`] | an inverted residual's, for the kernel that takes it whole |
//! | [`block_tiles`] | the shapes in which that kernel does |
//! | [`tiles`] | the shapes in which a convolution is cut into blocks |
//! | [`lower`] | operations as launches |
//! | [`params`] | what a launch hands to a kernel |
//! | [`cost`] | bytes and operations of each |
//! | [`kernels`] | the kernels on one GPU, loaded |
//! | [`model`] | a network on one GPU |
//! | [`network`] | a context: a model bound to buffers, and its launches |
//! | `ways` | in which ways an operation may run, and which is usual |
//! | [`tune`], `tune_file` | how each operation runs fastest, measured once and kept |
//! | [`engine`] | all that as an engine of the CUDA backend |
//! | [`error`] | why a network is not for this engine |

pub mod arena;
pub mod block_tiles;
pub mod branch;
mod compile;
pub mod cost;
pub mod engine;
pub mod error;
pub mod kernels;
pub mod lower;
pub mod model;
pub mod network;
pub mod pack;
pub mod pack_block;
pub mod params;
pub mod program;
pub mod tiles;
pub mod tune;
mod tune_file;
mod ways;

pub use engine::NativeEngine;
pub use error::{CompileError, NativeError};
pub use kernels::NativeKernels;
pub use model::{NativeModel, Ways};
pub use network::NativeNetwork;
pub use program::Program;
