//! A finished frame as it lies in the outbox.

use super::core::SessionCore;
use crate::backend::BackendError;
use crate::batch::PooledBuf;

/// A frame that can be taken.
pub(super) enum Picture {
    /// Drawn for this session.
    Drawn(PooledBuf),
    /// The avatar's silent picture of this pose, which is kept: a note, not a copy.
    Silent {
        /// Which picture of the avatar.
        pose: usize,
    },
}

impl SessionCore {
    /// The bytes of `picture`. Copies a silent one out of what is kept; the session's lock must not be held.
    pub(super) fn bytes_of(&self, picture: Picture) -> Result<PooledBuf, BackendError> {
        let pose = match picture {
            Picture::Drawn(bytes) => return Ok(bytes),
            Picture::Silent { pose } => pose,
        };
        let mut bytes = self.pool.take();
        if let Some(album) = &self.album {
            self.avatar.draw_silent(album, pose, &mut bytes)?;
        }
        if !self.is_unseen() {
            self.avatar.silent_frame_done();
        }
        Ok(bytes)
    }
}
