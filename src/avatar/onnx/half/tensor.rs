//! `TensorProto`: dims = 1, data_type = 2, segment = 3, float_data = 4, name = 8, raw_data = 9.

use half::f16;

use super::super::error::OnnxError;
use super::super::patch::rewrite;
use super::super::tensor::{F16, F32, read_floats};
use super::super::wire::{last_field, put_bytes, put_int, text_of};
use super::{HalfError, HalfReport};

/// What became of a tensor.
pub(super) enum Halved {
    /// Its float16 form.
    Tensor(Vec<u8>),
    /// It holds no float32: it stays.
    NotFloat,
}

/// The tensor in float16, rounded to nearest even; what is too large becomes the largest finite value, since an
/// infinite weight turns every later sum into one.
pub(super) fn halve_tensor(tensor: &[u8], report: &mut HalfReport) -> Result<Halved, HalfError> {
    let element = last_field(tensor, 2)?.map(|element| element.int()).transpose()?;
    if element != Some(F32) {
        return Ok(Halved::NotFloat);
    }
    if last_field(tensor, 3)?.is_some() {
        let tensor = text_of(tensor, 8)?.to_owned();
        return Err(HalfError::Segments { tensor });
    }
    let mut halves = Vec::new();
    report.tensors += 1;
    read_floats(tensor, |value| halves.extend_from_slice(&halve(value, report).to_le_bytes()))?;
    let mut out = rewrite(tensor, |field, _| Ok(matches!(field.number, 2 | 4 | 9)))?;
    put_int(&mut out, 2, F16);
    put_bytes(&mut out, 9, &halves);
    Ok(Halved::Tensor(out))
}

/// A float16 tensor of these values, a scalar when `dims` is empty.
pub(super) fn half_tensor(dims: &[i64], values: &[f32], report: &mut HalfReport) -> Vec<u8> {
    let mut out = Vec::new();
    dims.iter().for_each(|&size| put_int(&mut out, 1, size));
    put_int(&mut out, 2, F16);
    report.tensors += 1;
    let halves: Vec<u8> = values.iter().flat_map(|&value| halve(value, report).to_le_bytes()).collect();
    put_bytes(&mut out, 9, &halves);
    out
}

/// The tensor under another name.
pub(super) fn rename_tensor(tensor: &[u8], name: &str) -> Result<Vec<u8>, OnnxError> {
    let mut out = rewrite(tensor, |field, _| Ok(field.number == 8))?;
    put_bytes(&mut out, 8, name.as_bytes());
    Ok(out)
}

fn halve(value: f32, report: &mut HalfReport) -> f16 {
    report.elements += 1;
    report.largest = report.largest.max(value.abs());
    let half = f16::from_f32(value);
    if half.is_infinite() {
        report.saturated += 1;
        return if value > 0.0 { f16::MAX } else { f16::MIN };
    }
    report.vanished += usize::from(value != 0.0 && half == f16::ZERO);
    half
}
