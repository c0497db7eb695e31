//! Weights in other files ("external data"), put into the network: a file that stays open, or mapped, is another one once it is written to.

use std::io;

use super::error::OnnxError;
use super::parts::{MAX_DEPTH, Part};
use super::tensor::Constant;
use super::view::MAX_MODEL_BYTES;
use super::wire::{fields, put_bytes, put_varint, text_of};

/// Where a tensor's values lie.
#[derive(Debug, Clone, Copy)]
pub struct Outside<'a> {
    /// The file, as the network names it.
    pub location: &'a str,
    /// Where in it they start.
    pub offset: u64,
    /// Bytes that they are.
    pub bytes: usize,
}

/// The serialised network `model` with everything inside that it has in other files, which `read` appends; `None` where it has nothing
/// there.
///
/// # Errors
/// [`OnnxError`]: it is no network, what `read` fails with, more than 2 GiB.
pub fn with_weights(
    model: &[u8],
    read: &mut dyn FnMut(Outside<'_>, &mut Vec<u8>) -> io::Result<()>,
) -> Result<Option<Vec<u8>>, OnnxError> {
    Filler { read, bytes: model.len() as u64 }.fill(Part::Model, model, 0)
}

struct Filler<'a> {
    read: &'a mut dyn FnMut(Outside<'_>, &mut Vec<u8>) -> io::Result<()>,
    /// Of the network as far as it is filled.
    bytes: u64,
}

impl Filler<'_> {
    fn fill(&mut self, part: Part, message: &[u8], depth: usize) -> Result<Option<Vec<u8>>, OnnxError> {
        if part == Part::Tensor {
            return self.fill_tensor(message);
        }
        if depth > MAX_DEPTH {
            return Err(OnnxError::Depth);
        }
        let (mut filled, mut done) = (None::<Vec<u8>>, 0);
        for field in fields(message) {
            let field = field?;
            let inner = match part.inside(field.number) {
                Some(inner) => self.fill(inner, field.bytes()?, depth + 1)?,
                None => None,
            };
            match (inner, &mut filled) {
                (Some(inner), _) => {
                    let filled = filled.get_or_insert_with(|| message[..done].to_vec());
                    make_room(filled, inner.len())?;
                    put_bytes(filled, field.number, &inner);
                }
                (None, Some(filled)) => filled.extend_from_slice(field.raw),
                (None, None) => {}
            }
            done += field.raw.len();
        }
        Ok(filled)
    }

    /// A `TensorProto` with { raw_data = 9 } for { external_data = 13, data_location = 14 }.
    fn fill_tensor(&mut self, tensor: &[u8]) -> Result<Option<Vec<u8>>, OnnxError> {
        let Some(outside) = Outside::of(tensor)? else { return Ok(None) };
        self.bytes = self.bytes.saturating_add(outside.bytes as u64);
        if self.bytes > MAX_MODEL_BYTES {
            return Err(OnnxError::TooLarge { bytes: self.bytes });
        }
        let mut filled = Vec::new();
        make_room(&mut filled, tensor.len() + outside.bytes)?;
        for field in fields(tensor) {
            let field = field?;
            if !matches!(field.number, 9 | 13 | 14) {
                filled.extend_from_slice(field.raw);
            }
        }
        put_varint(&mut filled, 9 << 3 | 2);
        put_varint(&mut filled, outside.bytes as u64);
        let end = filled.len() + outside.bytes;
        let short = || io::Error::from(io::ErrorKind::UnexpectedEof);
        (self.read)(outside, &mut filled)
            .and_then(|()| if filled.len() == end { Ok(()) } else { Err(short()) })
            .map_err(|source| OnnxError::Weights { location: outside.location.to_owned(), source })?;
        Ok(Some(filled))
    }
}

/// Takes memory for `bytes` more and a field's head, or says that there is none.
fn make_room(out: &mut Vec<u8>, bytes: usize) -> Result<(), OnnxError> {
    out.try_reserve(bytes.saturating_add(16)).map_err(|error| OnnxError::Io(error.into()))
}

impl<'a> Outside<'a> {
    /// Of a `TensorProto`; `None` where its values lie in itself.
    fn of(tensor: &'a [u8]) -> Result<Option<Self>, OnnxError> {
        const EXTERNAL: i32 = 1;
        let (mut location, mut offset, mut length, mut is_outside) = ("", "0", "0", false);
        for field in fields(tensor) {
            let field = field?;
            match field.number {
                // Readers differ in which of several places counts, and cut it to 32 bits.
                14 => is_outside |= field.int()? as i32 == EXTERNAL,
                13 => {
                    let entry = field.bytes()?;
                    let value = text_of(entry, 2)?;
                    match text_of(entry, 1)? {
                        "location" => location = value,
                        "offset" => offset = value,
                        "length" => length = value,
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        if !is_outside {
            return Ok(None);
        }
        let no_number = |_| OnnxError::Weights {
            location: location.to_owned(),
            source: io::Error::new(io::ErrorKind::InvalidData, "where they lie in it is no number"),
        };
        let offset = offset.parse().map_err(no_number)?;
        let bytes = match length.parse().map_err(no_number)? {
            0 => Constant::parse(tensor)?.raw_len().ok_or(OnnxError::Truncated)?,
            length => length,
        };
        Ok(Some(Self { location, offset, bytes }))
    }
}

#[cfg(test)]
#[path = "outside_tests.rs"]
mod tests;
