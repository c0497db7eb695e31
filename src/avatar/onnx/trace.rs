//! Follows the batch through a graph, node by node: every tensor that depends on an input must keep
//! the batch as its first dimension.

use std::collections::{HashMap, HashSet};

use super::node::Node;
use super::ops;
use super::rebatch::Refusal;
use super::tensor::Constant;

/// What is known of a tensor.
#[derive(Debug, Clone)]
pub(super) enum Flow<'a> {
    /// Its first dimension, of `rank`, is exactly the batch, and its items do not mix.
    Batch { rank: usize },
    /// It does not depend on the inputs.
    Constant(Constant<'a>),
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
