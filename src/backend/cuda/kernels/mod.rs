//! The CUDA kernels of `kernels/*.cu`: what the driver loads, what they are called, take, and how many threads they want.
//!
//! | module | gives |
//! | --- | --- |
//! | [`KernelImage`] | what the driver loads: built in by nvcc, or compiled by NVRTC and kept |
//! | [`load()`] | that, on a GPU |
//! | [`params`] | the structures that kernels read |
//! | [`grid`] | how many blocks and threads each launch has |

mod cache;
pub mod grid;
mod image;
mod load;
mod nvrtc;
pub mod params;
mod sources;

pub use image::{KernelError, KernelImage, Origin, Target};
pub use load::{LoadError, load};
pub use nvrtc::{Nvrtc, NvrtcError};
pub use sources::Unit;
pub(crate) use sources::fingerprint;

use std::ffi::CStr;

/// Names of the kernels in their module. `f16` and `f32` are what the network on the other side reads or writes.
pub mod names {
    use super::CStr;

    /// `(features, rows, out, feature_len: i32)`.
    pub const GATHER_CONTEXT_F32: &CStr = c"gather_context_f32";
    /// As `GATHER_CONTEXT_F32`.
    pub const GATHER_CONTEXT_F16: &CStr = c"gather_context_f16";
    /// `(frames, out, Geometry)`.
    pub const PICTURE_INPUT_F32: &CStr = c"picture_input_f32";
    /// As `PICTURE_INPUT_F32`.
    pub const PICTURE_INPUT_F16: &CStr = c"picture_input_f16";
    /// `(in, out, count: u32)`.
    pub const OVERRIDE_PICTURE_F16: &CStr = c"override_picture_f16";
    /// `(generated, frames, out, Geometry)`.
    pub const PATCH_CROP_F32: &CStr = c"patch_crop_f32";
    /// As `PATCH_CROP_F32`.
    pub const PATCH_CROP_F16: &CStr = c"patch_crop_f16";
    /// `(patched, frames, out, Geometry)`.
    pub const PASTE_PLANES: &CStr = c"paste_planes";

    /// All of them.
    pub const ALL: [&CStr; 8] = [
        GATHER_CONTEXT_F32,
        GATHER_CONTEXT_F16,
        PICTURE_INPUT_F32,
        PICTURE_INPUT_F16,
        OVERRIDE_PICTURE_F16,
        PATCH_CROP_F32,
        PATCH_CROP_F16,
        PASTE_PLANES,
    ];
}
