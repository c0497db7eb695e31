//! Rewriting parts of a serialised network; what is not named stays byte for byte.

use super::error::OnnxError;
use super::wire::{Field, fields, put_bytes, put_int, put_varint};

/// Copies `message`, each field as it stands or as `replace` wrote it (when that returns `true`).
pub(super) fn rewrite(
    message: &[u8],
    mut replace: impl FnMut(&Field<'_>, &mut Vec<u8>) -> Result<bool, OnnxError>,
) -> Result<Vec<u8>, OnnxError> {
    let mut out = Vec::with_capacity(message.len() + 16);
    for field in fields(message) {
        let field = field?;
        if !replace(&field, &mut out)? {
            out.extend_from_slice(field.raw);
        }
    }
    Ok(out)
}

/// As [`rewrite`], for the sub-messages in field `number` only.
fn rewrite_inside(
    message: &[u8],
    number: u32,
    mut inner: impl FnMut(&[u8]) -> Result<Vec<u8>, OnnxError>,
) -> Result<Vec<u8>, OnnxError> {
    rewrite(message, |field, out| {
        let inside = field.number == number;
        if inside {
            put_bytes(out, number, &inner(field.bytes()?)?);
        }
        Ok(inside)
    })
}

/// The `ModelProto` with another `GraphProto`, field 7.
pub(super) fn replace_graph(model: &[u8], graph: &[u8]) -> Result<Vec<u8>, OnnxError> {
    rewrite(model, |field, out| {
        if field.number == 7 {
            put_bytes(out, 7, graph);
        }
        Ok(field.number == 7)
    })
}

/// A `ValueInfoProto` with its first dimension named `symbol`.
pub(super) fn name_first_dim(value_info: &[u8], symbol: &str) -> Result<Vec<u8>, OnnxError> {
    replace_first_dim(value_info, |out| put_bytes(out, 2, symbol.as_bytes()))
}

/// A `ValueInfoProto` with its first dimension fixed to `size`.
pub(super) fn fix_first_dim(value_info: &[u8], size: i64) -> Result<Vec<u8>, OnnxError> {
    replace_first_dim(value_info, |out| put_int(out, 1, size))
}

fn replace_first_dim(value_info: &[u8], write: impl Fn(&mut Vec<u8>)) -> Result<Vec<u8>, OnnxError> {
    rewrite_inside(value_info, 2, |value_type| {
        rewrite_inside(value_type, 1, |tensor| {
            rewrite_inside(tensor, 2, |shape| {
                let mut first = true;
                rewrite(shape, |field, out| {
                    let patch = field.number == 1 && std::mem::take(&mut first);
                    if patch {
                        put_bytes(out, 1, &other_dim(field.bytes()?, &write)?);
                    }
                    Ok(patch)
                })
            })
        })
    })
}

/// A `Dimension` with its value or name replaced; a denotation, field 3, stays.
fn other_dim(dim: &[u8], write: impl Fn(&mut Vec<u8>)) -> Result<Vec<u8>, OnnxError> {
    let mut out = rewrite(dim, |field, _| Ok(matches!(field.number, 1 | 2)))?;
    write(&mut out);
    Ok(out)
}

/// An int64 `TensorProto` with its first element replaced.
pub(super) fn set_first_int(tensor: &[u8], value: i64) -> Result<Vec<u8>, OnnxError> {
    let mut int64_data = Vec::new();
    let mut out = rewrite(tensor, |field, out| {
        match field.number {
            7 => field.ints(&mut int64_data)?,
            9 => {
                let mut raw = field.bytes()?.to_vec();
                let first = raw.first_chunk_mut::<8>().ok_or(OnnxError::Truncated)?;
                *first = value.to_le_bytes();
                put_bytes(out, 9, &raw);
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    if let Some(first) = int64_data.first_mut() {
        *first = value;
        let mut packed = Vec::new();
        int64_data.iter().for_each(|&int| put_varint(&mut packed, int as u64));
        put_bytes(&mut out, 7, &packed);
    }
    Ok(out)
}

/// A `Constant` node's `NodeProto` with the first element of its tensor replaced.
pub(super) fn set_first_int_of_node(node: &[u8], value: i64) -> Result<Vec<u8>, OnnxError> {
    rewrite_inside(node, 5, |attribute| rewrite_inside(attribute, 5, |tensor| set_first_int(tensor, value)))
}
