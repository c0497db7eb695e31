//! The CUDA backend: one GPU, its networks by one of several engines, our kernels around them.
//!
//! | module | gives |
//! | --- | --- |
//! | [`backend`] | the backend itself: a GPU opened, networks loaded, avatars shown, lanes opened |
//! | [`engine`] | what runs networks: the traits, and the batch sizes networks are bound for |
//! | [`choice`] | which engine, and why not another |
//! | [`onnx`] | ONNX Runtime's CUDA provider |
//! | [`native`] | an engine of our own for the SyncTalk_2D family |
//! | `tensorrt` | TensorRT, loaded at run time: its library, the building of plans (features `tensorrt`, `tensorrt-rtx`) |
//! | [`plan`] | which TensorRT plan is wanted of a network, what one was made for, and the file that holds it |
//! | [`ports`] | what an avatar's networks take and give |
//! | [`mod@prepare`] | a network's file made dynamic and halved |
//! | [`kernels`] | the names, parameters and grids of the kernels around the networks |
//! | [`launch`] | those kernels, loaded |
//! | [`nvjpeg`] | nvJPEG, loaded at run time |
//! | [`measure`] | what a GPU carries |
//! | [`avatar`] | what the GPU keeps of an avatar |
//! | `lane`, `generator`, `bound`, `buffers`, `readback` | a batch on its way through streams, networks and graphs, and back |
//! | `encoders`, `whole` | its JPEGs: strips spliced on a pool of threads, or whole frames by nvJPEG |
//! | [`scratch`] | memory that the networks of a lane share |
//! | [`shared_library`] | NVIDIA's smaller libraries, opened at run time |
//! | [`faults`] | what becomes of a GPU that fails |
//! | `gauge` | how much of its memory is free, for whoever asks |
#![allow(unsafe_code)] // The fence: what is enqueued here outlives the calls that enqueue it.

pub mod avatar;
pub mod backend;
mod bound;
mod buffers;
pub mod choice;
mod encoders;
pub mod engine;
pub mod faults;
mod gauge;
mod generator;
pub mod kernels;
mod lane;
pub mod launch;
mod layered;
pub mod measure;
pub mod native;
pub mod nvjpeg;
pub mod onnx;
pub mod plan;
pub mod ports;
pub mod prepare;
mod readback;
pub mod scratch;
mod shared;
pub mod shared_library;
#[cfg(any(feature = "tensorrt", feature = "tensorrt-rtx"))]
pub mod tensorrt;
mod whole;

pub use backend::CudaBackend;
pub use choice::{CudaOptions, CudaUnavailable, EngineChoice, JpegChoice};
pub use prepare::PrepareError;

use crate::cuda::CudaError;
