//! The files that a network's tensors lie in: whatever holds a tensor is looked into, since a runtime opens what it finds there.

use std::collections::BTreeMap;

use super::error::OnnxError;
use super::parts::{MAX_DEPTH, Part};
use super::view::ExternalData;
use super::wire::{fields, text_of};

/// Files by their location, each with the bytes that it must have at least. A message that stands twice is merged by protobuf, and so each
/// of them is read.
#[derive(Default)]
struct Files(BTreeMap<String, u64>);

/// The files that tensors of the serialised network `model` lie in, in order of location.
pub(super) fn external_data(model: &[u8]) -> Result<Vec<ExternalData>, OnnxError> {
    let mut files = Files::default();
    files.read(Part::Model, model, 0)?;
    Ok(files.0.into_iter().map(|(location, min_bytes)| ExternalData { location, min_bytes }).collect())
}

impl Files {
    fn read(&mut self, part: Part, message: &[u8], depth: usize) -> Result<(), OnnxError> {
        if part == Part::Tensor {
            return self.read_tensor(message);
        }
        if depth > MAX_DEPTH {
            return Err(OnnxError::Depth);
        }
        for field in fields(message) {
            let field = field?;
            if let Some(inner) = part.inside(field.number) {
                self.read(inner, field.bytes()?, depth + 1)?;
            }
        }
        Ok(())
    }

    /// A `TensorProto` { external_data = 13 { key = 1, value = 2 }, data_location = 14 }.
    fn read_tensor(&mut self, tensor: &[u8]) -> Result<(), OnnxError> {
        let (mut location, mut offset, mut length, mut is_inside) = (None, 0_u64, 0_u64, true);
        for field in fields(tensor) {
            let field = field?;
            match field.number {
                13 => {
                    let entry = field.bytes()?;
                    let (key, value) = (text_of(entry, 1)?, text_of(entry, 2)?);
                    match key {
                        "location" => location = Some(value),
                        "offset" => offset = value.parse().unwrap_or(0),
                        "length" => length = value.parse().unwrap_or(0),
                        _ => {}
                    }
                }
                14 => is_inside = field.int()? == 0,
                _ => {}
            }
        }
        // Where a tensor stands twice, one may say that it lies outside and the other where.
        if location.is_some() || !is_inside {
            let end = self.0.entry(location.unwrap_or_default().to_owned()).or_default();
            *end = (*end).max(offset.saturating_add(length));
        }
        Ok(())
    }
}
