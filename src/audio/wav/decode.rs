//! Sample bytes to mono `f32`.

use super::error::WavError;
use super::format::{Encoding, Format};
use crate::audio::pcm::NotFiniteValue;

/// Says whether `bytes` of samples are some, and whole.
pub(super) fn check_length(bytes: usize, format: &Format) -> Result<(), WavError> {
    if bytes == 0 {
        return Err(WavError::NoSamples);
    }
    if !bytes.is_multiple_of(format.block_bytes) {
        return Err(WavError::PartialBlock { bytes, block: format.block_bytes });
    }
    Ok(())
}

/// Appends the samples of `data`, channels averaged, to `out`; `first` is the place of the first of them in the file.
pub(super) fn append(data: &[u8], format: &Format, first: usize, out: &mut Vec<f32>) -> Result<(), WavError> {
    let start = out.len();
    // One arm per encoding, so that each gets its own loop over samples.
    match format.encoding {
        Encoding::U8 => mix(data, format, |[b]: [u8; 1]| (f32::from(b) - 128.0) / 128.0, out),
        Encoding::S16 => mix(data, format, |b| f32::from(i16::from_le_bytes(b)) / 32_768.0, out),
        Encoding::S24 => mix(data, format, s24, out),
        Encoding::S32 => mix(data, format, |b| i32::from_le_bytes(b) as f32 / 2_147_483_648.0, out),
        Encoding::F32 => mix(data, format, f32::from_le_bytes, out),
        Encoding::F64 => mix(data, format, |b| f64::from_le_bytes(b) as f32, out),
    }
    // Looked for afterwards, in a loop of its own that is vectorised: a mean is finite only if every channel is.
    match out[start..].iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(at) => Err(not_finite(data, format, (first, at), out[start + at])),
    }
}

/// A 24-bit integer, moved to the top of an `i32` so that its sign is the `i32`'s.
fn s24([b0, b1, b2]: [u8; 3]) -> f32 {
    (i32::from_le_bytes([0, b0, b1, b2]) >> 8) as f32 / 8_388_608.0
}

/// Averages each block of `WIDTH`-byte samples. The sum runs in `f64`: the mean of finite `f32` values is then
/// finite, and is rounded once.
fn mix<const WIDTH: usize>(data: &[u8], format: &Format, value: impl Fn([u8; WIDTH]) -> f32, out: &mut Vec<f32>) {
    if format.channels == 1 {
        out.extend(data.as_chunks().0.iter().map(|&bytes| value(bytes)));
        return;
    }
    let blocks = data.chunks_exact(format.block_bytes).map(|block| block.as_chunks::<WIDTH>().0);
    let sum = |block: &[[u8; WIDTH]]| block.iter().map(|&b| f64::from(value(b))).sum::<f64>();
    out.extend(blocks.map(|block| (sum(block) / format.channels as f64) as f32));
}

/// The error for the block at `at` of `data`, which starts at sample `first` of the file and has the mean `mean`.
fn not_finite(data: &[u8], format: &Format, (first, at): (usize, usize), mean: f32) -> WavError {
    let block = &data[at * format.block_bytes..][..format.block_bytes];
    let values: Vec<f32> = match format.encoding {
        Encoding::F64 => block.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b) as f32).collect(),
        // The integers are finite whatever their bits.
        _ => block.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
    };
    let (channel, value) = values.into_iter().enumerate().find(|(_, x)| !x.is_finite()).unwrap_or((0, mean));
    let sample = first + at;
    WavError::NotFinite {
        sample,
        second: sample as f64 / f64::from(format.sample_rate_hz),
        channel,
        value: NotFiniteValue::of(value),
    }
}
