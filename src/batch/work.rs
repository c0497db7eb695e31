//! One unit of work, and whose it is.

use std::sync::Arc;
use std::time::Instant;

use super::policy::{BatchKey, Waiting};
use crate::avatar::silence::Claim;
use crate::session::SessionCore;

/// What is to be made.
pub enum WorkKind {
    /// The feature of this mel window of the session's utterance.
    Window(usize),
    /// This frame of the session's utterance.
    Frame(usize),
    /// This one of the frames in which the mouth closes beyond a cut, or where the sound has run dry.
    Closing {
        /// Number of the time that it does: an earlier one's are no longer wanted.
        round: u32,
        /// Number of the frame.
        frame: usize,
    },
    /// A silent picture of the avatar that the session is about to show, or the silent feature that such pictures are drawn with.
    Silence(Claim),
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
    pub(super) fn is_of(&self, session: &SessionCore) -> bool {
        std::ptr::eq(Arc::as_ptr(&self.session), session)
    }

    /// What it can share a batch with.
    #[must_use]
    pub fn key(&self) -> BatchKey {
        let models = self.session.avatar().models();
        if self.is_window() { BatchKey::Encode(models.encoder) } else { BatchKey::Render(models.generator) }
    }

    /// Whether it is for the audio encoder.
    #[must_use]
    pub fn is_window(&self) -> bool {
        match &self.kind {
            WorkKind::Window(_) => true,
            WorkKind::Frame(_) | WorkKind::Closing { .. } => false,
            WorkKind::Silence(claim) => claim.pose().is_none(),
        }
    }

    /// Whether it is counted nowhere: nobody sees its session, or it is made for the avatar and shown out of what that keeps.
    #[must_use]
    pub fn is_unseen(&self) -> bool {
        self.session.is_unseen() || self.gives_way()
    }

    fn gives_way(&self) -> bool {
        matches!(self.kind, WorkKind::Silence(_))
    }

    /// What the policy sees of it.
    #[must_use]
    pub fn waiting(&self) -> Waiting {
        let gives_way = self.gives_way();
        Waiting { key: self.key(), due: self.due, gives_way, served: self.session.served() }
    }
}
