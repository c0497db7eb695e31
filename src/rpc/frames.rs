//! A finished frame as a message.

use bytes::Bytes;

use super::proto::lipsync::Frame;
use crate::avatar::LoadedAvatar;
use crate::session::OutFrame;

/// The message of `frame`, shown with audio sent at `sample_rate_hz`. The JPEG is not copied: the message
/// holds the pool's buffer until it has been written out.
pub(super) fn frame_message(avatar: &LoadedAvatar, sample_rate_hz: u32, frame: OutFrame) -> Frame {
    let index = usize::try_from(frame.index).unwrap_or(usize::MAX);
    Frame {
        index: frame.index,
        pts_us: frame.index.saturating_mul(1_000_000) / u64::from(avatar.fps()),
        audio_sample: avatar.clock().first_sample(index, sample_rate_hz) as u64,
        avatar_frame: u32::try_from(frame.avatar_frame).unwrap_or(u32::MAX),
        utterance: frame.utterance,
        jpeg: Bytes::from_owner(frame.data),
    }
}
