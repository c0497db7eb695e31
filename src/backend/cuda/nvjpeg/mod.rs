//! nvJPEG, loaded at run time: whole frames encoded on the GPU, for avatars or settings that want them.
//!
//! ```text
//! Library ─▶ NvJpeg (a handle, shared) ─▶ Encoder (a state: one thread, one stream, one picture at a time)
//! planes on the device ─ Encoder::encode ─▶ (device) ─ Encoder::retrieve ─▶ JPEG in host memory
//! ```
//!
//! Standard Huffman tables, 4:2:0. There are no restart markers: nvJPEG's encoder for data-centre GPUs ignores the setting
//! (13.0) or fails on it (13.3), so a frame of it cannot be spliced into. Large parts of it wait on the host, so an encoder
//! each on several threads and streams is what keeps a GPU busy, and none of it can be captured in a CUDA graph.
//!
//! Written for the headers of CUDA 12 and 13, whose encoder is the same.
#![allow(unsafe_code)] // A part of the CUDA backend's fence: nvJPEG's functions are C.

mod binding;
mod encoder;
mod error;
mod library;

pub use encoder::{DevicePlanes, Encoder, EncoderSettings, NvJpeg};
pub use error::{NvJpegError, Status};
pub use library::{Library, Version};
