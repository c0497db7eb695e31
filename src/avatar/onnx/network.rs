//! A whole network as nodes and constants, for an engine that compiles it itself.

use std::collections::HashMap;

use super::error::OnnxError;
use super::node::Node;
use super::tensor::Constant;
use super::view::{GraphInfo, find_graph};
use super::wire::{messages, text_of};

/// A network, by reference to its file.
#[derive(Debug)]
pub(crate) struct Network<'a> {
    pub info: GraphInfo,
    /// In topological order, as the format demands; without those that only hold or hand on a constant.
    pub nodes: Vec<Node<'a>>,
    /// Initializers and the values of `Constant` nodes.
    pub constants: HashMap<&'a str, Constant<'a>>,
}

impl<'a> Network<'a> {
    /// Reads a serialised `ModelProto`.
    ///
    /// # Errors
    /// As [`GraphInfo::parse`].
    pub fn parse(model: &'a [u8]) -> Result<Self, OnnxError> {
        let mut network = Self { info: GraphInfo::parse(model)?, nodes: Vec::new(), constants: HashMap::new() };
        let graph = find_graph(model)?;
        for tensor in messages(graph, 5) {
            let tensor = tensor?;
            network.constants.insert(text_of(tensor, 8)?, Constant::parse(tensor)?);
        }
        // Initializers may stand after the nodes that use them, hence the second pass.
        for node in messages(graph, 1) {
            network.take(Node::parse(node?)?)?;
        }
        Ok(network)
    }

    fn take(&mut self, node: Node<'a>) -> Result<(), OnnxError> {
        let held = match (node.op, node.constant()) {
            ("Constant", Some(tensor)) => Some(Constant::parse(tensor)?),
            ("Identity", _) => node.input(0).and_then(|name| self.constants.get(name)).cloned(),
            _ => None,
        };
        match (held, node.outputs.first()) {
            (Some(constant), Some(&name)) => {
                self.constants.insert(name, constant);
            }
            _ => self.nodes.push(node),
        }
        Ok(())
    }
}
