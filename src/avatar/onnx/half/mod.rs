//! A float32 network in half precision, for engines that compute in the precision of the file.
//!
//! TensorRT 11 has no switch for fp16: what the network's tensors are is what it computes in. So weights, constants and
//! casts become fp16 here, operators stay as they are, and intermediate shapes are left out since runtimes infer them.
//!
//! | file | gives |
//! | --- | --- |
//! | `tensor` | a `TensorProto` with its floats halved |
//! | `attribute` | what a node's own attributes need |
//! | `plan` | which tensors change their name at the edges, and which must stay float32 |

mod attribute;
mod plan;
mod tensor;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use self::attribute::halve_node;
use self::plan::Plan;
use self::tensor::{Halved, halve_tensor, rename_tensor};
use super::error::OnnxError;
use super::node::Node;
use super::patch::rewrite;
use super::tensor::{F16, F32};
use super::value_info::{TensorInfo, read_value_info};
use super::view::{GraphInfo, find_graph};
use super::wire::{Field, fields, put_bytes, put_int, text_of};
use super::write::{self, INT, attribute};

/// The first `ModelProto.ir_version` in which initializers need not be listed as inputs.
const UNLISTED: i64 = 4;

/// The element type of a halved network's float inputs and outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Edges {
    /// float32, with a cast just inside: callers need not know.
    Single,
    /// float16: the caller converts, and half the bytes cross the edge.
    Half,
}

/// What halving did to the weights.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct HalfReport {
    /// Tensors converted.
    pub tensors: usize,
    /// Their elements.
    pub elements: usize,
    /// Elements beyond ±65504, which became that; `NaN` stays.
    pub saturated: usize,
    /// Elements other than 0 that became 0: below 3e-8.
    pub vanished: usize,
    /// The largest magnitude met.
    pub largest: f32,
}

