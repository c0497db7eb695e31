//! One GPU's primary context, made current on the threads that work with it.

use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::{result, sys};

use super::driver::{Driver, Gpu, device};
use super::error::{CudaError, at};

/// The primary context of one GPU: the one that TensorRT, cuBLAS, nvJPEG and ONNX Runtime use too, so that buffers and streams
/// can be passed between them.
///
/// It is taken hold of once and kept until the process ends: those libraries keep handles in it beyond the networks they ran, and
/// destroying it under them aborts the process (ONNX Runtime 1.26, from a destructor).
#[derive(Debug)]
pub struct Context {
    raw: sys::CUcontext,
    device: sys::CUdevice,
    gpu: Gpu,
}

/// Those of the GPUs that were opened.
static OPENED: Mutex<Vec<Arc<Context>>> = Mutex::new(Vec::new());

// SAFETY: a context is not tied to a thread: any thread may make it current, and the driver's calls on it are thread-safe (CUDA
// Driver API, context management).
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

impl Context {
    /// Takes hold of GPU `ordinal` and makes it current on the calling thread.
    ///
    /// # Errors
    /// [`CudaError`].
    pub fn open(driver: &Driver, ordinal: u32) -> Result<Arc<Self>, CudaError> {
        let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(context) = opened.iter().find(|context| context.gpu.ordinal == ordinal) {
            context.bind()?;
            return Ok(Arc::clone(context));
        }
        let gpu = driver.gpu(ordinal)?;
        let device = device(ordinal)?;
        // SAFETY: `device` came from cuDeviceGet.
        let raw = unsafe { result::primary_ctx::retain(device) }.map_err(at("cuDevicePrimaryCtxRetain"))?;
        let context = Arc::new(Self { raw, device, gpu });
        context.bind()?;
        context.keep_pool()?;
        opened.push(Arc::clone(&context));
        Ok(context)
    }

    /// Has the memory pool keep what is freed for the next avatar: giving it back to the system makes the GPU wait.
    fn keep_pool(&self) -> Result<(), CudaError> {
        // SAFETY: the device is the context's.
        let pool =
            unsafe { result::device::get_default_mem_pool(self.device) }.map_err(at("cuDeviceGetDefaultMemPool"))?;
        let mut threshold = u64::MAX;
        let which = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
        // SAFETY: the pool is the device's, and this attribute is a 64-bit number.
        unsafe { result::mem_pool::set_attribute(pool, which, (&raw mut threshold).cast()) }
            .map_err(at("cuMemPoolSetAttribute"))
    }

    /// Makes it current on the calling thread, which must be done once on every thread before any other call.
    ///
    /// # Errors
    /// [`CudaError`].
    pub fn bind(&self) -> Result<(), CudaError> {
        // SAFETY: the context is retained and never released.
        unsafe { result::ctx::set_current(self.raw) }.map_err(at("cuCtxSetCurrent"))
    }

    /// The GPU.
    #[must_use]
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Bytes of its memory that are free now, of all.
    ///
    /// # Errors
    /// [`CudaError`].
    pub fn memory(&self) -> Result<(u64, u64), CudaError> {
        self.bind()?;
        let (free, total) = result::mem_get_info().map_err(at("cuMemGetInfo"))?;
        Ok((free as u64, total as u64))
    }

    /// Waits for everything that was enqueued on the GPU. Never in steady state.
    ///
    /// # Errors
    /// [`CudaError`], also of work that failed earlier.
    pub fn synchronize(&self) -> Result<(), CudaError> {
        self.bind()?;
        result::ctx::synchronize().map_err(at("cuCtxSynchronize"))
    }
}
