//! `Synthesize`: whole audio in, the stream of its frames out.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;

use super::activity::{Activity, Bounds};
use super::calls::{blocking, rate_hz};
use super::daemon::{Admitted, Call, Daemon};
use super::doors::Place;
use super::frames::{FrameMessages, format_of};
use super::lease::Leased;
use super::proto::lipsync::{AudioFormat, SynthesizeRequest, SynthesizeResponse};
use super::status::RpcError;
use crate::audio::{Pcm, PcmFormat, decode_pcm, parse_wav};
use crate::batch::Want;
use crate::session::{Event, FrameReader, SessionOptions};
use crate::telemetry::{CallEnd, CallInfo};

pub(super) type FrameStream = Pin<Box<dyn Stream<Item = Result<SynthesizeResponse, Status>> + Send>>;

pub(super) async fn synthesize(
    daemon: &Arc<Daemon>,
    info: &CallInfo,
    request: SynthesizeRequest,
) -> Result<FrameStream, RpcError> {
    let encoding = Encoding::of(&request)?;
    let quality = daemon.quality(request.jpeg_quality)?;
    let place = daemon.enter(info, &request.avatar_id, Want::Whole).await?;
    let (place, pcm) = read_audio(place, encoding, request.audio).await?;
    let avatar = daemon.acquire(&request.avatar_id, Want::Whole).await?.avatar;
    let format = format_of("output", request.output, quality, &avatar)?;
    let options = SessionOptions {
        start_position: request.start_position,
        outbox_frames: SessionOptions::LIVE_OUTBOX,
        ..SessionOptions::new(format, pcm.sample_rate_hz)
    };
    let Admitted { intake, reader, call } = daemon.admit(info, place, &avatar, options).await?;
    let messages = FrameMessages::new(avatar, format, pcm.sample_rate_hz);
    let (activity, bounds) = (Activity::now(), daemon.bounds(info));
    // Its frames come as fast as there is room for them: a queue in front of it is no fault of the client's.
    let waits = Bounds { idle: None, ..bounds };
    let speech = AbortOnDropHandle::new(tokio::spawn(async move { intake.speak(&pcm.samples).await }));
    let running = Running { reader, messages, call, activity, bounds: waits, _speech: speech };
    let overdue = running.call.record.overdue();
    let answers = unfold(Some(running), |running| async { next_frame(running?).await });
    Ok(Box::pin(Leased::new(answers, bounds, overdue)))
}

struct Running {
    reader: FrameReader,
    messages: FrameMessages,
    call: Call,
    activity: Activity,
    bounds: Bounds,
    _speech: AbortOnDropHandle<()>,
}

async fn next_frame(mut running: Running) -> Option<(Result<SynthesizeResponse, Status>, Option<Running>)> {
    let Running { reader, activity, bounds, call, .. } = &mut running;
    let event = tokio::select! {
        biased;
        event = reader.next() => event?,
        over = bounds.passed(activity) => {
            call.record.ends(CallEnd::Timeout);
            return Some((Err(over.into()), None));
        }
    };
    let item = match event {
        Ok(Event::Frame(frame)) => {
            running.call.record.frame_sent();
            Ok(SynthesizeResponse { frame: Some(running.messages.of(frame)) })
        }
        Ok(Event::UtteranceDone { utterance, frames, samples, .. }) => {
            running.call.record.utterance_done(utterance, frames, samples);
            running.call.record.ends(CallEnd::Done);
            return None;
        }
        Ok(Event::Interrupted(_)) => return None,
        Err(error) => {
            running.call.record.ends(CallEnd::Failed);
            Err(RpcError::from(error).into())
        }
    };
    Some((item, Some(running)))
}

/// How a request's sound is written.
#[derive(Clone, Copy)]
enum Encoding {
    Wav,
    Raw(PcmFormat, u32),
}

impl Encoding {
    fn of(request: &SynthesizeRequest) -> Result<Self, RpcError> {
        let raw = |format| Ok(Self::Raw(format, rate_hz("sample_rate_hz", request.sample_rate_hz)?));
        match AudioFormat::try_from(request.audio_format) {
            Ok(AudioFormat::Unspecified | AudioFormat::Wav) => Ok(Self::Wav),
            Ok(AudioFormat::F32le) => raw(PcmFormat::F32Le),
            Ok(AudioFormat::S16le) => raw(PcmFormat::S16Le),
            Err(_) => Err(RpcError::Field {
                field: "audio_format",
                got: request.audio_format.to_string(),
                expected: "AUDIO_FORMAT_WAV, AUDIO_FORMAT_F32LE and AUDIO_FORMAT_S16LE exist".to_owned(),
            }),
        }
    }
}

/// The sound in `audio`, once there is a `place` to draw it in: it can take four times the memory of its bytes, which are let go of here. Many
/// minutes of it take a while; not on a thread that serves others. A reading goes on when its call is given up, and so does its place until then.
async fn read_audio(place: Place, encoding: Encoding, audio: Bytes) -> Result<(Place, Pcm), RpcError> {
    blocking(move || Ok((place, decode(encoding, &audio)?))).await?
}

fn decode(encoding: Encoding, audio: &[u8]) -> Result<Pcm, RpcError> {
    let pcm = match encoding {
        Encoding::Wav => parse_wav(audio).map_err(RpcError::Wav)?,
        Encoding::Raw(format, sample_rate_hz) => {
            let mut samples = Vec::with_capacity(audio.len() / format.sample_bytes());
            decode_pcm(format, audio, &mut samples).map_err(|source| RpcError::Pcm { field: "audio", source })?;
            Pcm { sample_rate_hz, samples }
        }
    };
    if pcm.samples.is_empty() {
        let expected = "send at least one sample".to_owned();
        return Err(RpcError::Field { field: "audio", got: "no sound".to_owned(), expected });
    }
    Ok(pcm)
}
