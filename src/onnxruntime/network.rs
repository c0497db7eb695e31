//! An ONNX network as a session that many threads may run at once.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};

use super::{OnnxError, OnnxRuntime, memory, small_blocks};

/// A tensor of a network as one run sees it: name in the graph and full shape, batch included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Name of the graph's input or output.
    pub name: String,
    /// Every dimension fixed, row-major.
    pub shape: Vec<i64>,
}

impl TensorSpec {
    /// A tensor `name` of `shape`.
    #[must_use]
    pub fn new(name: impl Into<String>, shape: &[usize]) -> Self {
        Self { name: name.into(), shape: shape.iter().map(|&d| i64::try_from(d).unwrap_or(i64::MAX)).collect() }
    }

    /// Number of float32 elements.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.shape.iter().map(|&d| usize::try_from(d).unwrap_or(0)).product()
    }
}

/// A loaded network. Runs go through [`super::BoundNetwork`] or [`super::BoundHalves`], one per thread.
#[derive(Clone)]
pub struct Network {
    pub(super) session: Arc<Loaded>,
    pub(super) path: Arc<PathBuf>,
}

/// A session that gives back what it worked in.
pub(super) struct Loaded {
    // Declared first: what it worked in is free only once it has gone.
    session: Session,
    _trim: Trim,
}

impl Deref for Loaded {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

struct Trim;

impl Drop for Trim {
    fn drop(&mut self) {
        memory::trim();
        small_blocks::network_gone();
    }
}

impl Network {
    /// Loads `content`, the network at `path`, with every optimisation of the CPU provider. With `threads` = 1 a run stays on the
    /// calling thread, so that N callers use N cores: the fastest arrangement measured (decision 0004).
    ///
    /// # Errors
    /// [`OnnxError::Load`] with ONNX Runtime's own words; weights in other files are not found.
    pub fn load(runtime: &OnnxRuntime, path: &Path, content: &[u8], threads: usize) -> Result<Self, OnnxError> {
        Self::commit(runtime, path, threads, |mut builder| builder.commit_from_memory(content))
    }

    pub(super) fn commit(
        runtime: &OnnxRuntime,
        path: &Path,
        threads: usize,
        commit: impl FnOnce(SessionBuilder) -> ort::Result<Session>,
    ) -> Result<Self, OnnxError> {
        let session = options(runtime, threads).and_then(commit);
        let session = session.map_err(|error| load_error(path, &error))?;
        memory::trim();
        Ok(Self { session: Arc::new(Loaded { session, _trim: Trim }), path: Arc::new(path.to_owned()) })
    }

    /// The file it was loaded from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

pub(super) fn load_error(path: &Path, error: &dyn std::fmt::Display) -> OnnxError {
    OnnxError::Load { path: path.to_owned(), reason: one_line(error) }
}

pub(super) fn options(runtime: &OnnxRuntime, threads: usize) -> ort::Result<SessionBuilder> {
    let builder = Session::builder(&runtime.environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(threads.max(1))?
        .with_inter_threads(1)?
        // Spinning workers would take the cores from the other slots and from the daemon itself.
        .with_intra_op_spinning(false)?
        .with_env_allocators()?;
    Ok(builder)
}

/// ONNX Runtime's messages span lines and name its source files; ours are one sentence.
pub(super) fn one_line(error: &dyn std::fmt::Display) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}
