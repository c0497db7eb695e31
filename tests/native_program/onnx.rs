//! Small networks, written as onnx.proto has them.

use prost::Message;

/// `TensorProto.DataType.FLOAT`.
const FLOAT: i32 = 1;

/// `AttributeProto.AttributeType.INT`.
const INT: i32 = 2;

#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    opsets: Vec<Opset>,
}

#[derive(Clone, PartialEq, Message)]
struct Opset {
    #[prost(int64, tag = "2")]
    version: i64,
}

/// A graph of float32 tensors.
#[derive(Clone, PartialEq, Message)]
pub struct Graph {
    #[prost(message, repeated, tag = "1")]
    nodes: Vec<Node>,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, repeated, tag = "5")]
    constants: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    inputs: Vec<Value>,
    #[prost(message, repeated, tag = "12")]
    outputs: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(string, repeated, tag = "1")]
    inputs: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    outputs: Vec<String>,
    #[prost(string, tag = "4")]
    op: String,
    #[prost(message, repeated, tag = "5")]
    attributes: Vec<Attribute>,
}

#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int64, tag = "3")]
    value: i64,
    #[prost(int32, tag = "20")]
    kind: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Tensor {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    element: i32,
    #[prost(float, repeated, tag = "4")]
    values: Vec<f32>,
    #[prost(string, tag = "8")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    kind: Option<Type>,
}

#[derive(Clone, PartialEq, Message)]
struct Type {
    #[prost(message, optional, tag = "1")]
    tensor: Option<TensorType>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorType {
    #[prost(int32, tag = "1")]
    element: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Shape>,
}

#[derive(Clone, PartialEq, Message)]
struct Shape {
    #[prost(message, repeated, tag = "1")]
    dims: Vec<Dim>,
}

#[derive(Clone, PartialEq, Message)]
struct Dim {
    #[prost(int64, tag = "1")]
    size: i64,
}

impl Value {
    fn new(name: &str, dims: &[i64]) -> Self {
        let shape = Shape { dims: dims.iter().map(|&size| Dim { size }).collect() };
        let tensor = TensorType { element: FLOAT, shape: Some(shape) };
        Self { name: name.to_owned(), kind: Some(Type { tensor: Some(tensor) }) }
    }
}

impl Graph {
    pub fn input(mut self, name: &str, dims: &[i64]) -> Self {
        self.inputs.push(Value::new(name, dims));
        self
    }

    pub fn output(mut self, name: &str, dims: &[i64]) -> Self {
        self.outputs.push(Value::new(name, dims));
        self
    }

    pub fn node(mut self, op: &str, inputs: &[&str], output: &str) -> Self {
        let inputs = inputs.iter().map(|&name| name.to_owned()).collect();
        self.nodes.push(Node { inputs, outputs: vec![output.to_owned()], op: op.to_owned(), attributes: Vec::new() });
        self
    }

    /// Gives the node that makes `output` a number.
    pub fn with(mut self, output: &str, name: &str, value: i64) -> Self {
        let makes = |node: &&mut Node| node.outputs.iter().any(|made| made == output);
        let attribute = Attribute { name: name.to_owned(), value, kind: INT };
        self.nodes.iter_mut().filter(makes).for_each(|node| node.attributes.push(attribute.clone()));
        self
    }

    pub fn constant(mut self, name: &str, dims: &[i64], value: impl FnMut() -> f32) -> Self {
        let len = dims.iter().product::<i64>() as usize;
        let values = std::iter::repeat_with(value).take(len).collect();
        self.constants.push(Tensor { dims: dims.to_vec(), element: FLOAT, values, name: name.to_owned() });
        self
    }

    /// The file's bytes.
    pub fn model(mut self) -> Vec<u8> {
        self.name = "test".to_owned();
        Model { ir_version: 8, graph: Some(self), opsets: vec![Opset { version: 17 }] }.encode_to_vec()
    }
}
