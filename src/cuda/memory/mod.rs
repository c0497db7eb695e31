//! Device buffers, and pinned host memory of two kinds.
//!
//! | type | lives | host | device |
//! | --- | --- | --- | --- |
//! | [`DeviceBuf`] | on the GPU | no access | reads and writes |
//! | [`PinnedUp`] | on the host, write-combined | writes in order, reads crawl | reads |
//! | [`PinnedDown`] | on the host, cached | reads | writes |
//!
//! All are allocated when the daemon starts or an avatar is loaded, never between frames, and come zeroed: the driver gives
//! whatever was there.

mod device;
mod pinned;

pub use device::DeviceBuf;
pub use pinned::{PinnedDown, PinnedUp, upload};

/// Values that any bytes are, and that have no bytes of no value: what may cross between host and GPU.
///
/// # Safety
/// Every pattern of bits must be a value of the type, and it must have no padding.
pub unsafe trait Plain: Copy + Send + Sync + 'static {}

// SAFETY: numbers.
unsafe impl Plain for u8 {}
// SAFETY: numbers.
unsafe impl Plain for u16 {}
// SAFETY: numbers.
unsafe impl Plain for i32 {}
// SAFETY: numbers.
unsafe impl Plain for f32 {}
// SAFETY: 16 bits, all of which are values.
unsafe impl Plain for half::f16 {}

/// An address in a GPU's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct DevicePtr(pub u64);

impl DevicePtr {
    /// The address `bytes` further on.
    #[must_use]
    pub fn offset(self, bytes: usize) -> Self {
        Self(self.0 + bytes as u64)
    }
}
