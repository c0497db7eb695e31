//! Ranges that NVIDIA's profilers show above what the GPU does, named after the stages (feature `nvtx`; without it, and outside a
//! profiler, they are nothing).

use std::ffi::CStr;

/// A range on the calling thread, from its making to its drop.
#[must_use]
pub struct Range {
    #[cfg(feature = "nvtx")]
    _range: nvtx::LocalRange,
}

/// Begins a range.
#[cfg(feature = "nvtx")]
pub fn range(name: &'static CStr) -> Range {
    Range { _range: nvtx::LocalRange::new(name) }
}

/// Begins a range that nobody sees: this build has none.
#[cfg(not(feature = "nvtx"))]
pub fn range(_name: &'static CStr) -> Range {
    Range {}
}
