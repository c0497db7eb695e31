//! Residuals in the order of values that convolutions work in.
//!
//! ONNX Runtime's CPU provider keeps pictures in blocks of channels from one convolution to the next (its NCHWc transformer), and adds a
//! residual within the convolution before it. A tensor that some other operator made, such as a scale and a shift for each channel, is
//! in plain order: each of the residuals that begin with it is then brought back to plain order and added by itself, and brought to
//! blocks again. A 1x1 maximum, which changes no value, puts the tensor into blocks once for all of them.

use std::collections::{HashMap, HashSet};

use super::error::OnnxError;
use super::node::Node;
use super::patch::rewrite;
use super::tensor::Constant;
use super::value_info::read_value_info;
use super::wire::{fields, last_field, put_bytes, put_int};
use super::write::{self, INTS, attribute};

/// Operators whose results are in blocks whatever they are made of.
const INTO_BLOCKS: [&str; 7] =
    ["Conv", "MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool", "Upsample", "Resize"];

/// Operators whose results are in blocks when all they are made of is.
const WITHIN_BLOCKS: [&str; 10] =
    ["Add", "Sum", "Mul", "Concat", "Relu", "Clip", "LeakyRelu", "Sigmoid", "Tanh", "BatchNormalization"];

/// Channels that blocks are full with: a multiple of the 8 or 16 of any processor.
const BLOCK: i64 = 16;

/// Where the other name of a tensor differs.
const SUFFIX: &str = ".lipsyncd.blocked";

/// What is known of a graph.
struct View<'a> {
    nodes: Vec<Node<'a>>,
    /// Channels that a convolution with these weights takes, where it is an ordinary one of pictures.
    taken: HashMap<&'a str, i64>,
    inputs: Vec<String>,
}

/// The serialised `graph` with such maxima; `None` where none would help.
///
/// # Errors
/// [`OnnxError`] when it is no graph.
pub(super) fn with_blocked_sums(graph: &[u8]) -> Result<Option<Vec<u8>>, OnnxError> {
    let view = View::of(graph)?;
    let moved = view.moved();
    if moved.is_empty() {
        return Ok(None);
    }
    let mut starts: Vec<_> = view.inputs.iter().filter(|input| moved.contains(input.as_str())).collect();
    let out = rewrite(graph, |field, out| {
        if field.number != 1 {
            return Ok(false);
        }
        starts.drain(..).for_each(|input| put_bytes(out, 1, &maximum(input)));
        put_bytes(out, 1, &renamed(field.bytes()?, &moved)?);
        for made in Node::parse(field.bytes()?)?.outputs.iter().filter(|made| moved.contains(*made)) {
            put_bytes(out, 1, &maximum(made));
        }
        Ok(true)
    })?;
    Ok(Some(out))
}

impl<'a> View<'a> {
    fn of(graph: &'a [u8]) -> Result<Self, OnnxError> {
        let mut view = Self { nodes: Vec::new(), taken: HashMap::new(), inputs: Vec::new() };
        for field in fields(graph) {
            let field = field?;
            match field.number {
                1 => view.nodes.push(Node::parse(field.bytes()?)?),
                5 => {
                    let weight = Constant::parse(field.bytes()?)?;
                    if let (Some(name), &[_, taken, _, _], true) =
                        (last_field(field.bytes()?, 8)?, &weight.dims[..], weight.is_whole_f32())
                    {
                        view.taken.insert(name.text()?, taken);
                    }
                }
                11 => view.inputs.push(read_value_info(field.bytes()?)?.name),
                _ => {}
            }
        }
        Ok(view)
    }

    /// Tensors to be put into blocks.
    fn moved(&self) -> HashSet<&str> {
        let helped = self.helped();
        let (mut blocked, mut moved) = (HashSet::new(), HashSet::new());
        moved.extend(self.inputs.iter().map(String::as_str).filter(|input| helped.contains(input)));
        for node in &self.nodes {
            let in_blocks = |name: &&str| blocked.contains(name) || moved.contains(name);
            let stays =
                INTO_BLOCKS.contains(&node.op) || WITHIN_BLOCKS.contains(&node.op) && node.inputs.iter().all(in_blocks);
            if node.is_standard() && stays {
                blocked.extend(node.outputs.iter().copied());
            } else {
                moved.extend(node.outputs.iter().copied().filter(|made| helped.contains(made)));
            }
        }
        moved
    }

