//! An engine of our own for networks of the SyncTalk_2D family: compiled from ONNX in Rust, run by kernels in `kernels/native`.
//!
//! | module | gives |
//! | --- | --- |
//! | [`program`] | a network as operations on NHWC float16 buffers |
//! | `compile` | ONNX to that, with what follows a convolution folded into it |
//! | [`error`] | why a network is not for this engine |

mod compile;
pub mod error;
pub mod program;

pub use error::CompileError;
pub use program::Program;
