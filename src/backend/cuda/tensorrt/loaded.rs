//! A plan in this process: the engine made of it, its contexts, and what TensorRT says about them.

use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use trtx::trtx_sys::ExecutionContextAllocationStrategy;
use trtx::{CudaEngine, ExecutionContext, LogHandler, Logger, Runtime, Severity};

/// Errors and warnings of the runtime go to the log. The last error is kept: what its calls return does not say what failed, a lack of
/// memory among others.
#[derive(Clone, Default)]
pub(super) struct Traced(Arc<Mutex<String>>);

impl LogHandler for Traced {
    fn log(&self, severity: Severity, message: &str) {
        match severity {
            Severity::InternalError | Severity::Error => {
                tracing::error!(target: "tensorrt", "{message}");
                message.clone_into(&mut self.last());
            }
            Severity::Warning => tracing::warn!(target: "tensorrt", "{message}"),
            _ => tracing::debug!(target: "tensorrt", "{message}"),
        }
    }
}

impl Traced {
    fn last(&self) -> MutexGuard<'_, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `error` with what was logged about it.
    pub fn explain(&self, error: &trtx::Error) -> String {
        let logged = std::mem::take(&mut *self.last());
        if logged.is_empty() { error.to_string() } else { format!("{error}: {logged}") }
    }
}

/// A deserialised plan. Its logger lives as long as the process, which is how long TensorRT may refer to it.
pub(super) struct Loaded {
    // Before the runtime that made it.
    engine: Mutex<Owned<CudaEngine<'static>>>,
    _runtime: Runtime<'static>,
    pub log: Traced,
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
        let log = Traced::default();
        let explained = |error: trtx::Error| log.explain(&error);
        // A few hundred bytes a network, and nothing to say when nobody refers to it any more.
        let logger: &'static Logger = Box::leak(Box::new(Logger::new(log.clone()).map_err(explained)?));
        let mut runtime = Runtime::new(logger).map_err(explained)?;
        let engine = runtime.deserialize_cuda_engine(plan).map_err(explained)?;
        Ok(Self { engine: Mutex::new(Owned(engine)), _runtime: runtime, log })
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
