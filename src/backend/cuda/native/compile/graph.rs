//! The network with what the compiler looks up: shapes, constants, who uses what.

use std::collections::HashMap;

use crate::avatar::onnx::{Constant, Dim, Network, Node, TensorInfo};
use crate::onnxruntime::Element;

use super::super::error::CompileError;
use super::super::program::Edge;
use super::refuse;
use super::shape::{Shape, infer};

/// Beyond any of these networks, and small enough that no product of sizes overflows.
const MAX_SIDE: usize = 1 << 13;
const MAX_CHANNELS: usize = 1 << 16;

/// See the module.
pub(super) struct Graph<'a> {
    pub network: Network<'a>,
    shapes: HashMap<String, Shape>,
    /// Nodes that use a tensor, once for each use.
    users: HashMap<String, Vec<usize>>,
}

impl<'a> Graph<'a> {
    pub fn parse(model: &'a [u8]) -> Result<Self, CompileError> {
        let network = Network::parse(model)?;
        if let Some(file) = network.info.external.first() {
            return Err(CompileError::External { location: file.location.clone() });
        }
        let mut graph = Self { network, shapes: HashMap::new(), users: HashMap::new() };
        for input in &graph.network.info.inputs {
            let Some([channels, height, width]) = item_of(input) else {
                return Err(CompileError::Edge { tensor: input.name.clone(), found: input.to_string() });
            };
            graph.shapes.insert(input.name.clone(), Shape::new(channels, height, width));
        }
        for (index, node) in graph.network.nodes.iter().enumerate() {
            for &name in &node.inputs {
                graph.users.entry(name.to_owned()).or_default().push(index);
            }
        }
        for index in 0..graph.network.nodes.len() {
            let node = &graph.network.nodes[index];
            // `Dropout` may name a mask as a second output, which nothing uses in inference.
            let Some(&name) = node.outputs.first().filter(|_| node.is_standard()) else {
                return Err(refuse(node, "it is not one of ONNX's own"));
            };
            let shape = infer(&graph, node)?;
            if shape.channels > MAX_CHANNELS || shape.height.max(shape.width) > MAX_SIDE {
                return Err(refuse(node, "what it makes is larger than any picture"));
            }
            if graph.network.constants.contains_key(name) || graph.shapes.insert(name.to_owned(), shape).is_some() {
                return Err(refuse(node, "something else has the name of what it makes"));
            }
        }
        Ok(graph)
    }

    /// The inputs as edges.
    pub fn inputs(&self, element: Element) -> Vec<Edge> {
        let edge = |input: &TensorInfo| {
            let item = self.shapes.get(&input.name).map_or([0; 3], |s| [s.channels, s.height, s.width]);
            Edge { name: input.name.clone(), item, element }
        };
        self.network.info.inputs.iter().map(edge).collect()
    }

    /// The one output.
    pub fn output(&self, element: Element) -> Result<Edge, CompileError> {
        let [output] = self.network.info.outputs.as_slice() else {
            return Err(CompileError::Outputs { found: self.network.info.outputs.len() });
        };
        match self.shapes.get(&output.name) {
            Some(shape) => {
                let item = [shape.channels, shape.height, shape.width];
                Ok(Edge { name: output.name.clone(), item, element })
            }
            None => Err(CompileError::Edge { tensor: output.name.clone(), found: output.to_string() }),
        }
    }

    /// The shape of a computed tensor.
    pub fn shape(&self, name: &str) -> Option<Shape> {
        self.shapes.get(name).copied()
    }

    /// The shape of the computed tensor that feeds input `index`.
    pub fn shape_of(&self, node: &Node<'_>, index: usize) -> Option<Shape> {
        self.shape(node.input(index)?)
    }

    /// The constant that feeds input `index`.
    fn constant(&self, node: &Node<'_>, index: usize) -> Option<&Constant<'a>> {
        self.network.constants.get(node.input(index)?)
    }

    pub fn constant_dims(&self, node: &Node<'_>, index: usize) -> Option<Vec<usize>> {
        self.constant(node, index)?.dims.iter().map(|&size| usize::try_from(size).ok()).collect()
    }

    /// The values of a constant float tensor.
    pub fn floats(&self, node: &Node<'_>, index: usize) -> Result<Option<Vec<f32>>, CompileError> {
        match self.constant(node, index) {
            Some(constant) => Ok(constant.floats()?),
            None => Ok(None),
        }
    }

    /// The values of a short constant of integers.
    pub fn ints(&self, node: &Node<'_>, index: usize) -> Option<Vec<i64>> {
        self.constant(node, index)?.ints()
    }

    /// The nodes that use a tensor, once for each use.
    pub fn users(&self, name: &str) -> &[usize] {
        self.users.get(name).map_or(&[], Vec::as_slice)
    }

    /// The only node that uses a tensor, when nothing else does.
    pub fn only_user(&self, name: &str) -> Option<usize> {
        let is_output = self.network.info.outputs.iter().any(|output| output.name == name);
        match self.users(name) {
            &[user] if !is_output => Some(user),
            _ => None,
        }
    }
}

/// `[C, H, W]` of `[N, C, H, W]`.
fn item_of(tensor: &TensorInfo) -> Option<[usize; 3]> {
    let [_, dims @ ..] = tensor.dims.as_deref()? else {
        return None;
    };
    let fixed = |dim: &Dim| match dim {
        &Dim::Fixed(size) => usize::try_from(size).ok().filter(|&size| size <= MAX_SIDE),
        _ => None,
    };
    <[usize; 3]>::try_from(dims.iter().map(fixed).collect::<Option<Vec<_>>>()?).ok()
}
