//! One unit of work, and whose it is.

use std::sync::Arc;

use crate::backend::ModelId;
use crate::session::SessionCore;

/// What is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkKind {
    /// The feature of this mel window of the session's utterance.
    Window(usize),
    /// This frame of the session's utterance.
    Frame(usize),
}

/// A window or a frame of one session. Work of an older generation than its session's was cut by an
/// interrupt and is dropped wherever it is met.
pub struct Work {
    /// Whose it is.
    pub session: Arc<SessionCore>,
    /// The session's generation when it was queued.
    pub generation: u32,
    /// What it is.
    pub kind: WorkKind,
}

impl Work {
    /// The network it needs.
    #[must_use]
    pub fn model(&self) -> ModelId {
        let avatar = self.session.avatar();
        match self.kind {
            WorkKind::Window(_) => avatar.models().encoder,
            WorkKind::Frame(_) => avatar.models().generator,
        }
    }
}
