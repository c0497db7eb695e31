//! Serialised networks for the unit tests, field by field, without the reader under test.

use super::wire::{put_bytes, put_varint};

/// A dimension: a size, or a name.
#[derive(Clone, Copy)]
pub(super) enum D<'a> {
    Size(i64),
    Name(&'a str),
    Open,
}

/// Sizes, with -1 standing for the name "N".
pub(super) fn dims(sizes: &[i64]) -> Vec<D<'static>> {
    sizes.iter().map(|&size| if size == -1 { D::Name("N") } else { D::Size(size) }).collect()
}

fn int(out: &mut Vec<u8>, number: u32, value: i64) {
    put_varint(out, u64::from(number) << 3);
    put_varint(out, value as u64);
}

pub(super) fn value_info(name: &str, element: i64, dims: &[D<'_>]) -> Vec<u8> {
    let (mut shape, mut tensor, mut value_type, mut info) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for dim in dims {
        let mut message = Vec::new();
        match dim {
            D::Size(size) => int(&mut message, 1, *size),
            D::Name(name) => put_bytes(&mut message, 2, name.as_bytes()),
            D::Open => {}
        }
        put_bytes(&mut shape, 1, &message);
    }
    int(&mut tensor, 1, element);
    put_bytes(&mut tensor, 2, &shape);
    put_bytes(&mut value_type, 1, &tensor);
    put_bytes(&mut info, 1, name.as_bytes());
    put_bytes(&mut info, 2, &value_type);
    info
}

/// An int64 constant in `raw_data`.
pub(super) fn int_tensor(name: &str, values: &[i64]) -> Vec<u8> {
    let mut tensor = Vec::new();
    int(&mut tensor, 1, values.len() as i64);
    int(&mut tensor, 2, 7);
    put_bytes(&mut tensor, 8, name.as_bytes());
    put_bytes(&mut tensor, 9, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>());
    tensor
}

/// A float32 constant of zeros, or of `first` and zeros.
pub(super) fn float_tensor(name: &str, dims: &[i64], first: f32) -> Vec<u8> {
    let len: i64 = dims.iter().product();
    let mut raw = vec![0; 4 * len as usize];
    if let Some(head) = raw.first_chunk_mut::<4>() {
        *head = first.to_le_bytes();
    }
    let mut tensor = Vec::new();
    dims.iter().for_each(|&size| int(&mut tensor, 1, size));
    int(&mut tensor, 2, 1);
    put_bytes(&mut tensor, 8, name.as_bytes());
    put_bytes(&mut tensor, 9, &raw);
    tensor
}

/// A float32 constant of `bytes` bytes from `offset` in another file.
pub(super) fn external_tensor(name: &str, location: &str, offset: u64, bytes: u64) -> Vec<u8> {
    let mut tensor = Vec::new();
    int(&mut tensor, 1, (bytes / 4) as i64);
    int(&mut tensor, 2, 1);
    put_bytes(&mut tensor, 8, name.as_bytes());
    for (key, value) in [("location", location), ("offset", &offset.to_string()), ("length", &bytes.to_string())] {
        let mut entry = Vec::new();
        put_bytes(&mut entry, 1, key.as_bytes());
        put_bytes(&mut entry, 2, value.as_bytes());
        put_bytes(&mut tensor, 13, &entry);
    }
    int(&mut tensor, 14, 1);
    tensor
}

/// A node; attributes are lists of integers (one integer is written as `i`).
pub(super) fn node(op: &str, inputs: &[&str], outputs: &[&str], attributes: &[(&str, &[i64])]) -> Vec<u8> {
    let mut node = Vec::new();
    inputs.iter().for_each(|name| put_bytes(&mut node, 1, name.as_bytes()));
    outputs.iter().for_each(|name| put_bytes(&mut node, 2, name.as_bytes()));
    put_bytes(&mut node, 4, op.as_bytes());
    for (name, values) in attributes {
        let mut attribute = Vec::new();
        put_bytes(&mut attribute, 1, name.as_bytes());
        match values {
            [value] => int(&mut attribute, 3, *value),
            values => values.iter().for_each(|&value| int(&mut attribute, 8, value)),
        }
        put_bytes(&mut node, 5, &attribute);
    }
    node
}

/// A graph's parts.
#[derive(Default, Clone)]
pub(super) struct Parts {
    pub inputs: Vec<Vec<u8>>,
    pub outputs: Vec<Vec<u8>>,
    pub nodes: Vec<Vec<u8>>,
    pub initializers: Vec<Vec<u8>>,
    pub value_infos: Vec<Vec<u8>>,
}

impl Parts {
    /// f32 inputs and outputs by name and shape; -1 stands for "N".
    pub fn io(inputs: &[(&str, &[i64])], outputs: &[(&str, &[i64])]) -> Self {
        let infos =
            |all: &[(&str, &[i64])]| all.iter().map(|(name, sizes)| value_info(name, 1, &dims(sizes))).collect();
        Self { inputs: infos(inputs), outputs: infos(outputs), ..Self::default() }
    }

    pub fn graph(&self) -> Vec<u8> {
        let mut graph = Vec::new();
        for (number, messages) in [
            (1, &self.nodes),
            (5, &self.initializers),
            (11, &self.inputs),
            (12, &self.outputs),
            (13, &self.value_infos),
        ] {
            messages.iter().for_each(|message| put_bytes(&mut graph, number, message));
        }
        graph
    }

    pub fn model(&self) -> Vec<u8> {
        let (mut opset, mut model) = (Vec::new(), Vec::new());
        int(&mut opset, 2, 17);
        int(&mut model, 1, 8);
        put_bytes(&mut model, 7, &self.graph());
        put_bytes(&mut model, 8, &opset);
        model
    }
}
