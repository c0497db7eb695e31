//! `GetAvatarFrames`: the backgrounds that patches are drawn on, once.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use tonic::Status;

use super::calls::blocking;
use super::daemon::Daemon;
use super::doors::InCrowd;
use super::frames::number;
use super::lease::Leased;
use super::proto::lipsync::get_avatar_frames_response::Item;
use super::proto::lipsync::{AvatarFrame, Backgrounds, GetAvatarFramesRequest, GetAvatarFramesResponse};
use super::status::RpcError;
use crate::avatar::{FrameOrder, LoadedAvatar};
use crate::picture::Quality;
use crate::telemetry::{CallInfo, Overdue};

pub(super) type BackgroundStream = Pin<Box<dyn Stream<Item = Result<GetAvatarFramesResponse, Status>> + Send>>;

pub(super) async fn get_avatar_frames(
    daemon: &Arc<Daemon>,
    info: &CallInfo,
    request: GetAvatarFramesRequest,
) -> Result<BackgroundStream, RpcError> {
    let quality = daemon.quality(request.jpeg_quality)?;
    let place = daemon.doors().fetch(info)?;
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
    let fetch = Arc::new(Fetch { daemon: Arc::clone(daemon), avatar, quality, _place: place });
    let frames = stream::iter(0..count).then(move |index| frame(Arc::clone(&fetch), index));
    let answers = stream::once(async { Ok(first) }).chain(frames);
    // It has no session, and so no record that would be told.
    Ok(Box::pin(Leased::new(answers, daemon.bounds(info), Overdue::default())))
}

struct Fetch {
    daemon: Arc<Daemon>,
    avatar: Arc<LoadedAvatar>,
    quality: Quality,
    _place: InCrowd,
}

async fn frame(fetch: Arc<Fetch>, index: usize) -> Result<GetAvatarFramesResponse, Status> {
    let area = fetch.avatar.face_box(index);
    // What is only to be copied does not wait behind what is encoded.
    let turn =
        if fetch.avatar.keeps_backgrounds(fetch.quality) { None } else { Some(fetch.daemon.doors().encoder().await?) };
    // An encoding goes on when its call is given up, and so has its turn until then.
    let (jpeg, _turn) = blocking(move || (fetch.avatar.background_jpeg(index, fetch.quality), turn)).await?;
    let frame = AvatarFrame {
        avatar_frame: number(index),
        x0: number(area.x0),
        y0: number(area.y0),
        x1: number(area.x1),
        y1: number(area.y1),
        jpeg: jpeg.map_err(RpcError::Background)?.into(),
    };
    Ok(GetAvatarFramesResponse { item: Some(Item::Frame(frame)) })
}
