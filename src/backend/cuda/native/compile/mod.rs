//! From an ONNX file to a [`Program`].
//!
//! | file | gives |
//! | --- | --- |
//! | `graph` | the network with its shapes, constants, and who uses what |
//! | `shape` | the shape each operator makes, or why it is refused |
//! | `value` | a tensor as it stands during compilation: stored, or an expression that is not computed yet |
//! | `convolution` | convolutions, with what follows them folded in |
//! | `pointwise` | elementwise operators, collected into expressions |
//! | `blocks` | inverted residuals found among the finished operations |

mod blocks;
mod convolution;
mod graph;
mod pointwise;
mod shape;
mod value;

use std::collections::HashMap;

use crate::avatar::onnx::Node;
use crate::onnxruntime::Element;

use self::graph::Graph;
use self::shape::Shape;
use self::value::{Slot, Value};
use super::error::CompileError;
use super::program::{Doubling, Export, Op, Program, Target, Upsample, View};

impl Program {
    /// Compiles a serialised network whose inputs and output will be of `element`, whatever its batch is declared as.
    ///
    /// # Errors
    /// [`CompileError`], naming the operator, weight or edge that this engine does not do.
    pub fn compile(model: &[u8], element: Element) -> Result<Self, CompileError> {
        let graph = Graph::parse(model)?;
        let inputs = graph.inputs(element);
        let output = graph.output(element)?;
        let mut compiler = Compiler::new(&graph);
        for index in 0..graph.network.nodes.len() {
            if !compiler.done[index] {
                compiler.step(index)?;
            }
        }
        compiler.export(&output.name)?;
        let Compiler { buffers, ops, .. } = compiler;
        Ok(blocks::find(Self { inputs, output, buffers, ops }))
    }
}

/// The walk over the nodes.
struct Compiler<'g, 'a> {
    graph: &'g Graph<'a>,
    /// Tensors by name, as far as they exist.
    values: HashMap<&'a str, Value>,
    /// Where a tensor must be stored because a concatenation wants it there.
    slots: HashMap<&'a str, Slot>,
    /// Buffers of concatenations, by the name of what they make.
    wholes: HashMap<&'a str, View>,
    /// Nodes that an earlier one has taken in.
    done: Vec<bool>,
    buffers: Vec<usize>,
    ops: Vec<Op>,
}

impl<'g, 'a> Compiler<'g, 'a> {
    fn new(graph: &'g Graph<'a>) -> Self {
        let done = vec![false; graph.network.nodes.len()];
        let (values, slots, wholes) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { graph, values, slots, wholes, done, buffers: Vec::new(), ops: Vec::new() }
    }

    fn step(&mut self, index: usize) -> Result<(), CompileError> {
        let graph = self.graph;
        let node = &graph.network.nodes[index];
        match node.op {
            "Conv" | "ConvTranspose" => self.convolution(index),
            "Resize" | "Upsample" => self.upsample(node),
            "Concat" => self.concat(node),
            _ => self.pointwise(node),
        }
    }

    fn upsample(&mut self, node: &Node<'a>) -> Result<(), CompileError> {
        let doubling = doubling(self.graph, node)?;
        let from = self.stored(node, 0)?;
        let (name, to) = if from.is_plain() {
            self.place(node)?
        } else {
            // Channels stay where they are, gaps of a concatenation included.
            let (name, shape) = self.made_by(node)?;
            (name, self.buffer(Shape { channels: from.view.channels, ..shape }))
        };
        self.ops.push(Op::Upsample(Upsample { from: from.view, to, doubling }));
        self.values.insert(name, Value::stored(to, from.lanes));
        Ok(())
    }

    fn export(&mut self, name: &str) -> Result<(), CompileError> {
        match self.values.get(name) {
            Some(Value::Stored(stored)) if stored.is_plain() => {
                let from = stored.view;
                self.ops.push(Op::Export(Export { from }));
                Ok(())
            }
            _ => {
                let steps = self.expression_of(name)?;
                let shape = self.graph.shape(name).ok_or(CompileError::Outputs { found: 0 })?;
                self.store_expression(Target::Output, shape, steps);
                Ok(())
            }
        }
    }
}

/// What a `Resize` does, when it is one of the two that these networks have.
fn doubling(graph: &Graph<'_>, node: &Node<'_>) -> Result<Doubling, CompileError> {
    let scales = if node.op == "Upsample" || node.inputs.len() == 2 { 1 } else { 2 };
    let by_two = match graph.floats(node, scales)? {
        Some(scales) if !scales.is_empty() => scales == [1.0, 1.0, 2.0, 2.0],
        // Sizes instead: the batch may be named as anything.
        _ => graph.shape_of(node, 0).zip(graph.ints(node, 3)).is_some_and(|(from, sizes)| {
            let to = [from.channels, 2 * from.height, 2 * from.width].map(|size| size as i64);
            sizes.len() == 4 && sizes[1..] == to
        }),
    };
    if !by_two {
        return Err(refuse(node, "only to twice the height and width"));
    }
    // Before opset 11 there was one transformation, which nearest neighbours agree with.
    let at = node.text_or("coordinate_transformation_mode", if scales == 1 { "asymmetric" } else { "half_pixel" });
    match (node.text_or("mode", "nearest"), at, node.text_or("nearest_mode", "round_prefer_floor")) {
        ("linear", "align_corners", _) => Ok(Doubling::Linear),
        // By a whole factor, each of these takes the same pixel.
        ("nearest", "asymmetric", "floor") | ("nearest", "half_pixel", "round_prefer_floor" | "round_prefer_ceil") => {
            Ok(Doubling::Nearest)
        }
        ("nearest", "asymmetric", _) if scales == 1 => Ok(Doubling::Nearest),
        _ => Err(refuse(node, "only linear with aligned corners, or nearest")),
    }
}

/// The error that `node` is not for this engine.
fn refuse(node: &Node<'_>, why: &'static str) -> CompileError {
    let tensor = node.outputs.first().copied().unwrap_or_default().to_owned();
    CompileError::Operator { op: node.op.to_owned(), tensor, why }
}
