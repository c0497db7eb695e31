//! `Converse`: live audio in, live frames out.
//!
//! One task reads the client's messages and feeds the session; the response stream reads the session.
//! Audio that arrives faster than it can be used waits in a bounded backlog, so that an interrupt behind
//! it is still read at once.

use std::collections::VecDeque;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::{oneshot, watch};
use tonic::{Code, Status, Streaming};

use super::daemon::{Admitted, Call, Daemon};
use super::frames::{FrameMessages, format_of};
use super::proto::lipsync::converse_request::Message as In;
use super::proto::lipsync::converse_response::Message as Out;
use super::proto::lipsync::{
    AudioFormat, ConverseRequest, ConverseResponse, Interrupted, Start, Started, UtteranceDone,
};
use super::status::RpcError;
use super::synthesize::{AbortOnDrop, rate_hz};
use crate::audio::{PcmFormat, decode_pcm};
use crate::avatar::LoadedAvatar;
use crate::batch::Want;
use crate::session::{Cut, Event, FrameReader, Intake, SessionEnded, SessionOptions};
use crate::telemetry::{CallEnd, CallInfo, CallRecord};

/// Seconds of audio that may wait; beyond that the client's sending is held back.
const BACKLOG_SECONDS: usize = 60;

pub(super) type ConverseStream = Pin<Box<dyn Stream<Item = Result<ConverseResponse, Status>> + Send>>;

