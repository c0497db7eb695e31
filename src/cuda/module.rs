//! Compiled kernels and their launch.

use std::ffi::{CStr, c_void};
use std::sync::Arc;

use cudarc::driver::{result, sys};

use super::context::Context;
use super::error::{CudaError, at};
use super::stream::Stream;

/// A loaded image: a fat binary, a cubin or PTX.
#[derive(Debug)]
pub struct Module {
    raw: sys::CUmodule,
    context: Arc<Context>,
}

// SAFETY: modules belong to their context, not to a thread (CUDA Driver API, module management).
unsafe impl Send for Module {}
// SAFETY: as above; nothing changes a loaded module.
unsafe impl Sync for Module {}

/// A kernel of a module, which it keeps loaded.
#[derive(Debug, Clone)]
pub struct Function {
    raw: sys::CUfunction,
    _module: Arc<Module>,
}

// SAFETY: a function handle is a name in its module, see there.
unsafe impl Send for Function {}
// SAFETY: as above.
unsafe impl Sync for Function {}

/// How many blocks of how many threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Blocks along x, y, z.
    pub blocks: [u32; 3],
    /// Threads of a block along x, y, z; at most 1024 together.
    pub threads: [u32; 3],
    /// Bytes of dynamic shared memory.
    pub shared_bytes: u32,
}

impl Module {
    /// Loads `image`, whose end is marked by a zero byte if it is PTX.
    ///
    /// # Safety
    /// `image` must be a whole image as NVIDIA's compilers write it: the driver reads as far as its headers say.
    ///
    /// # Errors
    /// [`CudaError`] when it has no code for this GPU, among others.
    pub unsafe fn load(context: &Arc<Context>, image: &[u8]) -> Result<Arc<Self>, CudaError> {
        context.bind()?;
        // SAFETY: promised by the caller.
        let raw = unsafe { result::module::load_data(image.as_ptr().cast()) }.map_err(at("cuModuleLoadData"))?;
        Ok(Arc::new(Self { raw, context: Arc::clone(context) }))
    }

    /// The kernel called `name`.
    ///
    /// # Errors
    /// [`CudaError`] when there is none.
    pub fn function(self: &Arc<Self>, name: &CStr) -> Result<Function, CudaError> {
        // SAFETY: the module is loaded.
        let raw =
            unsafe { result::module::get_function(self.raw, name.to_owned()) }.map_err(at("cuModuleGetFunction"))?;
        Ok(Function { raw, _module: Arc::clone(self) })
    }
}

impl Function {
    /// Lets its blocks use up to `bytes` of dynamic shared memory, more than the 48 KiB that every kernel may.
    ///
    /// # Errors
    /// [`CudaError`] when the GPU has not so much.
    pub fn allow_shared(&self, bytes: u32) -> Result<(), CudaError> {
        let which = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
        // SAFETY: the function's module is loaded.
        unsafe { result::function::set_function_attribute(self.raw, which, bytes) }.map_err(at("cuFuncSetAttribute"))
    }

    /// The virtual architecture it was compiled for, such as 90 for `compute_90`: what `__CUDA_ARCH__` said, divided by 10. That of the GPU may
    /// be newer.
    ///
    /// # Errors
    /// [`CudaError`].
    pub fn ptx_version(&self) -> Result<u32, CudaError> {
        let which = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_PTX_VERSION;
        // SAFETY: the function's module is loaded.
        let version = unsafe { result::function::get_function_attribute(self.raw, which) };
        Ok(u32::try_from(version.map_err(at("cuFuncGetAttribute"))?).unwrap_or(0))
    }

    /// Enqueues a launch. `params` point at the arguments, in the kernel's order; the driver copies them before it returns.
    ///
    /// # Safety
    /// The arguments must be of the kernel's types, and the memory they name must be alive, large enough for the grid, and used
    /// by nothing else, until `stream` has passed the launch.
    ///
    /// # Errors
    /// [`CudaError`].
    pub unsafe fn launch(&self, stream: &Stream, grid: Grid, params: &mut [*mut c_void]) -> Result<(), CudaError> {
        let ([bx, by, bz], [tx, ty, tz]) = (grid.blocks, grid.threads);
        // SAFETY: promised by the caller.
        unsafe { result::launch_kernel(self.raw, (bx, by, bz), (tx, ty, tz), grid.shared_bytes, stream.raw(), params) }
            .map_err(at("cuLaunchKernel"))
    }
}

impl Function {
    /// As [`Self::launch`], but the kernel may begin before the one before it on the stream has ended: it waits for that itself
    /// (`griddepcontrol.wait`) before it touches what that one touches. Compiled for compute capability 9.0 and up.
    ///
    /// # Safety
    /// As [`Self::launch`], and the kernel must wait.
    ///
    /// # Errors
    /// [`CudaError`].
    pub unsafe fn launch_early(
        &self,
        stream: &Stream,
        grid: Grid,
        params: &mut [*mut c_void],
    ) -> Result<(), CudaError> {
        let mut attribute = sys::CUlaunchAttribute {
            id: sys::CUlaunchAttributeID::CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION,
            pad: [0; 4],
            value: sys::CUlaunchAttributeValue { programmaticStreamSerializationAllowed: 1 },
        };
        let ([bx, by, bz], [tx, ty, tz]) = (grid.blocks, grid.threads);
        let config = sys::CUlaunchConfig {
            gridDimX: bx,
            gridDimY: by,
            gridDimZ: bz,
            blockDimX: tx,
            blockDimY: ty,
            blockDimZ: tz,
            sharedMemBytes: grid.shared_bytes,
            hStream: stream.raw(),
            attrs: &raw mut attribute,
            numAttrs: 1,
        };
        // SAFETY: promised by the caller; the driver has read the structures when it returns.
        unsafe { sys::cuLaunchKernelEx(&raw const config, self.raw, params.as_mut_ptr(), std::ptr::null_mut()) }
            .result()
            .map_err(at("cuLaunchKernelEx"))
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // SAFETY: loaded above, unloaded once, and no `Function` of it is left.
        self.context.release(|| unsafe { result::module::unload(self.raw) }.map_err(at("cuModuleUnload")));
    }
}

/// The arguments of a launch as the driver takes them: pointers to values that live until the call returns.
#[macro_export]
#[doc(hidden)]
macro_rules! kernel_params {
    ($($argument:expr),* $(,)?) => {
        &mut [$((&raw const $argument).cast_mut().cast::<std::ffi::c_void>()),*]
    };
}
