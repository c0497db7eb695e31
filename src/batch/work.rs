//! One unit of work, and whose it is.

use std::sync::Arc;
use std::time::Instant;

use super::policy::{BatchKey, Waiting};
use crate::session::SessionCore;

/// What is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkKind {
    /// The feature of this mel window of the session's utterance.
    Window(usize),
    /// This frame of the session's utterance.
    Frame(usize),
    /// This one of the frames in which the mouth closes after a cut.
    Closing(usize),
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
    /// When it is due, of live sessions.
    pub due: Option<Instant>,
    /// When it was queued.
    pub queued_at: Instant,
}

impl Work {
    /// What it can share a batch with.
    #[must_use]
    pub fn key(&self) -> BatchKey {
        let models = self.session.avatar().models();
        match self.kind {
            WorkKind::Window(_) => BatchKey::Encode(models.encoder),
            WorkKind::Frame(_) | WorkKind::Closing(_) => BatchKey::Render(models.generator),
        }
    }

    /// What the policy sees of it.
    #[must_use]
    pub fn waiting(&self) -> Waiting {
        Waiting { key: self.key(), due: self.due, served: self.session.served() }
    }
}
