use proptest::prelude::*;

use super::super::build::{D, Parts, external_tensor, float_tensor, node, value_info};
use super::super::rebatch::rebatch;
use super::super::role::{recognise_encoder, recognise_generator};
use super::super::value_info::Dim;
use super::super::wire::put_bytes;
use super::*;

const ENCODER: &[u8] = include_bytes!("../../../tests/golden/onnx/encoder_one.onnx");
const GENERATOR: &[u8] = include_bytes!("../../../tests/golden/onnx/generator_one.onnx");

fn message(bytes: &[u8]) -> String {
    GraphInfo::parse(bytes).unwrap_err().to_string()
}

#[test]
fn reads_inputs_outputs_and_opset() {
    let mut parts = Parts::io(&[("x", &[-1, 6])], &[("y", &[1, 3])]);
    parts.inputs.push(value_info("half", 10, &[D::Open, D::Size(0), D::Size(-7), D::Name("T")]));
    let info = GraphInfo::parse(&parts.model()).unwrap();
    assert_eq!(info.opset, Some(17));
    assert_eq!(info.inputs[0].dims, Some(vec![Dim::Symbol("N".to_owned()), Dim::Fixed(6)]));
    assert_eq!(info.inputs[1].to_string(), "[?, ?, ?, T]");
    assert_eq!(info.inputs[1].element_name(), "float16");
    assert_eq!(info.outputs[0].to_string(), "[1, 3]");
}

#[test]
fn initializers_listed_as_inputs_are_not_inputs() {
    let mut parts = Parts::io(&[("weights", &[4]), ("x", &[1, 6])], &[]);
    parts.initializers.push(float_tensor("weights", &[4], 0.0));
    let names: Vec<_> = GraphInfo::parse(&parts.model()).unwrap().inputs.into_iter().map(|input| input.name).collect();
    assert_eq!(names, ["x"]);
}

#[test]
fn external_data_is_listed_by_file_with_its_least_length() {
    let mut parts = Parts::io(&[("x", &[1, 6])], &[]);
    parts.initializers.push(external_tensor("a", "w.data", 0, 400));
    parts.initializers.push(external_tensor("b", "w.data", 400, 80));
    let mut attribute = Vec::new();
    put_bytes(&mut attribute, 5, &external_tensor("", "c.data", 8, u64::MAX));
    let mut constant = node("Constant", &[], &["c"], &[]);
    put_bytes(&mut constant, 5, &attribute);
    parts.nodes.push(constant);
    let external = GraphInfo::parse(&parts.model()).unwrap().external;
    let expected = [("c.data", u64::MAX), ("w.data", 480)];
    assert_eq!(external.len(), expected.len());
    for (data, (location, min_bytes)) in external.iter().zip(expected) {
        assert_eq!((data.location.as_str(), data.min_bytes), (location, min_bytes));
    }
}

/// A node with one attribute, whose fields are `parts`.
fn node_with(parts: &[(u32, &[u8])]) -> Vec<u8> {
    let mut attribute = Vec::new();
    parts.iter().for_each(|(number, part)| put_bytes(&mut attribute, *number, part));
    let mut node = node("If", &[], &["c"], &[]);
    put_bytes(&mut node, 5, &attribute);
    node
}

