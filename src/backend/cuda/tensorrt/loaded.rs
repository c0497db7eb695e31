//! A plan in this process: the engine made of it, its contexts, and what TensorRT says about them.

use std::cell::RefCell;
use std::rc::Rc;
#[cfg(not(feature = "tensorrt"))]
use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use trtx::trtx_sys::ExecutionContextAllocationStrategy;
use trtx::{CudaEngine, ExecutionContext, LogHandler, Logger, Runtime, Severity};

thread_local! {
    /// The last error that TensorRT logged on this thread: what its calls return does not say what failed, a lack of memory among others.
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Errors and warnings of the runtime go to the log.
struct Traced;

impl LogHandler for Traced {
    fn log(&self, severity: Severity, message: &str) {
        match severity {
            Severity::InternalError | Severity::Error => {
                tracing::error!(target: "tensorrt", "{message}");
                // Threads say things while they end, too.
                let _ = SAID.try_with(|said| message.clone_into(&mut said.borrow_mut()));
            }
            Severity::Warning => tracing::warn!(target: "tensorrt", "{message}"),
            _ => tracing::debug!(target: "tensorrt", "{message}"),
        }
    }
}

/// The process's logger: TensorRT keeps the first that it is given, and ignores every other.
fn logger() -> Result<&'static Logger, trtx::Error> {
    static LOGGER: OnceLock<Logger> = OnceLock::new();
    if let Some(logger) = LOGGER.get() {
        return Ok(logger);
    }
    let made = Logger::new(Traced)?;
    Ok(LOGGER.get_or_init(|| made))
}

/// `error`, of a call on this thread, with what was logged about it.
pub(super) fn explain(error: &trtx::Error) -> String {
    let logged = SAID.take();
    if logged.is_empty() { error.to_string() } else { format!("{error}: {logged}") }
}

/// A deserialised plan.
pub(super) struct Loaded {
    /// What TensorRT-RTX has compiled for its contexts.
    #[cfg(not(feature = "tensorrt"))]
    compiled: OnceLock<Arc<trtx::RuntimeCache>>,
    /// Whose it is to have something compiled: the next finds it ready.
    turn: Mutex<()>,
    // Before the runtime that made it.
    engine: Mutex<Owned<CudaEngine<'static>>>,
    _runtime: Runtime<'static>,
}

/// An object of TensorRT's that moves between threads.
pub(super) struct Owned<T>(pub T);

// SAFETY: TensorRT ties no object to a thread; what it asks for is that one thread at a time uses it (TensorRT documentation, "thread
// safety"), which the mutex around the engine and `&mut` on the context see to.
unsafe impl<T> Send for Owned<T> {}

// SAFETY: the runtime is only kept, never used, after the engine was made.
unsafe impl Sync for Loaded {}

impl Loaded {
    /// # Errors
    /// TensorRT's words.
    pub fn deserialize(plan: &[u8]) -> Result<Self, String> {
        let explained = |error: trtx::Error| explain(&error);
        let mut runtime = Runtime::new(logger().map_err(explained)?).map_err(explained)?;
        let engine = runtime.deserialize_cuda_engine(plan).map_err(explained)?;
        Ok(Self {
            #[cfg(not(feature = "tensorrt"))]
            compiled: OnceLock::new(),
            turn: Mutex::new(()),
            engine: Mutex::new(Owned(engine)),
            _runtime: runtime,
        })
    }

    /// Held while a context is made and its first run enqueued, which compile kernels.
    pub fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A context without memory of its own for what lies between the layers.
    pub fn context(&self) -> Result<ExecutionContext<'static>, trtx::Error> {
        let engine = &mut self.engine.lock().unwrap_or_else(PoisonError::into_inner).0;
        let mut config = engine.create_runtime_config()?;
        config.set_execution_context_allocation_strategy(ExecutionContextAllocationStrategy::kUSER_MANAGED);
        #[cfg(not(feature = "tensorrt"))]
        self.share_compiled(&mut config)?;
        // Shared with nobody but the context, which moves between threads.
        engine.create_execution_context_with_config(Rc::new(config))
    }

    /// Kernels for a shape are compiled in its first run: what is compiled later, in the background, would never run, since the run has been
    /// captured by then.
    #[cfg(not(feature = "tensorrt"))]
    fn share_compiled(&self, config: &mut trtx::RuntimeConfig<'static>) -> Result<(), trtx::Error> {
        config
            .set_dynamic_shapes_kernel_specialization_strategy(trtx::DynamicShapesKernelSpecializationStrategy::kEAGER);
        let cache = match self.compiled.get() {
            Some(cache) => Arc::clone(cache),
            None => {
                let made = Arc::new(config.create_runtime_cache()?);
                Arc::clone(self.compiled.get_or_init(|| made))
            }
        };
        config.set_runtime_cache(cache)
    }

    /// Lets contexts that are made from now on have what has been compiled so far: TensorRT-RTX 1.7 puts it into its cache when that is asked for
    /// its content, and not before.
    pub fn keep_compiled(&self) {
        #[cfg(not(feature = "tensorrt"))]
        if let Some(Err(error)) = self.compiled.get().map(|cache| cache.serialize()) {
            tracing::debug!("what TensorRT has compiled will be compiled again: {}", explain(&error));
        }
    }
}
