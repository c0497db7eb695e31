//! The CUDA backend's engines: TensorRT plans, built ahead of time and kept where they can be trusted.
//!
//! | module | gives |
//! | --- | --- |
//! | [`kernels`] | our own kernels: names, parameters, grids |
//! | [`plan`] | what a plan was made for, and the file that holds it |
//! | [`shared_library`] | NVIDIA's smaller libraries, opened at run time |
//! | `tensorrt` | TensorRT, loaded at run time: its library, the building of plans (features `tensorrt`, `tensorrt-rtx`) |

pub mod kernels;
pub mod plan;
pub mod shared_library;
#[cfg(any(feature = "tensorrt", feature = "tensorrt-rtx"))]
pub mod tensorrt;
