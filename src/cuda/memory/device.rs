//! Bytes on the GPU.

use std::sync::Arc;

use cudarc::driver::{result, sys};

use super::{DevicePtr, Plain};
use crate::cuda::context::Context;
use crate::cuda::error::{CudaError, Severity, at};
use crate::cuda::stream::Stream;

/// Bytes on the GPU.
#[derive(Debug)]
pub struct DeviceBuf {
    pub(super) ptr: sys::CUdeviceptr,
    pub(super) bytes: usize,
    home: Home,
}

/// Who takes the memory back.
#[derive(Debug)]
enum Home {
    /// The context, which waits for everything on the GPU first.
    Context(Arc<Context>),
    /// The memory pool, when this stream has come so far: nobody waits.
    Stream(Arc<Stream>),
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
        let allocate = || context.waiting(|| unsafe { result::malloc_sync(bytes) }).map_err(at("cuMemAlloc"));
        let ptr = match allocate() {
            Err(error) if error.severity() == Severity::OutOfMemory => {
                context.trim_pool()?;
                allocate()?
            }
            allocated => allocated?,
        };
        let buffer = Self { ptr, bytes, home: Home::Context(Arc::clone(context)) };
        // Waited for: streams that use the buffer are not ordered behind this one.
        context.aside(|stream| {
            // SAFETY: exactly the bytes just allocated.
            unsafe { result::memset_d8_async(ptr, 0, bytes, stream) }.map_err(at("cuMemsetD8Async"))
        })?;
        Ok(buffer)
    }

    /// Allocates `bytes`, at least 1, from the memory pool, in the order of `stream`, without waiting for anything that runs on the GPU:
    /// for what is allocated while others work. Not zeroed. On a GPU without a pool it is as [`Self::new`] makes it.
    ///
    /// # Errors
    /// [`CudaError`], out of memory among others.
    pub fn on_stream(stream: &Arc<Stream>, bytes: usize) -> Result<Self, CudaError> {
        if !stream.context().has_pool() {
            return Self::new(stream.context(), bytes);
        }
        stream.context().bind()?;
        let bytes = bytes.max(1);
        // SAFETY: the stream is alive; whoever reads what was not written reads any bytes, which are values of all `Plain` types.
        let allocate = || unsafe { result::malloc_async(stream.raw(), bytes) };
        // A pool that has to grow asks the system for memory.
        let ptr = stream.context().waiting(allocate).map_err(at("cuMemAllocAsync"))?;
        Ok(Self { ptr, bytes, home: Home::Stream(Arc::clone(stream)) })
    }

    /// Allocates room for `data` and copies it there, waiting for the copy: for what is uploaded once.
    ///
    /// # Errors
    /// [`CudaError`], out of memory among others.
    pub fn from_slice<T: Plain>(context: &Arc<Context>, data: &[T]) -> Result<Self, CudaError> {
        let buffer = Self::new(context, size_of_val(data))?;
        context.aside(|stream| {
            // SAFETY: the buffer has the data's size, and `data` outlives the wait.
            unsafe { result::memcpy_htod_async(buffer.ptr, data, stream) }.map_err(at("cuMemcpyHtoDAsync"))
        })?;
        Ok(buffer)
    }

    /// Copies `data` to byte `offset` in the order of `stream`; the driver has read it when this returns.
    ///
    /// # Errors
    /// [`CudaError`]; data that does not fit is one.
    pub fn write<T: Plain>(&self, offset: usize, data: &[T], stream: &Stream) -> Result<(), CudaError> {
        if offset.checked_add(size_of_val(data)).is_none_or(|end| end > self.bytes) {
            return Err(CudaError::new("cuMemcpyHtoDAsync", sys::CUresult::CUDA_ERROR_INVALID_VALUE));
        }
        // SAFETY: it fits; memory that is not pinned is staged by the driver before the call returns (API synchronization behavior).
        let copy = || unsafe { result::memcpy_htod_async(self.ptr + offset as u64, data, stream.raw()) };
        stream.context().waiting(copy).map_err(at("cuMemcpyHtoDAsync"))
    }

    /// Copies its first values back, once whoever wrote them has been waited for: for tests and measurements.
    ///
    /// # Errors
    /// [`CudaError`].
    pub fn read<T: Plain>(&self, out: &mut [T]) -> Result<(), CudaError> {
        if size_of_val(out) > self.bytes {
            return Err(CudaError::new("cuMemcpyDtoHAsync", sys::CUresult::CUDA_ERROR_INVALID_VALUE));
        }
        self.context().aside(|stream| {
            // SAFETY: `out` is not longer than the buffer, outlives the wait, and any bits are values of `T`.
            unsafe { result::memcpy_dtoh_async(out, self.ptr, stream) }.map_err(at("cuMemcpyDtoHAsync"))
        })
    }

    fn context(&self) -> &Arc<Context> {
        match &self.home {
            Home::Context(context) => context,
            Home::Stream(stream) => stream.context(),
        }
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
        self.context().release(|| match &self.home {
            Home::Context(context) => {
                // SAFETY: allocated in `new`, freed once; the driver waits for work that is enqueued.
                context.waiting(|| unsafe { result::free_sync(self.ptr) }).map_err(at("cuMemFree"))
            }
            Home::Stream(stream) => {
                // SAFETY: allocated in `on_stream`, freed once; who used it on another stream held it until that had passed.
                let free = || unsafe { result::free_async(self.ptr, stream.raw()) };
                stream.context().waiting(free).map_err(at("cuMemFreeAsync"))
            }
        });
    }
}
