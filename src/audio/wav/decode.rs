//! Sample bytes to mono `f32`.

use super::error::WavError;
use super::format::{Encoding, Format};
use crate::audio::pcm::NotFiniteValue;

/// The samples of `data`, channels averaged.
pub(super) fn mono(data: &[u8], format: &Format) -> Result<Vec<f32>, WavError> {
    if data.is_empty() {
        return Err(WavError::NoSamples);
    }
    if !data.len().is_multiple_of(format.block_bytes) {
        return Err(WavError::PartialBlock { bytes: data.len(), block: format.block_bytes });
    }
    // One arm per encoding, so that each gets its own loop over samples.
    match format.encoding {
        Encoding::U8 => mix(data, format, |[b]: [u8; 1]| (f32::from(b) - 128.0) / 128.0),
        Encoding::S16 => mix(data, format, |b| f32::from(i16::from_le_bytes(b)) / 32_768.0),
        Encoding::S24 => mix(data, format, s24),
        Encoding::S32 => mix(data, format, |b| i32::from_le_bytes(b) as f32 / 2_147_483_648.0),
        Encoding::F32 => mix(data, format, f32::from_le_bytes),
        Encoding::F64 => mix(data, format, |b| f64::from_le_bytes(b) as f32),
    }
}

/// A 24-bit integer, moved to the top of an `i32` so that its sign is the `i32`'s.
fn s24([b0, b1, b2]: [u8; 3]) -> f32 {
    (i32::from_le_bytes([0, b0, b1, b2]) >> 8) as f32 / 8_388_608.0
}

/// Averages each block of `WIDTH`-byte samples. The sum runs in `f64`: the mean of finite `f32` values is then
/// finite, and is rounded once.
fn mix<const WIDTH: usize>(
    data: &[u8],
    format: &Format,
    value: impl Fn([u8; WIDTH]) -> f32,
) -> Result<Vec<f32>, WavError> {
    let blocks = || data.chunks_exact(format.block_bytes).map(|block| block.as_chunks::<WIDTH>().0);
    let samples: Vec<f32> = if format.channels == 1 {
        data.as_chunks().0.iter().map(|&bytes| value(bytes)).collect()
    } else {
        let sum = |block: &[[u8; WIDTH]]| block.iter().map(|&b| f64::from(value(b))).sum::<f64>();
        blocks().map(|block| (sum(block) / format.channels as f64) as f32).collect()
    };
    // Looked for afterwards, in a loop of its own that is vectorised: a mean is finite only if every channel is.
    let Some(sample) = samples.iter().position(|x| !x.is_finite()) else {
        return Ok(samples);
    };
    let (channel, x) = blocks()
        .nth(sample)
        .into_iter()
        .flatten()
        .map(|&bytes| value(bytes))
        .enumerate()
        .find(|(_, x)| !x.is_finite())
        .unwrap_or((0, samples[sample]));
    Err(WavError::NotFinite {
        sample,
        second: sample as f64 / f64::from(format.sample_rate_hz),
        channel,
        value: NotFiniteValue::of(x),
    })
}
