//! The files that a network's tensors lie in: whatever holds a tensor is looked into, since a runtime opens what it finds there.

use std::collections::BTreeMap;

use super::error::OnnxError;
use super::value_info::last_field;
use super::view::ExternalData;
use super::wire::fields;

/// Graphs within graphs that are looked into. ONNX Runtime's reader goes down 100 messages, of which each graph takes three.
const MAX_DEPTH: usize = 40;

/// Files by their location, each with the bytes that it must have at least. A message that stands twice is merged by protobuf, and so each
/// of them is read.
#[derive(Default)]
pub(super) struct Files(BTreeMap<String, u64>);

impl Files {
    /// In order of location.
    pub(super) fn into_list(self) -> Vec<ExternalData> {
        self.0.into_iter().map(|(location, min_bytes)| ExternalData { location, min_bytes }).collect()
    }

    /// Reads a `GraphProto`.
    pub(super) fn read_graph(&mut self, graph: &[u8]) -> Result<(), OnnxError> {
        self.read_graph_at(graph, 0)
    }

    /// Reads a `FunctionProto` { node = 7 }.
    pub(super) fn read_function(&mut self, function: &[u8]) -> Result<(), OnnxError> {
        for field in fields(function) {
            let field = field?;
            if field.number == 7 {
                self.read_node(field.bytes()?, 0)?;
            }
        }
        Ok(())
    }

    /// { node = 1, initializer = 5, sparse_initializer = 15 }
    fn read_graph_at(&mut self, graph: &[u8], depth: usize) -> Result<(), OnnxError> {
        if depth > MAX_DEPTH {
            return Err(OnnxError::Depth);
        }
        for field in fields(graph) {
            let field = field?;
            match field.number {
                1 => self.read_node(field.bytes()?, depth)?,
                5 => self.read_tensor(field.bytes()?)?,
                15 => self.read_sparse(field.bytes()?)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// A `NodeProto` { attribute = 5 }.
    fn read_node(&mut self, node: &[u8], depth: usize) -> Result<(), OnnxError> {
        for field in fields(node) {
            let field = field?;
            if field.number == 5 {
                self.read_attribute(field.bytes()?, depth)?;
            }
        }
        Ok(())
    }

    /// { t = 5, g = 6, tensors = 10, graphs = 11, sparse_tensor = 22, sparse_tensors = 23 }
    fn read_attribute(&mut self, attribute: &[u8], depth: usize) -> Result<(), OnnxError> {
        for field in fields(attribute) {
            let field = field?;
            match field.number {
                5 | 10 => self.read_tensor(field.bytes()?)?,
                6 | 11 => self.read_graph_at(field.bytes()?, depth + 1)?,
                22 | 23 => self.read_sparse(field.bytes()?)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// A `SparseTensorProto` { values = 1, indices = 2 }.
    fn read_sparse(&mut self, tensor: &[u8]) -> Result<(), OnnxError> {
        for field in fields(tensor) {
            let field = field?;
            if matches!(field.number, 1 | 2) {
                self.read_tensor(field.bytes()?)?;
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
                    let key = last_field(entry, 1)?.map(|key| key.text()).transpose()?;
                    let value = last_field(entry, 2)?.map_or(Ok(""), |value| value.text())?;
                    match key {
                        Some("location") => location = Some(value),
                        Some("offset") => offset = value.parse().unwrap_or(0),
                        Some("length") => length = value.parse().unwrap_or(0),
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
