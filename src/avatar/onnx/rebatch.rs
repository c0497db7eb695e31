//! Makes a network exported for a batch of 1 take any batch.

use thiserror::Error;

use super::error::OnnxError;
use super::node::Node;
use super::patch::{name_first_dim, replace_graph, rewrite, set_first_int, set_first_int_of_node};
use super::tensor::Constant;
use super::trace::{Flow, Trace};
use super::value_info::{Dim, TensorInfo, read_value_info};
use super::view::{GraphInfo, find_graph};
use super::wire::{fields, messages, put_bytes, text_of};

/// The name the batch dimension gets.
const BATCH_SYMBOL: &str = "N";

/// Why a network's batch stays as it is.
#[derive(Debug, Error)]
pub enum Refusal {
    #[error("it cannot be read: {0}")]
    Onnx(#[from] OnnxError),
    #[error("\"{tensor}\" is {shape}: its batch is not fixed to 1")]
    NotOne { tensor: String, shape: String },
    #[error("the batch cannot be followed through an operator {op:?}")]
    Operator { op: String },
    #[error("output \"{tensor}\" does not keep the batch as its first dimension")]
    Output { tensor: String },
    #[error("the shape \"{tensor}\" is used by more than reshapes")]
    SharedShape { tensor: String },
    #[error("tensor \"{tensor}\" is made twice")]
    Twice { tensor: String },
    #[error("another dimension is already called {BATCH_SYMBOL}")]
    SymbolTaken,
}

/// The same network with a dynamic batch, called `N`, in place of a batch fixed to 1.
///
/// The batch is followed through every node. Changed are: the first dimension of the inputs and outputs,
/// the first element of constant `Reshape` targets, and intermediate shapes, which are left out since runtimes
/// infer them. All else stays byte for byte, weights in other files included.
///
/// # Errors
/// Why it is not possible, or cannot be shown to be. The network still works as it is, item by item.
pub fn rebatch(model: &[u8]) -> Result<Vec<u8>, Refusal> {
    let info = GraphInfo::parse(model)?;
    for tensor in info.inputs.iter().chain(&info.outputs) {
        check_fixed_to_one(tensor)?;
    }
    let graph = find_graph(model)?;
    let trace = trace_graph(graph, &info)?;
    for output in &info.outputs {
        let rank = output.dims.as_ref().map(Vec::len);
        match trace.flow(&output.name) {
            Some(Flow::Batch { rank: traced }) if Some(*traced) == rank => {}
            _ => return Err(Refusal::Output { tensor: output.name.clone() }),
        }
    }
    let graph = rewrite_graph(graph, &info, &trace)?;
    Ok(replace_graph(model, &graph)?)
}

fn check_fixed_to_one(tensor: &TensorInfo) -> Result<(), Refusal> {
    let dims = tensor.dims.as_deref().unwrap_or_default();
    if dims.first() != Some(&Dim::Fixed(1)) {
        return Err(Refusal::NotOne { tensor: tensor.name.clone(), shape: tensor.to_string() });
    }
    match dims.iter().any(|dim| matches!(dim, Dim::Symbol(name) if name == BATCH_SYMBOL)) {
        true => Err(Refusal::SymbolTaken),
        false => Ok(()),
    }
}

fn trace_graph<'a>(graph: &'a [u8], info: &'a GraphInfo) -> Result<Trace<'a>, Refusal> {
    let mut trace = Trace::default();
    for input in &info.inputs {
        let rank = input.dims.as_ref().map_or(0, Vec::len);
        trace.define(&input.name, Flow::Batch { rank })?;
    }
    for field in fields(graph) {
        let field = field?;
        match field.number {
            5 => {
                let tensor = field.bytes()?;
                trace.define(text_of(tensor, 8)?, Flow::Constant(Constant::parse(tensor)?))?;
            }
            // A sparse initializer, whose name this walk does not know.
            15 => return Err(Refusal::Operator { op: "sparse initializer".to_owned() }),
            _ => {}
        }
    }
    // Initializers may stand after the nodes that use them, hence the second pass.
    for node in messages(graph, 1) {
        trace.step(&Node::parse(node?)?)?;
    }
    Ok(trace)
}

fn rewrite_graph(graph: &[u8], info: &GraphInfo, trace: &Trace<'_>) -> Result<Vec<u8>, Refusal> {
    let shapes = trace.patches()?;
    let graph = rewrite(graph, |field, out| {
        match field.number {
            1 => {
                let node = Node::parse(field.bytes()?)?;
                let Some(&first) = node.outputs.first().and_then(|name| shapes.get(name)) else {
                    return Ok(false);
                };
                put_bytes(out, 1, &set_first_int_of_node(field.bytes()?, first)?);
            }
            5 => {
                let Some(&first) = shapes.get(text_of(field.bytes()?, 8)?) else {
                    return Ok(false);
                };
                put_bytes(out, 5, &set_first_int(field.bytes()?, first)?);
            }
            11 | 12 => {
                let name = read_value_info(field.bytes()?)?.name;
                if field.number == 11 && !info.inputs.iter().any(|input| input.name == name) {
                    return Ok(false);
                }
                put_bytes(out, field.number, &name_first_dim(field.bytes()?, BATCH_SYMBOL)?);
            }
            // value_info: intermediate shapes with the old batch.
            13 => {}
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(graph)
}

#[cfg(test)]
#[path = "rebatch_tests.rs"]
mod tests;
