//! The floor under the CUDA backend: the driver's objects as owners that cannot be used after they are gone.
//!
//! | file | gives |
//! | --- | --- |
//! | [`driver`] | libcuda, if there is one, and the GPUs it knows |
//! | [`context`] | one GPU's primary context, made current on the threads that work with it |
//! | [`stream`] | streams with priorities, and events that join them |
//! | [`memory`] | device buffers, and pinned host memory of two kinds: for upload and for readback |
//! | [`module`] | compiled kernels and their launch |
//! | [`graph`] | a sequence of launches, captured once and replayed |
//! | `waits` | host threads that wait for the GPU, for a watch to see |
//! | `hang` | what such a watch says of a driver or a GPU that does not come back |
//! | [`nvtx`] | ranges that profilers show |
//! | [`error`] | what the driver says, and what it means for the process |
//!
//! The raw symbols and the thin layer over them are `cudarc`'s; its own owners are not used, since they wait on events behind
//! the caller's back, which a captured stream cannot bear, and know one kind of pinned memory only.
#![allow(unsafe_code)] // The fence: every call of the driver is in here or in `backend::cuda`.

pub mod context;
pub mod driver;
pub mod error;
pub mod graph;
mod hang;
pub mod memory;
pub mod module;
pub mod nvtx;
pub mod stream;
mod waits;

pub use context::Context;
pub use driver::{Driver, DriverMissing, Gpu};
pub use error::{CudaError, Severity};
pub use graph::Graph;
pub use hang::{Hang, LONGEST_WAIT, hang};
pub use memory::{DeviceBuf, DevicePtr, PinnedDown, PinnedUp, Plain};
pub use module::{Function, Grid, Module};
pub use stream::{Event, Priority, Stream, Timing};
pub use waits::GLANCE;

/// Ends the process at once, without destructors and exit handlers, which wait for a GPU that may not answer any more.
pub fn leave(code: i32) -> ! {
    // SAFETY: it takes a number and does not return; nothing of this process is used after it.
    unsafe { libc::_exit(code) }
}