/// Why a network cannot be halved.
#[derive(Debug, Error)]
pub enum HalfError {
    #[error("it cannot be read: {0}")]
    Onnx(#[from] OnnxError),
    #[error("its weights are in \"{location}\"; export it with its weights inside")]
    External { location: String },
    #[error("operator {op} has no half-precision form here; run this network in float32 (--precision fp32)")]
    Operator { op: String },
    #[error("output \"{tensor}\" is an input or a constant; export the network without it")]
    Output { tensor: String },
    #[error("tensor \"{tensor}\" is stored in segments; export the network again")]
    Segments { tensor: String },
}

/// The network with every float32 tensor in float16, except where an operator demands float32 (the scales of `Resize`).
/// Initializers that older files list among the inputs are listed no more: what was said of them there is no longer true.
///
/// # Errors
/// Why it cannot be done; the network is then usable in float32 only.
pub fn to_half(model: &[u8], edges: Edges) -> Result<(Vec<u8>, HalfReport), HalfError> {
    let info = GraphInfo::parse(model)?;
    if let Some(file) = info.external.first() {
        return Err(HalfError::External { location: file.location.clone() });
    }
    let graph = find_graph(model)?;
    let plan = Plan::new(graph, &info, edges)?;
    let mut report = HalfReport::default();
    let halved = halve_graph(graph, &info, &plan, edges, &mut report)?;
    let model = rewrite(model, |field, out| {
        match field.number {
            1 => put_int(out, 1, field.int()?.max(UNLISTED)),
            7 => put_bytes(out, 7, &halved),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok((model, report))
}

fn halve_graph(
    graph: &[u8],
    info: &GraphInfo,
    plan: &Plan<'_>,
    edges: Edges,
    report: &mut HalfReport,
) -> Result<Vec<u8>, HalfError> {
    let mut out = Vec::with_capacity(graph.len());
    for input in &plan.cast_inputs {
        put_cast(&mut out, input, &plan.name(input), F16);
    }
    for field in fields(graph) {
        let field = field?;
        match field.number {
            1 => put_node(&mut out, field.bytes()?, plan, report)?,
            5 => put_initializer(&mut out, field.bytes()?, plan, report)?,
            11 if !is_fed(&field, info)? => {}
            11 | 12 => put_edge(&mut out, &field, edges)?,
            // value_info: intermediate types, which are no longer true.
            13 => {}
            _ => out.extend_from_slice(field.raw),
        }
    }
    for output in &plan.cast_outputs {
        put_cast(&mut out, &plan.name(output), output, F32);
    }
    Ok(out)
}

/// Whether the graph's input in `field` is no initializer that is listed, too.
fn is_fed(field: &Field<'_>, info: &GraphInfo) -> Result<bool, OnnxError> {
    let name = read_value_info(field.bytes()?)?.name;
    Ok(info.inputs.iter().any(|input| input.name == name))
}

/// A node of the graph: its casts to float32 first, where it needs any.
fn put_node(out: &mut Vec<u8>, message: &[u8], plan: &Plan<'_>, report: &mut HalfReport) -> Result<(), HalfError> {
    let node = Node::parse(message)?;
    for (index, name) in plan::single_inputs(&node) {
        if plan.is_cast_for(&node, index) {
            put_cast(out, &plan.name(name), &plan.single_name(name), F32);
        }
    }
    put_bytes(out, 1, &halve_node(message, &node, plan, report)?);
    // A constant that some operator wants as it was.
    if let Some(tensor) = node.constant()
        && let Some(&name) = node.outputs.first()
        && plan.is_kept_single(name)
    {
        put_bytes(out, 5, &rename_tensor(tensor, &plan.single_name(name))?);
    }
    Ok(())
}

fn put_initializer(
    out: &mut Vec<u8>,
    tensor: &[u8],
    plan: &Plan<'_>,
    report: &mut HalfReport,
) -> Result<(), HalfError> {
    let name = text_of(tensor, 8)?;
    if plan.is_kept_single(name) {
        put_bytes(out, 5, &rename_tensor(tensor, &plan.single_name(name))?);
        if !plan.is_used_half(name) {
            return Ok(());
        }
    }
    match halve_tensor(tensor, report)? {
        Halved::Tensor(halved) => put_bytes(out, 5, &halved),
        Halved::NotFloat => put_bytes(out, 5, tensor),
    }
    Ok(())
}

/// An input or output of the graph, its element type as `edges` says.
fn put_edge(out: &mut Vec<u8>, field: &Field<'_>, edges: Edges) -> Result<(), HalfError> {
    let message = field.bytes()?;
    if edges == Edges::Single || read_value_info(message)?.element != Some(F32) {
        out.extend_from_slice(field.raw);
        return Ok(());
    }
    let halved = rewrite(message, |field, out| {
        let inside = field.number == 2;
        if inside {
            put_bytes(out, 2, &halve_type(field.bytes()?)?);
        }
        Ok(inside)
    })?;
    put_bytes(out, field.number, &halved);
    Ok(())
}

/// A `TypeProto` { tensor_type = 1 { elem_type = 1 } } with float16 elements.
fn halve_type(value_type: &[u8]) -> Result<Vec<u8>, OnnxError> {
    rewrite(value_type, |field, out| {
        if field.number != 1 {
            return Ok(false);
        }
        let tensor = rewrite(field.bytes()?, |field, out| {
            if field.number == 1 {
                put_int(out, 1, F16);
            }
            Ok(field.number == 1)
        })?;
        put_bytes(out, 1, &tensor);
        Ok(true)
    })
}

/// A `Cast` node from `from` to `to`.
fn put_cast(out: &mut Vec<u8>, from: &str, to: &str, element: i64) {
    let kind = attribute("to", INT, |out| put_int(out, 3, element));
    put_bytes(out, 1, &write::node(Some(to), "Cast", &[from], &[to], &[kind]));
}

fn is_float(info: &TensorInfo) -> bool {
    info.element == Some(F32)
}

#[cfg(test)]
mod tests;
