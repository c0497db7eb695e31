//! The engine's kernels on one GPU, loaded.

use std::collections::HashMap;
use std::ffi::CStr;
use std::sync::Arc;

use super::NativeError;
use super::block_tiles::BLOCK_TILES;
use super::lower::{Choice, Launch};
use super::tiles::TILES;
use crate::backend::cuda::kernels::{self, LoadError, Target, Unit};
use crate::cuda::{Context, CudaError, Driver, Function, Grid, Stream};

/// The architecture from which on `wait_for_previous` of `kernels/native/device.h` waits.
const WAITS_FROM: u32 = 90;

/// Kernels beside those of [`TILES`].
const OTHERS: [&CStr; 10] = [
    c"depthwise_1",
    c"depthwise_2",
    c"depthwise_any",
    c"upsample_linear",
    c"upsample_nearest",
    c"import_f16",
    c"import_f32",
    c"export_f16",
    c"export_f32",
    c"pointwise",
];

/// Names of all of them.
pub fn names() -> impl Iterator<Item = &'static CStr> {
    let convs = TILES.iter().flat_map(|tile| [tile.pixel, tile.window]);
    convs.chain(BLOCK_TILES.iter().map(|tile| tile.kernel)).chain(OTHERS)
}

/// See the module.
#[derive(Debug)]
pub struct NativeKernels {
    context: Arc<Context>,
    driver: u32,
    functions: HashMap<&'static CStr, Function>,
    overlap: bool,
}

impl NativeKernels {
    /// Loads them for the GPU of `context`, built in or compiled by NVRTC.
    ///
    /// # Errors
    /// [`NativeError::Kernels`], [`NativeError::Cuda`].
    pub fn load(driver: &Driver, context: &Arc<Context>) -> Result<Arc<Self>, NativeError> {
        let target = Target { sm: context.gpu().sm, driver: driver.version().number() };
        let module = kernels::load(context, Unit::Native, target).map_err(|error| match error {
            LoadError::Image(error) => NativeError::Kernels(error),
            LoadError::Cuda(error) => NativeError::Cuda(error),
        })?;
        let mut functions =
            names().map(|name| Ok((name, module.function(name)?))).collect::<Result<HashMap<_, _>, CudaError>>()?;
        for tile in &BLOCK_TILES {
            // A GPU with less shared memory goes without the larger tiles.
            if functions.get(tile.kernel).is_some_and(|function| function.allow_shared(tile.shared_bytes()).is_err()) {
                functions.remove(tile.kernel);
            }
        }
        // Code that a driver made of older PTX would begin early and not wait.
        let waits = |function: &Function| Ok::<_, CudaError>(function.ptx_version()? >= WAITS_FROM);
        let overlap = functions.values().map(waits).collect::<Result<Vec<_>, _>>()?.into_iter().all(|waits| waits);
        Ok(Arc::new(Self { context: Arc::clone(context), driver: target.driver, functions, overlap }))
    }

    /// Whether this GPU can run `choice`.
    #[must_use]
    pub fn can(&self, choice: Choice) -> bool {
        match choice {
            Choice::Whole(tile) => self.functions.contains_key(BLOCK_TILES[tile].kernel),
            _ => true,
        }
    }

    /// The GPU they are on.
    #[must_use]
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// The version of CUDA that the driver is for, 13000 for 13.0.
    #[must_use]
    pub fn driver(&self) -> u32 {
        self.driver
    }

    /// Whether a kernel can begin before the one before it has ended: whether they were compiled to wait for it.
    #[must_use]
    pub fn can_overlap(&self) -> bool {
        self.overlap
    }

    /// Enqueues one launch; `early` if it may begin before the one before it has ended, which must be one of these kernels.
    ///
    /// # Safety
    /// As [`Function::launch`]: what the parameters name must be alive and used by nothing else until `stream` has passed it.
    ///
    /// # Errors
    /// [`CudaError`].
    pub unsafe fn enqueue(&self, launch: &Launch, early: bool, stream: &Stream) -> Result<(), CudaError> {
        let Some(function) = self.functions.get(launch.kernel) else {
            let missing = cudarc::driver::sys::CUresult::CUDA_ERROR_NOT_FOUND;
            return Err(CudaError::new("cuModuleGetFunction", missing));
        };
        let grid = Grid { blocks: launch.blocks, threads: [launch.threads, 1, 1], shared_bytes: launch.shared_bytes };
        let (params, _) = launch.params.raw();
        let params = &mut [params.cast_mut()];
        match early && self.can_overlap() {
            // SAFETY: the kernel takes this structure (a test compares their sizes) and waits for the one before; the rest is
            // promised by the caller.
            true => unsafe { function.launch_early(stream, grid, params) },
            // SAFETY: as above.
            false => unsafe { function.launch(stream, grid, params) },
        }
    }
}
