//! What is cut where.

use super::super::build::{Parts, float_tensor, node};
use super::super::view::GraphInfo;
use super::super::wire::put_bytes;
use super::super::{Network, OnnxError};
use super::{Halves, split};

/// Two convolutions see the picture, one hears the sound, and they meet twice.
fn network() -> Parts {
    let mut parts = Parts::io(&[("picture", &[-1, 6, 8, 8]), ("sound", &[-1, 4, 8, 8])], &[("out", &[-1, 4, 8, 8])]);
    for name in ["w1", "w2", "w3"] {
        parts.initializers.push(float_tensor(name, &[4, 4, 1, 1], 1.0));
    }
    parts.nodes = vec![
        node("Conv", &["picture", "w1"], &["a"], &[]),
        node("Conv", &["sound", "w2"], &["s"], &[]),
        node("Conv", &["a", "w3"], &["b"], &[]),
        node("Concat", &["b", "s"], &["c"], &[("axis", &[1])]),
        node("Add", &["c", "a"], &["out"], &[]),
    ];
    parts
}

fn cut<T>(parts: &Parts, see: impl FnOnce(Option<Halves<'_>>) -> T) -> T {
    let model = parts.model();
    see(split(&model, "picture").unwrap())
}

/// Names of inputs and outputs, operators and weights of a half.
fn face(model: &[u8]) -> [Vec<String>; 4] {
    let info = GraphInfo::parse(model).unwrap();
    let network = Network::parse(model).unwrap();
    let mut weights: Vec<_> = network.constants.keys().map(|&name| name.to_owned()).collect();
    weights.sort();
    let names = |tensors: &[super::super::TensorInfo]| tensors.iter().map(|tensor| tensor.name.clone()).collect();
    let nodes = network.nodes.iter().map(|node| node.outputs[0].to_owned()).collect();
    [names(&info.inputs), names(&info.outputs), nodes, weights]
}

#[test]
fn each_half_has_its_nodes_and_weights_and_the_seams_between() {
    let model = network().model();
    let halves = split(&model, "picture").unwrap().unwrap();
    assert_eq!(halves.seams, ["b", "a"]);
    let [inputs, outputs, nodes, weights] = face(&halves.seeing().unwrap());
    assert_eq!((inputs, outputs), (vec!["picture".to_owned()], vec!["b".to_owned(), "a".to_owned()]));
    assert_eq!((nodes, weights), (vec!["a".to_owned(), "b".to_owned()], vec!["w1".to_owned(), "w3".to_owned()]));
    let shape = vec![1, 4, 8, 8];
    let hearing = halves.hearing(&[shape.clone(), shape]).unwrap();
    let [inputs, outputs, nodes, weights] = face(&hearing);
    assert_eq!((inputs, outputs), (["sound", "b", "a"].map(str::to_owned).to_vec(), vec!["out".to_owned()]));
    assert_eq!((nodes, weights), (["s", "c", "out"].map(str::to_owned).to_vec(), vec!["w2".to_owned()]));
    let seam = GraphInfo::parse(&hearing).unwrap().inputs.swap_remove(1);
    assert_eq!(seam.to_string(), "[1, 4, 8, 8]");
}

#[test]
fn a_picture_that_both_halves_see_is_an_input_of_both() {
    let mut parts = network();
    parts.nodes[4] = node("Add", &["c", "picture"], &["out"], &[]);
    cut(&parts, |halves| {
        let halves = halves.unwrap();
        assert_eq!((&halves.seams[..], halves.both_see), (&["b"][..], true));
        let [inputs, ..] = face(&halves.hearing(&[vec![1, 4, 8, 8]]).unwrap());
        assert_eq!(inputs, ["picture", "sound", "b"]);
    });
}

#[test]
fn operators_of_the_runtimes_optimisers_are_known_and_others_are_not() {
    for (domain, known) in [("com.microsoft.nchwc", true), ("com.microsoft", true), ("com.example", false)] {
        let mut parts = network();
        put_bytes(&mut parts.nodes[0], 7, domain.as_bytes());
        assert_eq!(cut(&parts, |halves| halves.is_some()), known, "{domain}");
    }
}

#[test]
fn what_cannot_be_cut_is_left_whole() {
    let mut nothing_alone = network();
    nothing_alone.nodes[0] = node("Concat", &["picture", "sound"], &["a"], &[("axis", &[1])]);
    let mut graph_inside = network();
    graph_inside.nodes[2] = node("If", &["a", "w3"], &["b"], &[]);
    let mut seen_output = network();
    seen_output.outputs.push(super::super::build::value_info("b", 1, &[]));
    for parts in [nothing_alone, graph_inside, seen_output] {
        assert!(cut(&parts, |halves| halves.is_none()));
    }
    assert!(matches!(split(b"PK", "picture"), Err(OnnxError::Truncated | OnnxError::NoGraph | OnnxError::Text)));
}
