//! TensorRT, loaded at run time through `trtx`.
//!
//! The feature `tensorrt` is written for TensorRT 11 (data-centre GPUs), `tensorrt-rtx` for TensorRT-RTX 1.7 (workstations). Their
//! C++ classes differ, so one binary knows one of them; with both features it is TensorRT.
#![allow(unsafe_code)] // A part of the CUDA backend's fence: it opens NVIDIA's libraries.

mod build;
mod engine;
mod library;
mod loaded;
mod order;

pub use build::{BuildError, build_plan};
pub use engine::{Lookup, TensorRtEngine, target_of, target_of_sm};
pub use library::{FLAVOUR, Library, LibraryError, Version, knows};
pub use order::{Made, Order, OrderError, OrderTarget, end_with_its_order, order};
