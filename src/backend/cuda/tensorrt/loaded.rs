//! A plan in this process: the engine made of it, its contexts, and what TensorRT says about them.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Mutex, OnceLock, PoisonError};

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
        Ok(Self { engine: Mutex::new(Owned(engine)), _runtime: runtime })
    }

    /// A context without memory of its own for what lies between the layers.
    pub fn context(&self) -> Result<ExecutionContext<'static>, trtx::Error> {
        let engine = &mut self.engine.lock().unwrap_or_else(PoisonError::into_inner).0;
        let mut config = engine.create_runtime_config()?;
        config.set_execution_context_allocation_strategy(ExecutionContextAllocationStrategy::kUSER_MANAGED);
        // Shared with nobody but the context, which moves between threads.
        engine.create_execution_context_with_config(Rc::new(config))
    }
}
