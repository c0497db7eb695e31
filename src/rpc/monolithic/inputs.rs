//! What a batch is made of, as its request holds it.

use std::sync::Arc;

use bytes::Bytes;

use crate::audio::{PcmFormat, decode_pcm};
use crate::avatar::LoadedAvatar;
use crate::rpc::calls::rate_hz;
use crate::rpc::proto::monolithic::CompositeBatchRequest;
use crate::rpc::status::RpcError;

/// What the protocol has always allowed.
const MAX_BATCH: i32 = 32;

/// What a request's numbers say.
pub(super) struct Shape {
    /// Frames.
    pub batch: usize,
    pub start_position: u64,
    /// Of its sound, Hz.
    pub rate: u32,
}

impl Shape {
    pub fn of(request: &CompositeBatchRequest) -> Result<Self, RpcError> {
        let batch = in_range("batch_size", request.batch_size, 1, MAX_BATCH)? as usize;
        let start_position = in_range("start_frame_idx", request.start_frame_idx, 0, i32::MAX)?.into();
        let rate = rate_hz("sample_rate", in_range("sample_rate", request.sample_rate, 0, i32::MAX)?)?;
        Ok(Self { batch, start_position, rate })
    }
}

/// What a request's bytes hold.
pub(super) struct Inputs {
    /// In place of the avatar's own.
    pub pictures: Option<Arc<[f32]>>,
    pub speech: Speech,
}

impl Inputs {
    pub fn read(
        request: &CompositeBatchRequest,
        batch: usize,
        rate: u32,
        avatar: &LoadedAvatar,
    ) -> Result<Self, RpcError> {
        let pictures = read_pictures(&request.visual_frames, batch, avatar)?;
        Ok(Self { pictures, speech: read_speech(request, batch, rate, avatar)? })
    }
}

/// What drives the mouth: samples, or one context for all frames.
pub(super) struct Speech {
    pub samples: Vec<f32>,
    pub context: Option<Arc<[f32]>>,
}

fn read_speech(
    request: &CompositeBatchRequest,
    batch: usize,
    rate: u32,
    avatar: &LoadedAvatar,
) -> Result<Speech, RpcError> {
    if request.raw_audio.is_empty() {
        if request.audio_features.is_empty() {
            return Err(field("raw_audio", "nothing", "send the batch's audio as little-endian float32 PCM"));
        }
        let context = floats("audio_features", &request.audio_features, avatar.context_len())?;
        return Ok(Speech { samples: Vec::new(), context: Some(context.into()) });
    }
    let mut samples = Vec::with_capacity(request.raw_audio.len() / size_of::<f32>());
    decode_pcm(PcmFormat::F32Le, &request.raw_audio, &mut samples)
        .map_err(|source| RpcError::Pcm { field: "raw_audio", source })?;
    // At a rate below the frames' own, several begin at one sample.
    let clock = avatar.clock();
    let needed = clock.first_sample(batch, rate).max(clock.first_sample(batch - 1, rate) + 1);
    if samples.len() < needed {
        let got = format!("{} samples", samples.len());
        return Err(field("raw_audio", &got, &format!("{batch} frames at {rate} Hz need at least {needed}")));
    }
    Ok(Speech { samples, context: None })
}

fn read_pictures(bytes: &Bytes, batch: usize, avatar: &LoadedAvatar) -> Result<Option<Arc<[f32]>>, RpcError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    Ok(Some(floats("visual_frames", bytes, batch * avatar.picture_len())?.into()))
}

/// `expected` finite little-endian float32.
fn floats(name: &'static str, bytes: &Bytes, expected: usize) -> Result<Vec<f32>, RpcError> {
    if bytes.len() != expected * size_of::<f32>() {
        let got = format!("{} bytes", bytes.len());
        let needed = expected * size_of::<f32>();
        return Err(field(name, &got, &format!("this batch and avatar need {needed} ({expected} float32)")));
    }
    let mut values = Vec::with_capacity(expected);
    for value in bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)) {
        if !value.is_finite() {
            let got = format!("{value} at float32 {}", values.len());
            return Err(field(name, &got, "every value must be a finite number"));
        }
        values.push(value);
    }
    Ok(values)
}

/// `value`, which `least` keeps from being negative.
fn in_range(name: &'static str, value: i32, least: i32, most: i32) -> Result<u32, RpcError> {
    if (least..=most).contains(&value) {
        Ok(value.unsigned_abs())
    } else {
        Err(field(name, &value.to_string(), &format!("it must be from {least} to {most}")))
    }
}

fn field(name: &'static str, got: &str, expected: &str) -> RpcError {
    RpcError::Field { field: name, got: got.to_owned(), expected: expected.to_owned() }
}