#[test]
fn external_data_is_found_wherever_a_tensor_may_stand() {
    let tensor = |name: &str| external_tensor("", name, 0, 4);
    let sparse = |name: &str| {
        let mut sparse = Vec::new();
        put_bytes(&mut sparse, 1, &tensor(name));
        sparse
    };
    let mut parts = Parts::io(&[("x", &[1, 6])], &[]);
    let inner = Parts { nodes: vec![node_with(&[(10, &tensor("b"))])], ..Parts::default() };
    let branch = Parts { initializers: vec![tensor("a")], nodes: vec![node_with(&[(11, &inner.graph())])], ..inner };
    parts.nodes.push(node_with(&[(6, &branch.graph())]));
    parts.nodes.push(node_with(&[(22, &sparse("c")), (23, &sparse("d"))]));
    // Both become one tensor.
    parts.nodes.push(node_with(&[(5, &tensor("e")), (5, &[])]));
    let mut apart = tensor("f");
    assert_eq!(apart.split_off(apart.len() - 2), [14 << 3, 1]);
    parts.nodes.push(node_with(&[(5, &apart), (5, &[14 << 3, 1])]));
    let mut graph = parts.graph();
    put_bytes(&mut graph, 15, &sparse("g"));
    let (mut model, mut function) = (Vec::new(), Vec::new());
    put_bytes(&mut function, 7, &node_with(&[(5, &tensor("h"))]));
    put_bytes(&mut model, 7, &graph);
    put_bytes(&mut model, 25, &function);
    let external = GraphInfo::parse(&model).unwrap().external;
    let locations: Vec<_> = external.iter().map(|data| &*data.location).collect();
    // The tensor that stands twice lies at one place and, as its second half alone has it, at none, which is refused later.
    assert_eq!(locations, ["", "a", "b", "c", "d", "e", "f", "g", "h"]);
}

#[test]
fn graphs_within_graphs_end_somewhere() {
    let nested = |depth| {
        let within = |graph: Vec<u8>, _| Parts { nodes: vec![node_with(&[(6, &graph)])], ..Parts::default() }.graph();
        let mut model = Vec::new();
        put_bytes(&mut model, 7, &(0..depth).fold(Vec::new(), within));
        GraphInfo::parse(&model)
    };
    assert!(nested(40).is_ok());
    assert!(nested(41).unwrap_err().to_string().contains("more than 40 deep"));
}

#[test]
fn what_is_no_network_is_said_plainly() {
    assert_eq!(message(b""), "it is empty");
    assert_eq!(message(b"<!DOCTYPE html>\n<html>"), "this is text, not an ONNX file");
    assert_eq!(message("größe\n".as_bytes()), "this is text, not an ONNX file");
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 48000000\n";
    assert_eq!(message(pointer), "it is a Git LFS pointer, not the network itself");
    // ir_version alone is a valid message, without a graph.
    assert_eq!(message(b"\x08\x08"), "it has no graph");
    assert_eq!(message(b"\x3A\x00\x3A\x00"), "it has more than one graph");
    assert!(message(&[0xFF; 64]).starts_with("it is no ONNX file, or damaged"));
    assert_eq!(message(b"PK\x03\x04\x00\x00\x00\x00"), "it is no ONNX file, or damaged: 3 starts no field");
}

#[test]
fn a_cut_file_is_cut_short_wherever_the_cut_is_in_the_graph() {
    for len in [20, 200, ENCODER.len() / 2, ENCODER.len() - 10] {
        assert_eq!(message(&ENCODER[..len]), "it is cut short or damaged: a field is longer than what holds it");
    }
}

#[test]
fn nested_garbage_is_an_error_not_a_recursion() {
    let mut bytes = Vec::new();
    for _ in 0..2000 {
        let inner = std::mem::take(&mut bytes);
        put_bytes(&mut bytes, 7, &inner);
    }
    assert_eq!(GraphInfo::parse(&bytes).unwrap(), GraphInfo::default());
}

proptest! {
    #[test]
    fn damaged_networks_never_panic(
        generator: bool,
        cut: prop::sample::Index,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        // Most of the encoder is weights; damage in its first and last kilobyte reaches the structure.
        let mut bytes = if generator { GENERATOR.to_vec() } else { ENCODER.to_vec() };
        let len = bytes.len();
        for (index, byte) in edits {
            let at = index.index(2048);
            bytes[if at < 1024 { at } else { len - 2048 + at }] = byte;
        }
        for bytes in [&bytes[..], &bytes[..cut.index(len)]] {
            if let Ok(info) = GraphInfo::parse(bytes) {
                let _ = recognise_generator(&info, 32, 16);
                let _ = recognise_encoder(&info, 80);
            }
            // What was rewritten must itself be a network.
            if let Ok(rewritten) = rebatch(bytes) {
                prop_assert!(GraphInfo::parse(&rewritten).is_ok());
            }
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = GraphInfo::parse(&bytes);
        let _ = rebatch(&bytes);
    }
}
