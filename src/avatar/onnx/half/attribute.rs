//! What a node's own attributes need: `AttributeProto` { name = 1, f = 2, i = 3, t = 5, g = 6, floats = 7, graphs = 11, type = 20 }.

use super::super::error::OnnxError;
use super::super::node::Node;
use super::super::patch::rewrite;
use super::super::tensor::{F16, F32};
use super::super::wire::{Value, fields, last_field, put_bytes, put_int, text_of};
use super::super::write::{TENSOR, attribute};
use super::plan::{Plan, single_inputs};
use super::tensor::{Halved, half_tensor, halve_tensor};
use super::{HalfError, HalfReport};

/// The `NodeProto` { input = 1, output = 2, attribute = 5 } with tensors renamed as `plan` says and floats halved.
pub(super) fn halve_node(
    message: &[u8],
    node: &Node<'_>,
    plan: &Plan<'_>,
    report: &mut HalfReport,
) -> Result<Vec<u8>, HalfError> {
    let mut out = Vec::with_capacity(message.len() + 16);
    let mut input = 0;
    let mut has_value = false;
    for field in fields(message) {
        let field = field?;
        match field.number {
            1 => {
                let name = field.text()?;
                let single = single_inputs(node).any(|(index, _)| index == input) && plan.is_single(name);
                let name = if single { plan.single_name(name).into() } else { plan.name(name) };
                put_bytes(&mut out, 1, name.as_bytes());
                input += 1;
            }
            2 => put_bytes(&mut out, 2, plan.name(field.text()?).as_bytes()),
            5 => {
                has_value |= text_of(field.bytes()?, 1)? == "value";
                put_bytes(&mut out, 5, &halve_attribute(field.bytes()?, node.op, report)?);
            }
            _ => out.extend_from_slice(field.raw),
        }
    }
    // Without a value it is a float32 zero.
    if node.op == "ConstantOfShape" && !has_value {
        put_bytes(&mut out, 5, &value(&half_tensor(&[1], &[0.0], report)));
    }
    Ok(out)
}

fn halve_attribute(message: &[u8], op: &str, report: &mut HalfReport) -> Result<Vec<u8>, HalfError> {
    if last_field(message, 6)?.is_some() || last_field(message, 11)?.is_some() {
        return Err(HalfError::Operator { op: op.to_owned() });
    }
    match (op, text_of(message, 1)?) {
        ("Constant" | "ConstantOfShape", "value") => match last_field(message, 5)? {
            Some(tensor) => match halve_tensor(tensor.bytes()?, report)? {
                Halved::Tensor(halved) => Ok(value(&halved)),
                Halved::NotFloat => Ok(message.to_vec()),
            },
            None => Ok(message.to_vec()),
        },
        ("Constant", "value_float") => Ok(value(&half_tensor(&[], &read_floats(message)?, report))),
        ("Constant", "value_floats") => {
            let values = read_floats(message)?;
            let len = i64::try_from(values.len()).unwrap_or(i64::MAX);
            Ok(value(&half_tensor(&[len], &values, report)))
        }
        ("Cast", "to") | ("EyeLike", "dtype") => Ok(rewrite(message, |field, out| {
            let single = field.number == 3 && field.int()? == F32;
            if single {
                put_int(out, 3, F16);
            }
            Ok(single)
        })?),
        _ => Ok(message.to_vec()),
    }
}

fn value(tensor: &[u8]) -> Vec<u8> {
    attribute("value", TENSOR, |out| put_bytes(out, 5, tensor))
}

/// The float attributes f = 2 and floats = 7.
fn read_floats(message: &[u8]) -> Result<Vec<f32>, OnnxError> {
    let mut values = Vec::new();
    for field in fields(message) {
        let field = field?;
        match (field.number, field.value) {
            (2 | 7, Value::Fixed32(bytes)) => values.push(f32::from_le_bytes(bytes)),
            (7, Value::Bytes(packed)) => {
                values.extend(packed.as_chunks::<4>().0.iter().map(|&word| f32::from_le_bytes(word)));
            }
            _ => {}
        }
    }
    Ok(values)
}
