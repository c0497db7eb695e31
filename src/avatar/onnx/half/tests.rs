use super::super::build::{Parts, external_tensor, float_tensor, int_tensor, node, value_info};
use super::super::wire::{last_field, messages};
use super::*;

const X: (&str, &[i64]) = ("x", &[-1, 3, 8, 8]);
const Y: (&str, &[i64]) = ("y", &[-1, 3, 16, 16]);

fn upsampler() -> Parts {
    let mut parts = Parts::io(&[X], &[Y]);
    parts.initializers = vec![float_tensor("scales", &[4], 1.0), float_tensor("bias", &[3, 1, 1], 70000.0)];
    parts.nodes = vec![node("Add", &["x", "bias"], &["t"], &[]), node("Resize", &["t", "", "scales"], &["y"], &[])];
    parts.value_infos = vec![value_info("t", 1, &[])];
    parts
}

/// Name and element type of every initializer.
fn initializers(model: &[u8]) -> Vec<(String, i64)> {
    let graph = find_graph(model).unwrap();
    let one = |number, tensor| last_field(tensor, number).unwrap();
    messages(graph, 5)
        .map(Result::unwrap)
        .map(|tensor| (one(8, tensor).unwrap().text().unwrap().to_owned(), one(2, tensor).unwrap().int().unwrap()))
        .collect()
}

fn nodes(model: &[u8]) -> Vec<(String, Vec<String>, Vec<String>)> {
    let graph = find_graph(model).unwrap();
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    messages(graph, 1)
        .map(|node| Node::parse(node?).map(|n| (n.op.to_owned(), owned(&n.inputs), owned(&n.outputs))))
        .collect::<Result<_, _>>()
        .unwrap()
}

fn named(op: &str, inputs: &[&str], outputs: &[&str]) -> (String, Vec<String>, Vec<String>) {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    (op.to_owned(), owned(inputs), owned(outputs))
}

#[test]
fn half_edges_change_types_and_spare_the_scales() {
    let (model, report) = to_half(&upsampler().model(), Edges::Half).unwrap();
    let info = GraphInfo::parse(&model).unwrap();
    assert_eq!(info.inputs[0].element_name(), "float16");
    assert_eq!(info.outputs[0].element_name(), "float16");
    assert_eq!(initializers(&model), [("scales_half_single".to_owned(), F32), ("bias".to_owned(), F16)]);
    let resize = named("Resize", &["t", "", "scales_half_single"], &["y"]);
    assert_eq!(nodes(&model), [named("Add", &["x", "bias"], &["t"]), resize]);
    assert_eq!((report.tensors, report.elements, report.saturated, report.largest), (1, 3, 1, 70000.0));
}

#[test]
fn single_edges_keep_names_and_types_outside() {
    let (model, _) = to_half(&upsampler().model(), Edges::Single).unwrap();
    let before = GraphInfo::parse(&upsampler().model()).unwrap();
    let after = GraphInfo::parse(&model).unwrap();
    assert_eq!((before.inputs, before.outputs), (after.inputs, after.outputs));
    let expected = [
        named("Cast", &["x"], &["x_half"]),
        named("Add", &["x_half", "bias"], &["t"]),
        named("Resize", &["t", "", "scales_half_single"], &["y_half"]),
        named("Cast", &["y_half"], &["y"]),
    ];
    assert_eq!(nodes(&model), expected);
}

#[test]
fn computed_scales_are_cast_back_once_and_shared_ones_exist_twice() {
    let mut parts = Parts::io(&[X], &[("a", &[-1, 3, 8, 8]), ("b", &[-1, 3, 8, 8])]);
    parts.initializers = vec![float_tensor("scales", &[4], 1.0)];
    parts.nodes = vec![
        node("Mul", &["scales", "scales"], &["computed"], &[]),
        node("Resize", &["x", "", "computed"], &["a"], &[]),
        node("Upsample", &["x", "computed"], &["u"], &[]),
        node("Resize", &["u", "scales"], &["b"], &[]),
    ];
    let (model, _) = to_half(&parts.model(), Edges::Half).unwrap();
    assert_eq!(initializers(&model), [("scales_half_single".to_owned(), F32), ("scales".to_owned(), F16)]);
    let expected = [
        named("Mul", &["scales", "scales"], &["computed"]),
        named("Cast", &["computed"], &["computed_half_single"]),
        named("Resize", &["x", "", "computed_half_single"], &["a"]),
        named("Upsample", &["x", "computed_half_single"], &["u"]),
        named("Resize", &["u", "scales_half_single"], &["b"]),
    ];
    assert_eq!(nodes(&model), expected);
}

#[test]
fn integers_stay_and_a_name_in_use_is_not_taken() {
    let mut parts = Parts::io(&[("x_half", &[-1, 8])], &[("y", &[-1, 2, 4])]);
    parts.initializers = vec![int_tensor("shape", &[0, 2, 4])];
    parts.nodes = vec![node("Reshape", &["x_half", "shape"], &["y"], &[])];
    let (model, report) = to_half(&parts.model(), Edges::Single).unwrap();
    assert_eq!(initializers(&model), [("shape".to_owned(), 7)]);
    assert_eq!(nodes(&model)[0], named("Cast", &["x_half"], &["x_half_half_"]));
    assert_eq!(report, HalfReport::default());
}

/// The model with another `ir_version`.
fn of_version(model: &[u8], version: i64) -> Vec<u8> {
    rewrite(model, |field, out| {
        if field.number == 1 {
            put_int(out, 1, version);
        }
        Ok(field.number == 1)
    })
    .unwrap()
}

#[test]
fn initializers_listed_as_inputs_make_no_difference() {
    let mut listed = upsampler();
    let weights: [(&str, &[i64]); 2] = [("scales", &[4]), ("bias", &[3, 1, 1])];
    listed.inputs.extend(Parts::io(&weights, &[]).inputs);
    for edges in [Edges::Single, Edges::Half] {
        let plain = to_half(&upsampler().model(), edges).unwrap();
        assert_eq!(to_half(&listed.model(), edges).unwrap(), plain, "{edges:?}");
        let (old, _) = to_half(&of_version(&listed.model(), 3), edges).unwrap();
        assert_eq!(old, of_version(&plain.0, 4), "{edges:?}: version 3 demands that they are listed");
    }
}

#[test]
fn what_cannot_be_halved_is_named() {
    let refusal = |change: &dyn Fn(&mut Parts)| {
        let mut parts = upsampler();
        change(&mut parts);
        to_half(&parts.model(), Edges::Half).unwrap_err().to_string()
    };
    let external = refusal(&|parts| parts.initializers.push(external_tensor("w", "weights.bin", 0, 16)));
    assert!(external.contains("weights.bin"), "{external}");
    let random = refusal(&|parts| parts.nodes[0] = node("RandomNormalLike", &["x"], &["t"], &[]));
    assert!(random.contains("RandomNormalLike"), "{random}");
    let constant = refusal(&|parts| parts.outputs.push(value_info("bias", 1, &[])));
    assert!(constant.contains("\"bias\""), "{constant}");
}
