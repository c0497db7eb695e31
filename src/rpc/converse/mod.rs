//! `Converse`: live audio in, live frames out.
//!
//! One task reads the client's messages and feeds the session (`listen`); the response stream reads the session
//! (`answers`).

mod answers;
mod listen;

use std::pin::Pin;
use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Status, Streaming};

use self::answers::{Running, next_message};
use self::listen::{Backlog, listen};
use super::activity::Activity;
use super::calls::rate_hz;
use super::daemon::{Admitted, Daemon};
use super::frames::{FrameMessages, format_of};
use super::lease::Leased;
use super::proto::lipsync::converse_request::Message as In;
use super::proto::lipsync::converse_response::Message as Out;
use super::proto::lipsync::{AudioFormat, ConverseRequest, ConverseResponse, Start, Started};
use super::status::RpcError;
use crate::audio::PcmFormat;
use crate::avatar::LoadedAvatar;
use crate::batch::Want;
use crate::session::SessionOptions;
use crate::telemetry::CallInfo;

pub(super) type ConverseStream = Pin<Box<dyn Stream<Item = Result<ConverseResponse, Status>> + Send>>;

pub(super) async fn converse(
    daemon: &Arc<Daemon>,
    info: &CallInfo,
    first: Option<ConverseRequest>,
    messages: Streaming<ConverseRequest>,
) -> Result<ConverseStream, RpcError> {
    let Some(In::Start(start)) = first.and_then(|request| request.message) else {
        return Err(RpcError::Order("the first message of Converse must be `start`"));
    };
    let pcm = pcm_format(&start)?;
    let rate = rate_hz("start.sample_rate_hz", start.sample_rate_hz)?;
    let quality = daemon.quality(start.jpeg_quality)?;
    let want = Want::Live { waits: start.idle_frames };
    let place = daemon.enter(info, &start.avatar_id, want).await?;
    let avatar = daemon.acquire(&start.avatar_id, want).await?.avatar;
    let format = format_of("start.output", start.output, quality, &avatar)?;
    let options = SessionOptions {
        start_position: start.start_position,
        pace: daemon.live(),
        idle_frames: start.idle_frames.then(|| daemon.idle_frames()),
        outbox_frames: if start.idle_frames { SessionOptions::BULK_OUTBOX } else { SessionOptions::LIVE_OUTBOX },
        ..SessionOptions::new(format, rate)
    };
    let Admitted { intake, reader, call } = daemon.admit(info, place, &avatar, options).await?;
    let greeting = started(&avatar, intake.lookahead_samples());
    let (failed, failure) = oneshot::channel();
    let activity = Activity::now();
    let heard = activity.clone();
    let task = tokio::spawn(async move {
        if let Err(status) = listen(intake, messages, pcm, Backlog::new(rate), heard).await {
            // Nobody to tell means nobody is listening any more.
            let _ = failed.send(status);
        }
    });
    let running = Running {
        greeting: Some(greeting),
        messages: FrameMessages::new(avatar, format, rate),
        reader,
        rate,
        failure: Some(failure),
        stopping: daemon.stopping().clone(),
        call,
        activity,
        bounds: daemon.bounds(info),
        _listener: AbortOnDropHandle::new(task),
    };
    let (bounds, overdue) = (running.bounds, running.call.record.overdue());
    let answers = unfold(Some(running), |running| async { next_message(running?).await });
    Ok(Box::pin(Leased::new(answers, bounds, overdue)))
}

fn pcm_format(start: &Start) -> Result<PcmFormat, RpcError> {
    match AudioFormat::try_from(start.audio_format) {
        Ok(AudioFormat::F32le) => Ok(PcmFormat::F32Le),
        Ok(AudioFormat::S16le) => Ok(PcmFormat::S16Le),
        other => Err(RpcError::Field {
            field: "start.audio_format",
            got: other.map_or_else(|_| start.audio_format.to_string(), |format| format.as_str_name().to_owned()),
            expected: "live audio is AUDIO_FORMAT_F32LE or AUDIO_FORMAT_S16LE".to_owned(),
        }),
    }
}

/// What a client needs to know before the first frame.
fn started(avatar: &LoadedAvatar, lookahead_samples: u64) -> ConverseResponse {
    let (width, height) = avatar.size_px();
    respond(Out::Started(Started {
        fps: avatar.fps(),
        width: u32::try_from(width).unwrap_or(u32::MAX),
        height: u32::try_from(height).unwrap_or(u32::MAX),
        lookahead_samples,
    }))
}

fn respond(message: Out) -> ConverseResponse {
    ConverseResponse { message: Some(message) }
}
