//! What the client is sent: frames, ends and cuts, as the session has them, and why the call ends.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Code, Status};

use super::respond;
use crate::rpc::activity::{Activity, Bounds};
use crate::rpc::daemon::Call;
use crate::rpc::frames::FrameMessages;
use crate::rpc::proto::lipsync::converse_response::Message as Out;
use crate::rpc::proto::lipsync::{ConverseResponse, FirstFrame, Interrupted, UtteranceDone};
use crate::rpc::status::RpcError;
use crate::session::{Cut, Event, FirstFrameTimes, FrameReader};
use crate::telemetry::{CallEnd, CallRecord};

/// A call under way: dropped, it frees everything it holds.
pub(super) struct Running {
    pub(super) greeting: Option<ConverseResponse>,
    pub(super) messages: FrameMessages,
    pub(super) reader: FrameReader,
    pub(super) rate: u32,
    pub(super) failure: Option<oneshot::Receiver<Status>>,
    pub(super) stopping: CancellationToken,
    pub(super) call: Call,
    pub(super) activity: Activity,
    pub(super) bounds: Bounds,
    pub(super) _listener: AbortOnDropHandle<()>,
}

type Step = (Result<ConverseResponse, Status>, Option<Running>);

pub(super) async fn next_message(mut running: Running) -> Option<Step> {
    if let Some(greeting) = running.greeting.take() {
        return Some((Ok(greeting), Some(running)));
    }
    let Running { messages, reader, rate, failure, stopping, call, activity, bounds, .. } = &mut running;
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
            over = bounds.passed(activity) => {
                call.record.ends(CallEnd::Timeout);
                return Some((Err(over.into()), None));
            }
            () = stopping.cancelled(), if !told_to_stop => {
                // A running utterance is finished first; the check comes round again after it.
                if reader.is_idle() {
                    call.record.ends(CallEnd::Stopped);
                    return Some((Err(RpcError::Stopping.into()), None));
                }
                told_to_stop = true;
            }
        }
    };
    match event {
        Ok(event) => {
            if !matches!(&event, Event::Frame(frame) if frame.is_idle) {
                activity.note();
            }
            note(&event, &mut call.record);
            let message = message_of(event, messages, reader, *rate);
            Some((Ok(message), Some(running)))
        }
        Err(error) => {
            call.record.ends(CallEnd::Failed);
            Some((Err(RpcError::from(error).into()), None))
        }
    }
}

fn note(event: &Event, record: &mut CallRecord) {
    match event {
        Event::Frame(_) => record.frame_sent(),
        Event::UtteranceDone { utterance, frames, samples, .. } => record.utterance_done(*utterance, *frames, *samples),
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

/// The failure of a listener that has ended, if it ended with one.
async fn failed_at_last(failure: &mut Option<oneshot::Receiver<Status>>) -> Option<Status> {
    failure.take()?.await.ok()
}

fn message_of(event: Event, messages: &FrameMessages, reader: &FrameReader, rate: u32) -> ConverseResponse {
    let avatar = reader.core().avatar();
    respond(match event {
        Event::Frame(frame) => Out::Frame(messages.of(frame)),
        Event::UtteranceDone { utterance, frames, samples, first_frame } => {
            Out::UtteranceDone(UtteranceDone { utterance, frames, samples, first_frame: first_frame.map(first) })
        }
        Event::Interrupted(Cut { utterance, frames, next_position }) => {
            let index = usize::try_from(frames).unwrap_or(usize::MAX);
            let audio_sample = avatar.clock().first_sample(index, rate) as u64;
            Out::Interrupted(Interrupted { utterance, frames, audio_sample, next_position })
        }
    })
}

fn first(times: FirstFrameTimes) -> FirstFrame {
    let us = |part: Duration| u64::try_from(part.as_micros()).unwrap_or(u64::MAX);
    FirstFrame {
        look_ahead_us: us(times.look_ahead),
        queue_us: us(times.queue),
        compute_us: us(times.compute),
        encode_us: us(times.encode),
        hand_over_us: us(times.hand_over),
    }
}
