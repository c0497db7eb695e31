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

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use cudarc::driver::{result, sys};

use super::context::Context;
use super::error::{CudaError, at};
use super::stream::Stream;

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

/// Bytes on the GPU.
#[derive(Debug)]
pub struct DeviceBuf {
    ptr: sys::CUdeviceptr,
    bytes: usize,
    context: Arc<Context>,
}

impl DeviceBuf {
    /// Allocates `bytes`, at least 1, aligned to 256. Zeroed.
    ///
    /// # Errors
    /// [`CudaError`], out of memory among others.
    pub fn new(context: &Arc<Context>, bytes: usize) -> Result<Self, CudaError> {
        context.bind()?;
        let bytes = bytes.max(1);
        // SAFETY: plain bytes, zeroed below.
        let ptr = unsafe { result::malloc_sync(bytes) }.map_err(at("cuMemAlloc"))?;
        let buffer = Self { ptr, bytes, context: Arc::clone(context) };
        // SAFETY: exactly the bytes just allocated.
        unsafe { result::memset_d8_sync(ptr, 0, bytes) }.map_err(at("cuMemsetD8"))?;
        Ok(buffer)
    }

    /// Allocates room for `data` and copies it there, waiting for the copy: for what is uploaded once.
    ///
    /// # Errors
    /// [`CudaError`], out of memory among others.
    pub fn from_slice<T: Plain>(context: &Arc<Context>, data: &[T]) -> Result<Self, CudaError> {
        let buffer = Self::new(context, size_of_val(data))?;
        // SAFETY: the buffer has the data's size; the call returns when `data` has been read.
        unsafe { result::memcpy_htod_sync(buffer.ptr, data) }.map_err(at("cuMemcpyHtoD"))?;
        // A copy from pageable memory may return before the DMA has ended (API synchronization behavior).
        context.synchronize()?;
        Ok(buffer)
    }

    /// Copies its first values back, waiting for everything enqueued before: for tests and measurements.
    ///
    /// # Errors
    /// [`CudaError`].
    pub fn read<T: Plain>(&self, out: &mut [T]) -> Result<(), CudaError> {
        if size_of_val(out) > self.bytes {
            return Err(CudaError::new("cuMemcpyDtoH", sys::CUresult::CUDA_ERROR_INVALID_VALUE));
        }
        self.context.synchronize()?;
        // SAFETY: `out` is not longer than the buffer, and any bits are values of `T`.
        unsafe { result::memcpy_dtoh_sync(out, self.ptr) }.map_err(at("cuMemcpyDtoH"))
    }

    /// Enqueues a copy of its first `bytes` to `to` on the same GPU.
    ///
    /// # Safety
    /// `to` must have room, and until `stream` has passed the copy both must be alive and used by nothing else.
    ///
    /// # Errors
    /// [`CudaError`].
    pub unsafe fn copy_to(&self, bytes: usize, to: DevicePtr, stream: &Stream) -> Result<(), CudaError> {
        // SAFETY: promised by the caller.
        unsafe { result::memcpy_dtod_async(to.0, self.ptr, bytes.min(self.bytes), stream.raw()) }
            .map_err(at("cuMemcpyDtoDAsync"))
    }

    /// Where it lies.
    #[must_use]
    pub fn ptr(&self) -> DevicePtr {
        DevicePtr(self.ptr)
    }

    /// How long it is.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for DeviceBuf {
    fn drop(&mut self) {
        let gone = self.context.bind();
        // SAFETY: allocated in `new`, freed once; the driver waits for work that is enqueued.
        let gone = gone.and_then(|()| unsafe { result::free_sync(self.ptr) }.map_err(at("cuMemFree")));
        if let Err(error) = gone {
            tracing::debug!("{error}");
        }
    }
}

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
        let ptr = unsafe { result::malloc_host(bytes, flags) }.map_err(at("cuMemHostAlloc"))?.cast::<T>();
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
        let gone = self.context.bind();
        // SAFETY: allocated in `new`, freed once; the driver waits for copies that are enqueued.
        let gone = gone.and_then(|()| unsafe { result::free_host(self.ptr.cast()) }.map_err(at("cuMemFreeHost")));
        if let Err(error) = gone {
            tracing::debug!("{error}");
        }
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
    pub unsafe fn download(&mut self, len: usize, from: &DeviceBuf, stream: &Stream) -> Result<(), CudaError> {
        let Some(out) = self.0.as_mut_slice().get_mut(..len).filter(|out| size_of_val(*out) <= from.bytes) else {
            return Err(CudaError::new("cuMemcpyDtoHAsync", sys::CUresult::CUDA_ERROR_INVALID_VALUE));
        };
        // SAFETY: the length was checked, the rest is promised by the caller.
        unsafe { result::memcpy_dtoh_async(out, from.ptr, stream.raw()) }.map_err(at("cuMemcpyDtoHAsync"))
    }
}

impl<T: Plain> Deref for PinnedDown<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_slice()
    }
}
