//! A network's face: what goes in, what comes out, which files it needs.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use super::error::OnnxError;
use super::external::external_data;
use super::value_info::{TensorInfo, read_value_info};
use super::wire::{fields, last_field, messages, text_of};
use crate::bounded;

/// Protobuf's own limit for a message.
pub const MAX_MODEL_BYTES: u64 = 2 << 30;

/// What is known of a network without running it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GraphInfo {
    /// Inputs to be fed, in graph order; initializers, which older files list too, are left out.
    pub inputs: Vec<TensorInfo>,
    /// Outputs in graph order.
    pub outputs: Vec<TensorInfo>,
    /// Version of the standard operator set, when the file says it.
    pub opset: Option<i64>,
    /// Files beside the network that hold weights, in order of name.
    pub external: Vec<ExternalData>,
}

/// A weights file beside the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalData {
    /// Path relative to the network's folder, as the network gives it.
    pub location: String,
    /// Bytes the file must have at least.
    pub min_bytes: u64,
}

/// Reads the network at `path`.
///
/// # Errors
/// Unreadable, too large, or not an ONNX network; the weights themselves are not looked at.
pub fn read_graph(path: &Path) -> Result<GraphInfo, OnnxError> {
    GraphInfo::parse(&read_model(path)?)
}

/// The content of a network's file, but no more than a network has.
pub(crate) fn read_model(path: &Path) -> Result<Vec<u8>, OnnxError> {
    bounded::read(path, MAX_MODEL_BYTES).map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => OnnxError::TooLarge { bytes: path.metadata().map_or(0, |data| data.len()) },
        _ => OnnxError::Io(error),
    })
}

impl GraphInfo {
    /// Reads a serialised `ModelProto`.
    ///
    /// # Errors
    /// As [`read_graph`].
    pub fn parse(model: &[u8]) -> Result<Self, OnnxError> {
        Self::parse_model(model).map_err(|error| match error {
            _ if model.is_empty() => OnnxError::Empty,
            _ if model.starts_with(b"version https://git-lfs") => OnnxError::LfsPointer,
            _ if is_text(model) => OnnxError::Text,
            error => error,
        })
    }

    fn parse_model(model: &[u8]) -> Result<Self, OnnxError> {
        let graph = find_graph(model)?;
        let mut info = Self::default();
        // opset_import { domain = 1, version = 2 }; the standard domain is "" or "ai.onnx".
        for import in messages(model, 8) {
            let import = import?;
            if matches!(text_of(import, 1)?, "" | "ai.onnx") {
                info.opset = last_field(import, 2)?.map(|version| version.int()).transpose()?;
            }
        }
        let mut initializers = HashSet::new();
        for field in fields(graph) {
            let field = field?;
            match field.number {
                5 => {
                    let tensor = field.bytes()?;
                    if let Some(name) = last_field(tensor, 8)? {
                        initializers.insert(name.bytes()?);
                    }
                }
                11 => info.inputs.push(read_value_info(field.bytes()?)?),
                12 => info.outputs.push(read_value_info(field.bytes()?)?),
                _ => {}
            }
        }
        info.inputs.retain(|input| !initializers.contains(input.name.as_bytes()));
        info.external = external_data(model)?;
        Ok(info)
    }
}

/// The model's one `GraphProto`, field 7.
pub(super) fn find_graph(model: &[u8]) -> Result<&[u8], OnnxError> {
    let mut graph = None;
    for one in messages(model, 7) {
        if graph.replace(one?).is_some() {
            return Err(OnnxError::ManyGraphs);
        }
    }
    graph.ok_or(OnnxError::NoGraph)
}

/// Whether the file starts like text: UTF-8 without control characters but those of text. A network starts
/// with field numbers and lengths, many of them control bytes.
fn is_text(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(512)];
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The cut at 512 bytes may split a character.
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or("\0"),
        Err(_) => return false,
    };
    !text.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r'))
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
