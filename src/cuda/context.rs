//! One GPU's primary context, made current on the threads that work with it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use cudarc::driver::{DriverError, result, sys};

use super::driver::{Driver, Gpu, device};
use super::error::{CudaError, at};
use super::waits::Waits;

/// The primary context of one GPU: the one that TensorRT, cuBLAS, nvJPEG and ONNX Runtime use too, so that buffers and streams
/// can be passed between them.
///
/// It is taken hold of once and kept until the process ends: those libraries keep handles in it beyond the networks they ran, and
/// destroying it under them aborts the process (ONNX Runtime 1.26, from a destructor).
#[derive(Debug)]
pub struct Context {
    raw: sys::CUcontext,
    /// The device's own, where it has one: some virtual GPUs do not.
    pool: Option<sys::CUmemoryPool>,
    /// For what is filled and copied while it is waited for: beside the lanes, which may be capturing, so that neither the context nor the
    /// legacy stream is.
    aside: sys::CUstream,
    waits: Waits,
    gpu: Gpu,
}

/// Those of the GPUs that were opened. Whoever opens one holds the lock.
static OPENED: Mutex<Vec<Arc<Context>>> = Mutex::new(Vec::new());

/// The one that is being opened, and the thread that waits for it.
static OPENING: (AtomicU32, Waits) = (AtomicU32::new(0), Waits::new());

/// Which GPU is being opened, and for how long it has been, while somebody looked every [`super::GLANCE`].
pub(super) fn opening() -> (u32, Duration) {
    (OPENING.0.load(Ordering::Relaxed), OPENING.1.look(Instant::now()))
}

/// The GPUs that were opened, and how long each has been waited for, as [`Context::look`] says; none while another is being opened.
pub(super) fn waits() -> Vec<(u32, Duration)> {
    let opened = match OPENED.try_lock() {
        Ok(opened) => opened,
        Err(TryLockError::Poisoned(opened)) => opened.into_inner(),
        Err(TryLockError::WouldBlock) => return Vec::new(),
    };
    opened.iter().map(|context| (context.gpu.ordinal, context.look())).collect()
}

// SAFETY: a context is not tied to a thread: any thread may make it current, and the driver's calls on it, its pool and its stream are
// thread-safe (CUDA Driver API, context management).
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
        OPENING.0.store(ordinal, Ordering::Relaxed);
        let context = OPENING.1.during(|| Self::retain(driver, ordinal))?;
        opened.push(Arc::clone(&context));
        Ok(context)
    }

    fn retain(driver: &Driver, ordinal: u32) -> Result<Arc<Self>, CudaError> {
        let gpu = driver.gpu(ordinal)?;
        let device = device(ordinal)?;
        // SAFETY: `device` came from cuDeviceGet.
        let raw = unsafe { result::primary_ctx::retain(device) }.map_err(at("cuDevicePrimaryCtxRetain"))?;
        // SAFETY: the context is retained and never released.
        unsafe { result::ctx::set_current(raw) }.map_err(at("cuCtxSetCurrent"))?;
        // SAFETY: `device` came from cuDeviceGet.
        let pool = match unsafe { result::device::get_default_mem_pool(device) } {
            Err(DriverError(sys::CUresult::CUDA_ERROR_NOT_SUPPORTED)) => None,
            pool => Some(pool.map_err(at("cuDeviceGetDefaultMemPool"))?),
        };
        let kind = result::stream::StreamKind::NonBlocking;
        // Like the context, it is never destroyed.
        let aside = result::stream::create(kind).map_err(at("cuStreamCreate"))?;
        let context = Arc::new(Self { raw, pool, aside, waits: Waits::new(), gpu });
        context.keep_pool()?;
        Ok(context)
    }

    /// Has the memory pool keep what is freed for the next avatar: giving it back to the system makes the GPU wait.
    fn keep_pool(&self) -> Result<(), CudaError> {
        let Some(pool) = self.pool else { return Ok(()) };
        let mut threshold = u64::MAX;
        let which = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
        // SAFETY: the pool is the device's, and this attribute is a 64-bit number.
        unsafe { result::mem_pool::set_attribute(pool, which, (&raw mut threshold).cast()) }
            .map_err(at("cuMemPoolSetAttribute"))
    }

    /// Gives back to the system what the pool keeps, for memory that is not of the pool.
    ///
    /// # Errors
    /// [`CudaError`].
    pub fn trim_pool(&self) -> Result<(), CudaError> {
        let Some(pool) = self.pool else { return Ok(()) };
        // SAFETY: the pool is the device's; what is in use stays.
        self.waiting(|| unsafe { result::mem_pool::trim_to(pool, 0) }).map_err(at("cuMemPoolTrimTo"))
    }

    /// Whether there is a pool to allocate from.
    pub(super) fn has_pool(&self) -> bool {
        self.pool.is_some()
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

    /// Bytes of its memory that are free now, of all. What the memory pool keeps for the next avatar is free.
    ///
    /// # Errors
    /// [`CudaError`].
    pub fn memory(&self) -> Result<(u64, u64), CudaError> {
        use sys::CUmemPool_attribute::{CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT, CU_MEMPOOL_ATTR_USED_MEM_CURRENT};
        self.bind()?;
        let (free, total) = self.waiting(result::mem_get_info).map_err(at("cuMemGetInfo"))?;
        let kept = match self.pool {
            None => 0,
            Some(pool) => {
                let reserved = Self::pool_bytes(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT)?;
                reserved.saturating_sub(Self::pool_bytes(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT)?)
            }
        };
        Ok(((free as u64).saturating_add(kept).min(total as u64), total as u64))
    }

    /// An attribute of the memory pool that is a number of bytes.
    fn pool_bytes(pool: sys::CUmemoryPool, which: sys::CUmemPool_attribute) -> Result<u64, CudaError> {
        let mut bytes = 0_u64;
        // SAFETY: the pool is the device's, and these attributes are 64-bit numbers.
        unsafe { result::mem_pool::get_attribute(pool, which, (&raw mut bytes).cast()) }
            .map_err(at("cuMemPoolGetAttribute"))?;
        Ok(bytes)
    }

    /// Runs `enqueue` with the stream for what is waited for at once, and waits: for that alone, never for the whole context, which may not
    /// be done while one of its streams is captured (CUDA C++ Programming Guide, prohibited and unhandled operations).
    pub(super) fn aside(&self, enqueue: impl FnOnce(sys::CUstream) -> Result<(), CudaError>) -> Result<(), CudaError> {
        self.bind()?;
        self.waiting(|| {
            let enqueued = enqueue(self.aside);
            // SAFETY: the stream is never destroyed.
            let done = unsafe { result::stream::synchronize(self.aside) }.map_err(at("cuStreamSynchronize"));
            enqueued.and(done)
        })
    }

    /// Runs `free`, which gives back to the driver what somebody held who drops: nobody is left to tell of a failure.
    pub(super) fn release(&self, free: impl FnOnce() -> Result<(), CudaError>) {
        if let Err(error) = self.bind().and_then(|()| free()) {
            tracing::debug!("{error}");
        }
    }

    /// Runs `wait`, a call of the driver that may wait for the GPU, in sight of [`Self::look`].
    pub(super) fn waiting<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.waits.during(wait)
    }

    /// How long the thread that has waited longest has been waiting for the GPU, while somebody looked every [`super::GLANCE`]; zero when none
    /// does.
    pub fn look(&self) -> Duration {
        self.waits.look(Instant::now())
    }
}