pub(super) async fn converse(
    daemon: &Daemon,
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
    let Admitted { intake, reader, call } = daemon.admit(info, place, &avatar, options)?;
    let (failed, failure) = oneshot::channel();
    let backlog = Backlog { items: VecDeque::new(), used: 0, samples: 0, most: BACKLOG_SECONDS * rate as usize };
    let task = tokio::spawn(async move {
        if let Err(status) = listen(intake, messages, pcm, backlog).await {
            // Nobody to tell means nobody is listening any more.
            let _ = failed.send(status);
        }
    });
    let running = Running {
        greeting: Some(started(&avatar, rate)),
        messages: FrameMessages::new(avatar, format, rate),
        reader,
        rate,
        failure: Some(failure),
        stopping: daemon.stopping(),
        call,
        _listener: AbortOnDrop(task),
    };
    Ok(Box::pin(unfold(Some(running), |running| async { next_message(running?).await })))
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
fn started(avatar: &LoadedAvatar, rate: u32) -> ConverseResponse {
    let (width, height) = avatar.size_px();
    let lookahead_samples = (avatar.lookahead_samples() * u64::from(rate)).div_ceil(u64::from(avatar.sample_rate_hz()));
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

struct Running {
    greeting: Option<ConverseResponse>,
    messages: FrameMessages,
    reader: FrameReader,
    rate: u32,
    failure: Option<oneshot::Receiver<Status>>,
    stopping: watch::Receiver<bool>,
    call: Call,
    _listener: AbortOnDrop,
}

type Step = (Result<ConverseResponse, Status>, Option<Running>);

async fn next_message(mut running: Running) -> Option<Step> {
    if let Some(greeting) = running.greeting.take() {
        return Some((Ok(greeting), Some(running)));
    }
    let Running { messages, reader, rate, failure, stopping, call, .. } = &mut running;
    let mut told_to_stop = false;
    let event = loop {
        tokio::select! {
            biased;
            Some(status) = failed(failure) => {
                call.record.ends(end_of(&status));
                return Some((Err(status), None));
            }
            event = reader.next() => match event {
                Some(event) => break event,
                // The listener lets go of the session before it can say why.
                None => {
                    let failure = failed_at_last(failure).await;
                    call.record.ends(failure.as_ref().map_or(CallEnd::Done, end_of));
                    return failure.map(|status| (Err(status), None));
                }
            },
            () = stop_signal(stopping), if !told_to_stop => {
                // A running utterance is finished first; the check comes round again after it.
                if reader.is_idle() {
                    return Some((Err(RpcError::Stopping.into()), None));
                }
                told_to_stop = true;
            }
        }
    };
    match event {
        Ok(event) => {
            note(&event, &call.record);
            let message = message_of(event, messages, reader, *rate);
            Some((Ok(message), Some(running)))
        }
        Err(error) => {
            call.record.ends(CallEnd::Failed);
            Some((Err(RpcError::from(error).into()), None))
        }
    }
}

fn note(event: &Event, record: &CallRecord) {
    match event {
        Event::Frame(_) => {}
        Event::UtteranceDone { utterance, frames, samples } => record.utterance_done(*utterance, *frames, *samples),
        Event::Interrupted(cut) => record.utterance_cut(cut.utterance, cut.frames),
    }
}

/// What a listener that stopped at `status` makes of its call: a client that goes, or whose connection breaks,
/// has cancelled it; our own refusals are failures.
fn end_of(status: &Status) -> CallEnd {
    match status.code() {
        Code::Cancelled | Code::Unknown => CallEnd::Cancelled,
        _ => CallEnd::Failed,
    }
}

/// The listener's failure; stays pending once the listener has ended without one.
async fn failed(failure: &mut Option<oneshot::Receiver<Status>>) -> Option<Status> {
    match failure {
        Some(receiver) => match receiver.await {
            Ok(status) => Some(status),
            Err(_) => {
                *failure = None;
                std::future::pending().await
            }
        },
        None => std::future::pending().await,
    }
}

async fn stop_signal(stopping: &mut watch::Receiver<bool>) {
    // A daemon that is gone has stopped as well.
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// The failure of a listener that has ended, if it ended with one.
async fn failed_at_last(failure: &mut Option<oneshot::Receiver<Status>>) -> Option<Status> {
    failure.take()?.await.ok()
}

fn message_of(event: Event, messages: &FrameMessages, reader: &FrameReader, rate: u32) -> ConverseResponse {
    let avatar = reader.core().avatar();
    respond(match event {
        Event::Frame(frame) => Out::Frame(messages.of(frame)),
        Event::UtteranceDone { utterance, frames, samples } => {
            Out::UtteranceDone(UtteranceDone { utterance, frames, samples })
        }
        Event::Interrupted(Cut { utterance, frames, next_position }) => {
            let index = usize::try_from(frames).unwrap_or(usize::MAX);
            let audio_sample = avatar.clock().first_sample(index, rate) as u64;
            Out::Interrupted(Interrupted { utterance, frames, audio_sample, next_position })
        }
    })
}

enum Item {
    Audio(Vec<f32>),
    End,
}

/// What has been received and not yet used.
struct Backlog {
    items: VecDeque<Item>,
    /// Samples of the oldest item that have been used.
    used: usize,
    /// Samples in all that have not.
    samples: usize,
    /// Samples beyond which the client is held back.
    most: usize,
}

impl Backlog {
    fn push(&mut self, samples: Vec<f32>) {
        self.samples += samples.len();
        self.items.push_back(Item::Audio(samples));
    }

    fn clear(&mut self) {
        self.items.clear();
        self.used = 0;
        self.samples = 0;
    }

    /// Feeds one block, or one end, of the oldest item; the intake has said it has room.
    fn feed(&mut self, intake: &mut Intake) {
        match self.items.front() {
            Some(Item::Audio(samples)) => {
                let taken = intake.push_block(&samples[self.used..]);
                self.used += taken;
                self.samples -= taken;
                if self.used == samples.len() {
                    self.used = 0;
                    self.items.pop_front();
                }
            }
            Some(Item::End) => {
                intake.finish_now();
                self.items.pop_front();
            }
            None => {}
        }
    }
}

/// Reads the client to its end, feeding the session as it has room.
async fn listen(
    mut intake: Intake,
    mut messages: Streaming<ConverseRequest>,
    format: PcmFormat,
    mut backlog: Backlog,
) -> Result<(), Status> {
    let mut open = true;
    // Whether audio has come since the last end, so that closing the stream ends that utterance.
    let mut speaking = false;
    while open || !backlog.items.is_empty() {
        tokio::select! {
            biased;
            message = messages.message(), if open && backlog.samples < backlog.most => {
                match message?.map(|request| request.message) {
                    None => {
                        open = false;
                        if speaking {
                            backlog.items.push_back(Item::End);
                        }
                    }
                    Some(Some(In::Audio(bytes))) => {
                        let samples = decode(&bytes, format)?;
                        if !samples.is_empty() {
                            speaking = true;
                            backlog.push(samples);
                        }
                    }
                    Some(Some(In::EndUtterance(_))) => {
                        speaking = false;
                        backlog.items.push_back(Item::End);
                    }
                    Some(Some(In::Interrupt(_))) => {
                        speaking = false;
                        backlog.clear();
                        intake.interrupt();
                    }
                    Some(Some(In::Start(_))) => {
                        return Err(RpcError::Order("`start` may come only once, as the first message").into());
                    }
                    Some(None) => {
                        return Err(RpcError::Field {
                            field: "message",
                            got: "an empty ConverseRequest".to_owned(),
                            expected: "set audio, end_utterance or interrupt".to_owned(),
                        }
                        .into());
                    }
                }
            }
            room = intake.room(), if !backlog.items.is_empty() => match room {
                Ok(()) => backlog.feed(&mut intake),
                // The reader is gone or has told the client why.
                Err(SessionEnded) => return Ok(()),
            },
        }
    }
    // The last utterance's frames are still to be read: the session ends with its reader.
    let _ = intake.room().await;
    Ok(())
}

fn decode(bytes: &Bytes, format: PcmFormat) -> Result<Vec<f32>, RpcError> {
    let mut samples = Vec::with_capacity(bytes.len() / format.sample_bytes());
    decode_pcm(format, bytes, &mut samples).map_err(|source| RpcError::Pcm { field: "audio", source })?;
    Ok(samples)
}
