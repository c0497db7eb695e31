//! Follows the batch through a graph, node by node: every tensor that depends on an input must keep
//! the batch as its first dimension.

use std::collections::{HashMap, HashSet};

use super::error::OnnxError;
use super::ops;
use super::rebatch::Refusal;
use super::tensor::Constant;
use super::wire::{Value, fields};

/// What is known of a tensor.
#[derive(Debug, Clone)]
pub(super) enum Flow<'a> {
    /// Its first dimension, of `rank`, is exactly the batch, and its items do not mix.
    Batch { rank: usize },
    /// It does not depend on the inputs.
    Constant(Constant<'a>),
}

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

/// The state of the walk.
#[derive(Debug, Default)]
pub(super) struct Trace<'a> {
    flows: HashMap<&'a str, Flow<'a>>,
    /// Shapes that name a batch of 1: what their first element must become.
    reshapes: HashMap<&'a str, i64>,
    /// Constants used otherwise, whose values must stay.
    other_uses: HashSet<&'a str>,
}

impl<'a> Trace<'a> {
    /// Notes a tensor that exists before the first node.
    pub fn define(&mut self, name: &'a str, flow: Flow<'a>) -> Result<(), Refusal> {
        match self.flows.insert(name, flow) {
            None => Ok(()),
            Some(_) => Err(Refusal::Twice { tensor: name.to_owned() }),
        }
    }

    /// What is known of tensor `name`.
    pub fn flow(&self, name: &str) -> Option<&Flow<'a>> {
        self.flows.get(name)
    }

    /// The constant that feeds input `index` of `node`.
    pub fn constant(&self, node: &Node<'a>, index: usize) -> Option<&Constant<'a>> {
        match self.flow(node.input(index)?)? {
            Flow::Constant(constant) => Some(constant),
            Flow::Batch { .. } => None,
        }
    }

    /// The rank of the batched tensor that feeds input `index` of `node`.
    pub fn rank(&self, node: &Node<'a>, index: usize) -> Option<usize> {
        match self.flow(node.input(index)?)? {
            Flow::Batch { rank } => Some(*rank),
            Flow::Constant(_) => None,
        }
    }

    /// Follows the batch through `node`; nodes come in topological order, as the format demands.
    pub fn step(&mut self, node: &Node<'a>) -> Result<(), Refusal> {
        let refusal = || Refusal::Operator { op: node.op.to_owned() };
        if !node.is_standard() {
            return Err(refusal());
        }
        let flow = match node.op {
            "Constant" => Flow::Constant(Constant::parse(node.constant().ok_or_else(refusal)?)?),
            "Identity" => match self.flow(node.input(0).ok_or_else(refusal)?).ok_or_else(refusal)? {
                // The copy has no bytes of its own that could be patched, so it cannot serve as a shape.
                Flow::Constant(constant) => Flow::Constant(constant.dims_only()),
                batch => batch.clone(),
            },
            "Reshape" => self.step_reshape(node).ok_or_else(refusal)?,
            _ => Flow::Batch { rank: ops::output_rank(node, self).ok_or_else(refusal)? },
        };
        for (index, &name) in node.inputs.iter().enumerate() {
            if !(node.op == "Reshape" && index == 1) {
                self.other_uses.insert(name);
            }
        }
        for &name in node.outputs.iter().filter(|name| !name.is_empty()) {
            self.define(name, flow.clone())?;
        }
        Ok(())
    }

    /// A constant target `[1, ...]` becomes `[-1, ...]`, or `[0, ...]` (copy) when -1 is taken.
    ///
    /// Row-major order keeps each item's elements together, so the first dimension is the batch again.
    /// A target that starts with -1 might have folded the batch into something else: it is refused.
    fn step_reshape(&mut self, node: &Node<'a>) -> Option<Flow<'a>> {
        self.rank(node, 0)?;
        let name = node.input(1)?;
        let target = self.constant(node, 1)?.ints()?;
        let zero_copies = node.int_or("allowzero", 0) == 0;
        if !zero_copies && target.contains(&0) {
            return None;
        }
        match *target.first()? {
            0 => {}
            1 => {
                let first = match (target.contains(&-1), zero_copies) {
                    (false, _) => -1,
                    (true, true) => 0,
                    (true, false) => return None,
                };
                self.reshapes.insert(name, first);
            }
            _ => return None,
        }
        Some(Flow::Batch { rank: target.len() })
    }

    /// Shapes that must change, when none of them is used for anything else.
    pub fn patches(&self) -> Result<&HashMap<&'a str, i64>, Refusal> {
        match self.reshapes.keys().find(|name| self.other_uses.contains(*name)) {
            Some(name) => Err(Refusal::SharedShape { tensor: (*name).to_owned() }),
            None => Ok(&self.reshapes),
        }
    }
}
