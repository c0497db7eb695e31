//! `NodeProto`: an operator with the names of its inputs and outputs, and its attributes.

use super::error::OnnxError;
use super::wire::{Value, fields};

/// A node, as far as shapes and plain operators depend on it.
#[derive(Debug, Default)]
pub(crate) struct Node<'a> {
    pub op: &'a str,
    pub inputs: Vec<&'a str>,
    pub outputs: Vec<&'a str>,
    pub domain: &'a str,
    ints: Vec<(&'a str, Vec<i64>)>,
    floats: Vec<(&'a str, f32)>,
    texts: Vec<(&'a str, &'a [u8])>,
    tensors: Vec<(&'a str, &'a [u8])>,
}

impl<'a> Node<'a> {
    /// Reads a `NodeProto` { input = 1, output = 2, op_type = 4, attribute = 5, domain = 7 }.
    pub fn parse(message: &'a [u8]) -> Result<Self, OnnxError> {
        let mut node = Self::default();
        for field in fields(message) {
            let field = field?;
            match field.number {
                1 => node.inputs.push(field.text()?),
                2 => node.outputs.push(field.text()?),
                4 => node.op = field.text()?,
                5 => node.read_attribute(field.bytes()?)?,
                7 => node.domain = field.text()?,
                _ => {}
            }
        }
        Ok(node)
    }

    /// Reads an `AttributeProto` { name = 1, f = 2, i = 3, s = 4, t = 5, ints = 8 }.
    fn read_attribute(&mut self, message: &'a [u8]) -> Result<(), OnnxError> {
        let (mut name, mut ints) = ("", Vec::new());
        let (mut float, mut text, mut tensor) = (None, None, None);
        for field in fields(message) {
            let field = field?;
            match (field.number, field.value) {
                (1, _) => name = field.text()?,
                (2, Value::Fixed32(bytes)) => float = Some(f32::from_le_bytes(bytes)),
                (3, _) => ints.push(field.int()?),
                (4, _) => text = Some(field.bytes()?),
                (5, _) => tensor = Some(field.bytes()?),
                (8, _) => field.ints(&mut ints)?,
                _ => {}
            }
        }
        self.floats.extend(float.map(|float| (name, float)));
        self.texts.extend(text.map(|text| (name, text)));
        self.tensors.extend(tensor.map(|tensor| (name, tensor)));
        self.ints.push((name, ints));
        Ok(())
    }

    /// An integer attribute, or `default` when absent.
    pub fn int_or(&self, name: &str, default: i64) -> i64 {
        self.ints(name).and_then(|ints| ints.first().copied()).unwrap_or(default)
    }

    /// A list attribute.
    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        self.ints.iter().find(|(known, _)| *known == name).map(|(_, ints)| ints.as_slice())
    }

    /// A float attribute, or `default` when absent.
    pub fn float_or(&self, name: &str, default: f32) -> f32 {
        self.floats.iter().find(|(known, _)| *known == name).map_or(default, |&(_, float)| float)
    }

    /// A text attribute, or `default` when absent or no text.
    pub fn text_or(&self, name: &str, default: &'a str) -> &'a str {
        let text = self.texts.iter().find(|(known, _)| *known == name).map(|&(_, text)| text);
        text.and_then(|text| std::str::from_utf8(text).ok()).unwrap_or(default)
    }

    /// Whether the operator is one of ONNX's own.
    pub fn is_standard(&self) -> bool {
        matches!(self.domain, "" | "ai.onnx")
    }

    /// The tensor a `Constant` node holds.
    pub fn constant(&self) -> Option<&'a [u8]> {
        self.tensors.iter().find(|(name, _)| *name == "value").map(|&(_, tensor)| tensor)
    }

    /// The name of input `index`, when it is given.
    pub fn input(&self, index: usize) -> Option<&'a str> {
        self.inputs.get(index).copied().filter(|name| !name.is_empty())
    }
}
