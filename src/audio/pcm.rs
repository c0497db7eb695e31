//! Headerless little-endian PCM, as clients send it in chunks.

use std::fmt;

use thiserror::Error;

/// How one sample of a client's stream is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PcmFormat {
    /// 32-bit float, nominally -1..1.
    F32Le,
    /// 16-bit signed integer; full scale is 32768.
    S16Le,
}

impl PcmFormat {
    /// Bytes of one sample.
    #[must_use]
    pub const fn sample_bytes(self) -> usize {
        match self {
            Self::F32Le => 4,
            Self::S16Le => 2,
        }
    }
}

/// Why bytes are not samples.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PcmError {
    #[error("{bytes} bytes of audio are not a whole number of {sample_bytes}-byte samples; cut chunks between samples")]
    PartialSample { bytes: usize, sample_bytes: usize },
    #[error("audio sample {sample} of the chunk is {value}; every sample must be a finite number")]
    NotFinite { sample: usize, value: NotFiniteValue },
}

/// The kinds of float that are no sample; errors carry this, as NaN would not equal itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotFiniteValue {
    Nan,
    Infinite,
}

impl NotFiniteValue {
    /// What `value`, known not to be finite, is.
    #[must_use]
    pub fn of(value: f32) -> Self {
        if value.is_nan() { Self::Nan } else { Self::Infinite }
    }
}

impl fmt::Display for NotFiniteValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nan => "not a number",
            Self::Infinite => "infinite",
        })
    }
}

/// Appends the samples of `bytes` to `samples`; returns how many there were.
///
/// A chunk of no bytes is no samples, not an error. Nothing is allocated while `samples` has room for
/// `bytes.len() / format.sample_bytes()` more.
///
/// # Errors
/// When `bytes` ends inside a sample, or a float is NaN or infinite; `samples` is then as it was.
pub fn decode_pcm(format: PcmFormat, bytes: &[u8], samples: &mut Vec<f32>) -> Result<usize, PcmError> {
    if !bytes.len().is_multiple_of(format.sample_bytes()) {
        return Err(PcmError::PartialSample { bytes: bytes.len(), sample_bytes: format.sample_bytes() });
    }
    let before = samples.len();
    match format {
        PcmFormat::F32Le => {
            let (chunks, _) = bytes.as_chunks();
            samples.extend(chunks.iter().map(|&b| f32::from_le_bytes(b)));
        }
        PcmFormat::S16Le => {
            let (chunks, _) = bytes.as_chunks();
            samples.extend(chunks.iter().map(|&b| f32::from(i16::from_le_bytes(b)) / 32_768.0));
        }
    }
    let fresh = &samples[before..];
    let count = fresh.len();
    if let Some(sample) = fresh.iter().position(|x| !x.is_finite()) {
        let value = NotFiniteValue::of(fresh[sample]);
        samples.truncate(before);
        return Err(PcmError::NotFinite { sample, value });
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s16_full_scale_is_one() {
        let mut samples = vec![9.0];
        let bytes: Vec<u8> = [i16::MIN, -1, 0, 1, i16::MAX].iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(decode_pcm(PcmFormat::S16Le, &bytes, &mut samples), Ok(5));
        let step = 2f32.powi(-15);
        assert_eq!(samples, [9.0, -1.0, -step, 0.0, step, 1.0 - step]);
    }

    #[test]
    fn f32_bytes_are_taken_as_they_are() {
        let mut samples = Vec::new();
        let bytes = [0x00, 0x00, 0x80, 0x3F, 0x00, 0x00, 0x20, 0xC0];
        assert_eq!(decode_pcm(PcmFormat::F32Le, &bytes, &mut samples), Ok(2));
        assert_eq!(samples, [1.0, -2.5]);
        assert_eq!(decode_pcm(PcmFormat::F32Le, &[], &mut samples), Ok(0));
    }

    #[test]
    fn a_split_sample_is_refused_with_its_count() {
        for (format, bytes) in [(PcmFormat::F32Le, 7), (PcmFormat::S16Le, 3)] {
            let mut samples = Vec::new();
            let error = decode_pcm(format, &vec![0; bytes], &mut samples).unwrap_err();
            assert!(error.to_string().starts_with(&format!("{bytes} bytes")), "{error}");
        }
    }

    #[test]
    fn a_float_that_is_no_number_is_refused_and_leaves_nothing_behind() {
        for (bad, value) in [(f32::NAN, NotFiniteValue::Nan), (f32::NEG_INFINITY, NotFiniteValue::Infinite)] {
            let mut samples = vec![0.5];
            let bytes: Vec<u8> = [0.0, bad].iter().flat_map(|v: &f32| v.to_le_bytes()).collect();
            let error = decode_pcm(PcmFormat::F32Le, &bytes, &mut samples);
            assert_eq!(error, Err(PcmError::NotFinite { sample: 1, value }));
            assert_eq!(samples, [0.5]);
        }
    }

    #[test]
    fn enough_room_means_no_allocation() {
        let mut samples = Vec::with_capacity(64);
        let home = samples.as_ptr();
        for _ in 0..4 {
            samples.clear();
            decode_pcm(PcmFormat::S16Le, &[1; 128], &mut samples).unwrap();
        }
        assert_eq!(samples.as_ptr(), home);
    }
}
