//! `GetAvatarFrames`: the backgrounds that patches are drawn on, once.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use tonic::Status;

use super::activity::Bounds;
use super::daemon::Daemon;
use super::frames::number;
use super::lease::Leased;
use super::lipsync::blocking;
use super::proto::lipsync::get_avatar_frames_response::Item;
use super::proto::lipsync::{AvatarFrame, Backgrounds, GetAvatarFramesRequest, GetAvatarFramesResponse};
use super::status::RpcError;
use crate::avatar::{FrameOrder, LoadedAvatar};
use crate::picture::Quality;
use crate::telemetry::Overdue;

pub(super) type BackgroundStream = Pin<Box<dyn Stream<Item = Result<GetAvatarFramesResponse, Status>> + Send>>;

pub(super) async fn get_avatar_frames(
    daemon: &Arc<Daemon>,
    bounds: Bounds,
    request: GetAvatarFramesRequest,
) -> Result<BackgroundStream, RpcError> {
    let quality = daemon.quality(request.jpeg_quality)?;
    let avatar = daemon.load(&request.avatar_id, None).await?.avatar;
    let version = avatar.backgrounds_version(quality);
    let not_modified = request.known_version[..] == version;
    let (width, height) = avatar.size_px();
    let backgrounds = Backgrounds {
        version: Bytes::copy_from_slice(&version),
        not_modified,
        width: number(width),
        height: number(height),
        frames: number(avatar.frame_count()),
        restart_interval: avatar.restart_interval_mcus().into(),
        ping_pong: avatar.order() == FrameOrder::PingPong,
    };
    let first = GetAvatarFramesResponse { item: Some(Item::Backgrounds(backgrounds)) };
    let count = if not_modified { 0 } else { avatar.frame_count() };
    // Made one by one, as the client takes them: a thousand frames never lie in memory at once.
    let frames = stream::iter(0..count).then(move |index| frame(Arc::clone(&avatar), index, quality));
    let answers = stream::once(async { Ok(first) }).chain(frames);
    // It has no session, and so no record that would be told.
    Ok(Box::pin(Leased::new(answers, bounds, Overdue::default())))
}

async fn frame(avatar: Arc<LoadedAvatar>, index: usize, quality: Quality) -> Result<GetAvatarFramesResponse, Status> {
    let area = avatar.face_box(index);
    let jpeg = blocking(move || avatar.background_jpeg(index, quality)).await?.map_err(RpcError::Background)?;
    let frame = AvatarFrame {
        avatar_frame: number(index),
        x0: number(area.x0),
        y0: number(area.y0),
        x1: number(area.x1),
        y1: number(area.y1),
        jpeg: jpeg.into(),
    };
    Ok(GetAvatarFramesResponse { item: Some(Item::Frame(frame)) })
}
