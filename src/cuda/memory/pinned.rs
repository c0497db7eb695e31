//! Page-locked host memory, for upload and for readback.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use cudarc::driver::{result, sys};

use super::{DeviceBuf, Plain};
use crate::cuda::context::Context;
use crate::cuda::error::{CudaError, at};
use crate::cuda::stream::Stream;

/// Page-locked host memory.
#[derive(Debug)]
struct Pinned<T> {
    ptr: *mut T,
    len: usize,
    context: Arc<Context>,
    holds: PhantomData<T>,
}

// SAFETY: it owns its memory like a `Box<[T]>`, and pinned memory is not tied to a thread.
unsafe impl<T: Plain> Send for Pinned<T> {}
// SAFETY: as above.
unsafe impl<T: Plain> Sync for Pinned<T> {}

impl<T: Plain> Pinned<T> {
    fn new(context: &Arc<Context>, len: usize, flags: u32) -> Result<Self, CudaError> {
        context.bind()?;
        let too_long = CudaError::new("cuMemHostAlloc", sys::CUresult::CUDA_ERROR_INVALID_VALUE);
        let bytes = len.max(1).checked_mul(size_of::<T>()).ok_or(too_long)?;
        // SAFETY: the memory is zeroed before anybody sees it.
        let ptr =
            context.waiting(|| unsafe { result::malloc_host(bytes, flags) }).map_err(at("cuMemHostAlloc"))?.cast::<T>();
        // SAFETY: exactly the bytes just allocated, page-aligned.
        unsafe { ptr.cast::<u8>().write_bytes(0, bytes) };
        Ok(Self { ptr, len, context: Arc::clone(context), holds: PhantomData })
    }

    fn as_slice(&self) -> &[T] {
        // SAFETY: `len` values of ours, zeroed at first, and any bits are values.
        unsafe { std::slice::from_raw_parts(self.ptr, self.len) }
    }

    fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: as in `as_slice`, and `&mut self` makes this the only view.
        unsafe { std::slice::from_raw_parts_mut(self.ptr, self.len) }
    }
}

impl<T> Drop for Pinned<T> {
    fn drop(&mut self) {
        // SAFETY: allocated in `new`, freed once; the driver waits for copies that are enqueued.
        let free = || unsafe { result::free_host(self.ptr.cast()) };
        self.context.release(|| self.context.waiting(free).map_err(at("cuMemFreeHost")));
    }
}

/// Host memory for upload: write-combined, so that writes bypass the caches and the copy over the bus is not snooped. Write
/// it front to back; reading it is a hundred times slower than other memory.
#[derive(Debug)]
pub struct PinnedUp<T>(Pinned<T>);

impl<T: Plain> PinnedUp<T> {
    /// Allocates `len` zeroes.
    ///
    /// # Errors
    /// [`CudaError`].
    pub fn new(context: &Arc<Context>, len: usize) -> Result<Self, CudaError> {
        Pinned::new(context, len, sys::CU_MEMHOSTALLOC_WRITECOMBINED | sys::CU_MEMHOSTALLOC_PORTABLE).map(Self)
    }

    /// Enqueues a copy of the first `len` values to `to`.
    ///
    /// # Safety
    /// Until `stream` has passed the copy, both must be alive, `self` must not be written and `to` not be used otherwise.
    ///
    /// # Errors
    /// [`CudaError`].
    pub unsafe fn upload(&self, len: usize, to: &DeviceBuf, stream: &Stream) -> Result<(), CudaError> {
        // SAFETY: promised by the caller.
        unsafe { upload(&self[..len], to, stream) }
    }
}

/// Enqueues a copy of `from`, which must be pinned for the copy to be asynchronous, to the start of `to`.
///
/// # Safety
/// Until `stream` has passed the copy, both must be alive, `from` must not be written and `to` not be used otherwise.
///
/// # Errors
/// [`CudaError`]; a source that is longer than `to` is one.
pub unsafe fn upload<T: Plain>(from: &[T], to: &DeviceBuf, stream: &Stream) -> Result<(), CudaError> {
    if size_of_val(from) > to.bytes {
        return Err(CudaError::new("cuMemcpyHtoDAsync", sys::CUresult::CUDA_ERROR_INVALID_VALUE));
    }
    // SAFETY: the length was checked, the rest is promised by the caller.
    unsafe { result::memcpy_htod_async(to.ptr, from, stream.raw()) }.map_err(at("cuMemcpyHtoDAsync"))
}

impl<T: Plain> Deref for PinnedUp<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_slice()
    }
}

impl<T: Plain> DerefMut for PinnedUp<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.0.as_mut_slice()
    }
}

/// Host memory for readback: cached, so that the processor reads it at full speed.
#[derive(Debug)]
pub struct PinnedDown<T>(Pinned<T>);

impl<T: Plain> PinnedDown<T> {
    /// Allocates `len` zeroes.
    ///
    /// # Errors
    /// [`CudaError`].
    pub fn new(context: &Arc<Context>, len: usize) -> Result<Self, CudaError> {
        Pinned::new(context, len, sys::CU_MEMHOSTALLOC_PORTABLE).map(Self)
    }

    /// Enqueues a copy of the first `len` values of `from` to the start of this.
    ///
    /// # Safety
    /// Until `stream` has passed the copy, both must be alive, `self` must not be read and `from` not be written.
    ///
    /// # Errors
    /// [`CudaError`]; more values than either has are one.
    pub unsafe fn download(&self, len: usize, from: &DeviceBuf, stream: &Stream) -> Result<(), CudaError> {
        let bytes = len.checked_mul(size_of::<T>()).filter(|&bytes| len <= self.0.len && bytes <= from.bytes);
        let Some(bytes) = bytes else {
            return Err(CudaError::new("cuMemcpyDtoHAsync", sys::CUresult::CUDA_ERROR_INVALID_VALUE));
        };
        // SAFETY: the length was checked, the rest is promised by the caller.
        unsafe { sys::cuMemcpyDtoHAsync_v2(self.0.ptr.cast(), from.ptr, bytes, stream.raw()) }
            .result()
            .map_err(at("cuMemcpyDtoHAsync"))
    }
}

impl<T: Plain> Deref for PinnedDown<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_slice()
    }
}

/// For libraries that write it from the host's side.
impl<T: Plain> DerefMut for PinnedDown<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.0.as_mut_slice()
    }
}