    /// Tensors that go into a convolution and, past it, into a sum with what a convolution made.
    fn helped(&self) -> HashSet<&str> {
        let (mut convolved, mut made, mut summed) = (HashSet::new(), HashSet::new(), HashSet::new());
        for node in self.nodes.iter().filter(|node| node.op == "Conv") {
            let taken = node.input(1).and_then(|weight| self.taken.get(weight));
            if taken.is_some_and(|taken| taken % BLOCK == 0) && node.int_or("group", 1) == 1 {
                convolved.extend(node.input(0));
            }
            made.extend(node.outputs.iter().copied());
        }
        for node in self.nodes.iter().filter(|node| node.op == "Add") {
            if let [one, other] = node.inputs[..] {
                summed.extend(made.contains(other).then_some(one));
                summed.extend(made.contains(one).then_some(other));
            }
        }
        convolved.intersection(&summed).copied().collect()
    }
}

/// The `NodeProto` of the 1x1 maximum of `tensor`.
fn maximum(tensor: &str) -> Vec<u8> {
    let shape = attribute("kernel_shape", INTS, |out| (0..2).for_each(|_| put_int(out, 8, 1)));
    write::node(None, "MaxPool", &[tensor], &[&format!("{tensor}{SUFFIX}")], &[shape])
}

/// The `NodeProto` with what is `moved` among its inputs under its other name.
fn renamed(node: &[u8], moved: &HashSet<&str>) -> Result<Vec<u8>, OnnxError> {
    rewrite(node, |field, out| {
        let moves = field.number == 1 && moved.contains(field.text()?);
        if moves {
            put_bytes(out, 1, format!("{}{SUFFIX}", field.text()?).as_bytes());
        }
        Ok(moves)
    })
}

#[cfg(test)]
mod tests {
    use super::super::build::{Parts, float_tensor, node};
    use super::*;

    /// A scale and a shift of what a convolution made, and two residuals behind it.
    fn network(channels: i64) -> Parts {
        let shape = [-1, channels, 8, 8];
        let mut parts = Parts::io(&[("picture", &shape), ("scale", &[-1, channels, 1, 1])], &[("out", &shape)]);
        parts.initializers = vec![float_tensor("w", &[channels, channels, 1, 1], 1.0)];
        parts.nodes = vec![
            node("Conv", &["picture", "w"], &["a"], &[]),
            node("Mul", &["a", "scale"], &["b"], &[]),
            node("Conv", &["b", "w"], &["c"], &[]),
            node("Add", &["c", "b"], &["d"], &[]),
            node("Conv", &["d", "w"], &["e"], &[]),
            node("Add", &["d", "e"], &["out"], &[]),
        ];
        parts
    }

    fn inputs(graph: &[u8]) -> Vec<(String, Vec<String>)> {
        let nodes = View::of(graph).unwrap().nodes;
        nodes
            .iter()
            .map(|node| (node.op.to_owned(), node.inputs.iter().map(|&name| name.to_owned()).collect()))
            .collect()
    }

    #[test]
    fn a_plain_tensor_is_put_into_blocks_once() {
        let graph = with_blocked_sums(&network(32).graph()).unwrap().unwrap();
        let nodes = inputs(&graph);
        let moved = format!("b{SUFFIX}");
        let of =
            |op: &str, names: &[&str]| (op.to_owned(), names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        assert_eq!(nodes[2], of("MaxPool", &["b"]));
        assert_eq!(nodes[3], of("Conv", &[&moved, "w"]));
        assert_eq!(nodes[4], of("Add", &["c", &moved]));
        assert_eq!(nodes[5..], [of("Conv", &["d", "w"]), of("Add", &["d", "e"])], "in blocks already");
    }

    #[test]
    fn where_it_does_not_help_nothing_is_moved() {
        let alone = |parts: &Parts| with_blocked_sums(&parts.graph()).unwrap().is_none();
        assert!(alone(&network(12)), "no full blocks");
        let mut no_sum = network(32);
        no_sum.nodes[3] = node("Relu", &["c"], &["d"], &[]);
        assert!(alone(&no_sum));
        let mut blocked = network(32);
        blocked.nodes[1] = node("Relu", &["a"], &["b"], &[]);
        assert!(alone(&blocked));
    }

    #[test]
    fn an_input_is_moved_before_the_first_node() {
        let mut parts = network(16);
        parts.nodes.push(node("Add", &["picture", "a"], &["more"], &[]));
        let graph = with_blocked_sums(&parts.graph()).unwrap().unwrap();
        assert_eq!(inputs(&graph)[0], ("MaxPool".to_owned(), vec!["picture".to_owned()]));
    }
}
