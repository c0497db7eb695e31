//! Pixel shuffles as transposed convolutions with weights of one and zero, which ONNX Runtime's CPU provider does in a quarter of the
//! time: it moves the values of `DepthToSpace` one by one. Each result is one value times one and others times zero: the same bits, but
//! that a zero has no sign.

use std::collections::HashMap;

use super::error::OnnxError;
use super::node::Node;
use super::patch::rewrite;
use super::tensor::{Constant, F32};
use super::wire::{last_field, messages, put_bytes, put_int};
use super::write::{self, INT, INTS, attribute};

/// Larger blocks are no pixel shuffles.
const MAX_BLOCK: i64 = 8;
/// More than generators have, and few enough that a small file cannot ask for much memory: 64 weights of 1 MiB.
const MAX_CHANNELS: i64 = 4096;
const MAX_SHUFFLES: usize = 64;

/// A `DepthToSpace` of PyTorch's order ("CRD") behind a convolution.
struct Shuffle {
    /// Channels that go in; a multiple of the block's pixels.
    channels: i64,
    /// Pixels a side of a block.
    block: i64,
}

/// The serialised `graph` with such convolutions; `None` where it has no pixel shuffle of float32 behind a convolution.
///
/// # Errors
/// [`OnnxError`] when it is no graph.
pub(super) fn without_shuffles(graph: &[u8]) -> Result<Option<Vec<u8>>, OnnxError> {
    let channels = made_channels(graph)?;
    let mut kernels = Vec::new();
    let mut out = rewrite(graph, |field, out| {
        if field.number != 1 {
            return Ok(false);
        }
        let node = Node::parse(field.bytes()?)?;
        let shuffle = Shuffle::of(&node, &channels).filter(|_| kernels.len() < MAX_SHUFFLES);
        let Some(shuffle) = shuffle else { return Ok(false) };
        let name = format!("lipsyncd.shuffle.{}", kernels.len());
        put_bytes(out, 1, &shuffle.node(&node, &name));
        kernels.push(shuffle.kernel(&name));
        Ok(true)
    })?;
    if kernels.is_empty() {
        return Ok(None);
    }
    kernels.iter().for_each(|kernel| put_bytes(&mut out, 5, kernel));
    Ok(Some(out))
}

/// The channels of what convolutions with weights of float32 make, by its name. Nobody has checked the file: dimensions count only
/// where the values are there too.
fn made_channels(graph: &[u8]) -> Result<HashMap<&str, i64>, OnnxError> {
    let mut counts = HashMap::new();
    for tensor in messages(graph, 5) {
        let tensor = tensor?;
        let weight = Constant::parse(tensor)?;
        if let (Some(name), Some(&count), true) = (last_field(tensor, 8)?, weight.dims.first(), weight.is_whole_f32()) {
            counts.insert(name.text()?, count);
        }
    }
    let mut made = HashMap::new();
    for node in messages(graph, 1) {
        let node = Node::parse(node?)?;
        let count = node.input(1).filter(|_| node.op == "Conv").and_then(|weight| counts.get(weight));
        made.extend(node.outputs.first().copied().zip(count.copied()));
    }
    Ok(made)
}

impl Shuffle {
    /// What `node` shuffles; `channels` has what convolutions make.
    fn of(node: &Node<'_>, channels: &HashMap<&str, i64>) -> Option<Self> {
        let crd = node.op == "DepthToSpace" && node.is_standard() && node.text_or("mode", "DCR") == "CRD";
        let block = node.int_or("blocksize", 0);
        let channels = *channels.get(node.input(0)?)?;
        let known = (2..=MAX_BLOCK).contains(&block) && (1..=MAX_CHANNELS).contains(&channels);
        let fits = known && channels % (block * block) == 0;
        (crd && fits).then_some(Self { channels, block })
    }

    /// The `NodeProto` in place of `node`.
    fn node(&self, node: &Node<'_>, kernel: &str) -> Vec<u8> {
        let groups = self.channels / (self.block * self.block);
        let group = attribute("group", INT, |out| put_int(out, 3, groups));
        let pair = |name| attribute(name, INTS, |out| (0..2).for_each(|_| put_int(out, 8, self.block)));
        let attributes = [group, pair("kernel_shape"), pair("strides")];
        write::node(None, "ConvTranspose", &[node.inputs[0], kernel], &node.outputs, &attributes)
    }

    /// Its weights `[channels, 1, block, block]`, a `TensorProto`: channel `k` goes to pixel `k` of its group's block.
    fn kernel(&self, name: &str) -> Vec<u8> {
        let mut message = Vec::new();
        [self.channels, 1, self.block, self.block].iter().for_each(|&dim| put_int(&mut message, 1, dim));
        put_int(&mut message, 2, F32);
        put_bytes(&mut message, 8, name.as_bytes());
        let pixels = self.block * self.block;
        let value = |i: i64| f32::from(u8::from(i / pixels % pixels == i % pixels));
        let values: Vec<u8> = (0..self.channels * pixels).flat_map(|i| value(i).to_le_bytes()).collect();
        put_bytes(&mut message, 9, &values);
        message
    }
}

