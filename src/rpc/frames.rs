//! A finished frame as a message.

use std::sync::Arc;

use bytes::Bytes;

use super::proto::lipsync::patch::Content;
use super::proto::lipsync::{Frame, Output, Patch};
use super::status::RpcError;
use crate::avatar::LoadedAvatar;
use crate::backend::FrameFormat;
use crate::picture::Quality;
use crate::session::OutFrame;

/// What a client asked for in `field`, as far as `avatar` can give it.
pub(super) fn format_of(
    field: &'static str,
    output: i32,
    quality: Quality,
    avatar: &LoadedAvatar,
) -> Result<FrameFormat, RpcError> {
    match Output::try_from(output) {
        Ok(Output::Unspecified | Output::Frame) => Ok(FrameFormat::Jpeg(quality)),
        Ok(Output::PatchJpeg) => Ok(FrameFormat::PatchJpeg(quality)),
        Ok(Output::PatchSegments) if avatar.restart_interval_mcus() == 0 => Err(RpcError::Order(
            "this avatar's frames cannot be cut into segments; ask for OUTPUT_PATCH_JPEG or OUTPUT_FRAME",
        )),
        Ok(Output::PatchSegments) => Ok(FrameFormat::PatchSegments(quality)),
        Err(_) => Err(RpcError::Field {
            field,
            got: output.to_string(),
            expected: "OUTPUT_FRAME, OUTPUT_PATCH_JPEG and OUTPUT_PATCH_SEGMENTS exist".to_owned(),
        }),
    }
}

/// Makes a session's messages.
pub(super) struct FrameMessages {
    avatar: Arc<LoadedAvatar>,
    format: FrameFormat,
    /// Rate of the audio the client sends, Hz.
    rate: u32,
    /// Shared by all patches.
    version: Bytes,
}

impl FrameMessages {
    /// Messages of `avatar`'s frames in `format`, shown with audio sent at `rate` Hz.
    pub fn new(avatar: Arc<LoadedAvatar>, format: FrameFormat, rate: u32) -> Self {
        let version = match format {
            FrameFormat::PatchJpeg(quality) | FrameFormat::PatchSegments(quality) => {
                Bytes::copy_from_slice(&avatar.backgrounds_version(quality))
            }
            FrameFormat::Jpeg(_) | FrameFormat::Bgr => Bytes::new(),
        };
        Self { avatar, format, rate, version }
    }

    /// The message of `frame`. Its bytes are not copied: the message holds the pool's buffer, which goes to the socket as it is
    /// ([`super::uncopied`]).
    pub fn of(&self, frame: OutFrame) -> Frame {
        let index = usize::try_from(frame.index).unwrap_or(usize::MAX);
        let data = Bytes::from_owner(frame.data);
        let (jpeg, patch) = match self.format {
            FrameFormat::Jpeg(_) | FrameFormat::Bgr => (data, None),
            FrameFormat::PatchJpeg(_) => (Bytes::new(), Some(self.patch(frame.avatar_frame, Content::Jpeg(data)))),
            FrameFormat::PatchSegments(_) => {
                (Bytes::new(), Some(self.patch(frame.avatar_frame, Content::Segments(data))))
            }
        };
        Frame {
            index: frame.index,
            pts_us: frame.index.saturating_mul(1_000_000) / u64::from(self.avatar.fps()),
            audio_sample: self.avatar.clock().first_sample(index, self.rate) as u64,
            avatar_frame: number(frame.avatar_frame),
            utterance: frame.utterance,
            tick: frame.tick.unwrap_or_default(),
            idle: frame.is_idle,
            patch,
            jpeg,
        }
    }

    fn patch(&self, avatar_frame: usize, content: Content) -> Patch {
        let whole = Patch { version: self.version.clone(), content: Some(content), ..Patch::default() };
        let Some(layout) = self.avatar.strip_layout(avatar_frame) else {
            let (width, height) = self.avatar.size_px();
            return Patch { width: number(width), height: number(height), ..whole };
        };
        let (strip, (width, height)) = (layout.strip(), layout.strip_px());
        Patch {
            x: number(strip.x0),
            y: number(strip.y0),
            width: number(width),
            height: number(height),
            first_segment: number(layout.frame_segment(0)),
            run_length: number(layout.columns()),
            runs: number(layout.rows()),
            run_stride: number(layout.segments_per_row()),
            ..whole
        }
    }
}

/// A size or count of a picture; none comes near the bound.
pub(super) fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
