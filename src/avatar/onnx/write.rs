//! Messages that are written anew. Their fields come in the order of their numbers.

use super::tensor::F32;
use super::wire::{put_bytes, put_int};

/// `AttributeProto.AttributeType.INT`.
pub(super) const INT: i64 = 2;
/// `AttributeProto.AttributeType.TENSOR`.
pub(super) const TENSOR: i64 = 4;
/// `AttributeProto.AttributeType.INTS`.
pub(super) const INTS: i64 = 7;

/// An `AttributeProto` { name = 1, type = 20 } with the value that `write` puts in.
pub(super) fn attribute(name: &str, kind: i64, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut message = Vec::new();
    put_bytes(&mut message, 1, name.as_bytes());
    write(&mut message);
    put_int(&mut message, 20, kind);
    message
}

/// A `NodeProto` { input = 1, output = 2, name = 3, op_type = 4, attribute = 5 }.
pub(super) fn node(name: Option<&str>, op: &str, inputs: &[&str], outputs: &[&str], attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut message = Vec::new();
    inputs.iter().for_each(|input| put_bytes(&mut message, 1, input.as_bytes()));
    outputs.iter().for_each(|output| put_bytes(&mut message, 2, output.as_bytes()));
    name.iter().for_each(|name| put_bytes(&mut message, 3, name.as_bytes()));
    put_bytes(&mut message, 4, op.as_bytes());
    attributes.iter().for_each(|attribute| put_bytes(&mut message, 5, attribute));
    message
}

/// A `ValueInfoProto` of float32, of any shape where none is given.
pub(super) fn value_info(name: &str, shape: Option<&[i64]>) -> Vec<u8> {
    let (mut tensor, mut value_type, mut info) = (Vec::new(), Vec::new(), Vec::new());
    put_int(&mut tensor, 1, F32);
    if let Some(shape) = shape {
        let mut dims = Vec::new();
        for &size in shape {
            let mut dim = Vec::new();
            put_int(&mut dim, 1, size);
            put_bytes(&mut dims, 1, &dim);
        }
        put_bytes(&mut tensor, 2, &dims);
    }
    put_bytes(&mut value_type, 1, &tensor);
    put_bytes(&mut info, 1, name.as_bytes());
    put_bytes(&mut info, 2, &value_type);
    info
}