#[cfg(test)]
mod tests {
    use super::super::build::{Parts, float_tensor, node};
    use super::super::{Network, quicker};
    use super::*;

    /// A convolution to `channels`, then what `shuffle` is.
    fn network(channels: i64, shuffle: Vec<u8>) -> Parts {
        let mut parts = Parts::io(&[("picture", &[-1, 6, 8, 8])], &[("out", &[-1, 4, 16, 16])]);
        parts.initializers = vec![float_tensor("w", &[channels, 6, 1, 1], 1.0)];
        parts.nodes = vec![node("Conv", &["picture", "w"], &["a"], &[]), shuffle];
        parts
    }

    fn shuffle(block: i64, mode: &str) -> Vec<u8> {
        let mut message = node("DepthToSpace", &["a"], &["out"], &[("blocksize", &[block])]);
        put_bytes(&mut message, 5, &attribute("mode", 3, |out| put_bytes(out, 4, mode.as_bytes())));
        message
    }

    #[test]
    fn each_channel_goes_to_its_pixel() {
        let model = quicker(&network(8, shuffle(2, "CRD")).model()).unwrap().unwrap();
        let network = Network::parse(&model).unwrap();
        let last = &network.nodes[1];
        assert_eq!((last.op, &last.outputs[..]), ("ConvTranspose", &["out"][..]));
        assert_eq!(
            (last.int_or("group", 0), last.ints("strides"), last.ints("kernel_shape")),
            (2, Some(&[2, 2][..]), Some(&[2, 2][..]))
        );
        let kernel = &network.constants[last.inputs[1]];
        assert_eq!(kernel.dims, [8, 1, 2, 2]);
        let values = kernel.floats().unwrap().unwrap();
        for (i, value) in values.into_iter().enumerate() {
            let (channel, pixel) = (i / 4, i % 4);
            assert_eq!(value, if channel % 4 == pixel { 1.0 } else { 0.0 }, "{i}");
        }
    }

    #[test]
    fn other_networks_are_left_alone() {
        let alone = |parts: &Parts| without_shuffles(&parts.graph()).unwrap().is_none();
        assert!(alone(&network(8, shuffle(2, "DCR"))), "another order of channels");
        assert!(alone(&network(9, shuffle(2, "CRD"))), "no runtime would take it");
        assert!(alone(&network(8, shuffle(0, "CRD"))));
        assert!(alone(&network(8, node("Relu", &["a"], &["out"], &[]))));
        let mut unknown = network(8, shuffle(2, "CRD"));
        unknown.initializers.clear();
        assert!(alone(&unknown), "nobody knows how many channels it has");
    }

    /// A weight that says `dims` and has so many values.
    fn damaged_weight(dims: &[i64], values: usize) -> Vec<u8> {
        let mut tensor = Vec::new();
        dims.iter().for_each(|&dim| put_int(&mut tensor, 1, dim));
        put_int(&mut tensor, 2, F32);
        put_bytes(&mut tensor, 8, b"w");
        put_bytes(&mut tensor, 9, &vec![0; 4 * values]);
        tensor
    }

    #[test]
    fn a_weight_that_says_more_than_it_holds_costs_no_memory() {
        for dims in [[1 << 40, 1, 1, 1], [1 << 40, 0, 1, 1], [i64::MAX, 4, 1, 1], [8, 6, 1, 2]] {
            let mut parts = network(8, shuffle(2, "CRD"));
            for values in [0, 1, 48] {
                parts.initializers = vec![damaged_weight(&dims, values)];
                assert!(quicker(&parts.model()).unwrap().is_none(), "{dims:?} with {values} values");
            }
        }
        let mut parts = network(8, shuffle(2, "CRD"));
        parts.initializers = vec![damaged_weight(&[8, 6, 1, 1], 48)];
        assert!(quicker(&parts.model()).unwrap().is_some(), "all it says is there");
    }

    #[test]
    fn no_network_gets_more_than_a_bounded_number_of_weights() {
        let mut parts = network(8192, shuffle(2, "CRD"));
        assert!(quicker(&parts.model()).unwrap().is_none(), "no generator has as many channels");
        parts = network(8, shuffle(2, "CRD"));
        parts.nodes.extend(std::iter::repeat_n(shuffle(2, "CRD"), 100));
        let model = quicker(&parts.model()).unwrap().unwrap();
        let made = Network::parse(&model).unwrap().nodes.iter().filter(|node| node.op == "ConvTranspose").count();
        assert_eq!(made, MAX_SHUFFLES);
    }
}
