use super::super::build::{Parts, float_tensor, int_tensor, node};
use super::*;

/// A graph of one input `x` and one output `y`, both of batch 1, around `nodes`.
fn around(x: &[i64], y: &[i64], nodes: &[Vec<u8>], initializers: &[Vec<u8>]) -> Parts {
    let mut parts = Parts::io(&[("x", x)], &[("y", y)]);
    parts.nodes = nodes.to_vec();
    parts.initializers = initializers.to_vec();
    parts
}

/// Whether the batch can be followed through one node from `x` of shape `x` to `y` of shape `y`.
fn follows(op: &str, x: &[i64], y: &[i64], inputs: &[&str], attributes: &[(&str, &[i64])]) -> bool {
    let initializers = [
        float_tensor("scalar", &[], 0.0),
        float_tensor("channels", &[3, 1, 1], 0.0),
        float_tensor("one_row", &[1, 8], 0.0),
        float_tensor("two_rows", &[2, 8], 0.0),
        float_tensor("matrix", &[8, 8], 0.0),
        float_tensor("deep", &[1, 1, 8, 8], 0.0),
        float_tensor("scales_one", &[4], 1.0),
        float_tensor("scales_two", &[4], 2.0),
        float_tensor("nothing", &[0], 0.0),
        int_tensor("axis_0", &[0]),
        int_tensor("axis_1", &[1]),
        int_tensor("axis_last", &[-1]),
        int_tensor("axis_minus_4", &[-4]),
        int_tensor("pads_none", &[0, 0, 1, 1, 0, 0, 1, 1]),
        int_tensor("pads_batch", &[1, 0, 1, 1, 0, 0, 1, 1]),
        int_tensor("to_flat", &[1, -1]),
        int_tensor("to_any", &[-1, 8]),
        int_tensor("to_192", &[1, 192]),
        int_tensor("to_copy", &[0, -1]),
    ];
    let model = around(x, y, &[node(op, inputs, &["y"], attributes)], &initializers).model();
    rebatch(&model).is_ok()
}

#[test]
fn the_rules_let_pass_what_keeps_items_apart() {
    let (square, row): (&[i64], &[i64]) = (&[1, 3, 8, 8], &[1, 8]);
    for (op, x, y, inputs, attributes) in [
        ("Relu", row, row, &["x"][..], &[][..]),
        ("Conv", square, square, &["x", "deep"], &[]),
        ("Add", square, square, &["x", "channels"], &[]),
        ("Add", row, row, &["scalar", "x"], &[]),
        ("Mul", row, row, &["x", "one_row"], &[]),
        ("Sub", row, row, &["x", "x"], &[]),
        ("Concat", square, square, &["x", "x"], &[("axis", &[1][..])]),
        ("Concat", square, square, &["x", "x"], &[("axis", &[-1])]),
        ("Flatten", square, &[1, 192], &["x"], &[]),
        ("Gemm", row, row, &["x", "matrix", "one_row"], &[("transB", &[1])]),
        ("MatMul", row, row, &["x", "matrix"], &[]),
        ("Transpose", square, square, &["x"], &[("perm", &[0, 2, 3, 1])]),
        ("Softmax", row, row, &["x"], &[]),
        ("Squeeze", &[1, 1, 8], row, &["x", "axis_1"], &[]),
        ("Unsqueeze", row, &[1, 1, 8], &["x", "axis_1"], &[]),
        ("ReduceMean", square, square, &["x"], &[("axes", &[2, 3])]),
        ("ReduceMean", square, &[1, 3, 8], &["x", "axis_last"], &[("keepdims", &[0])]),
        ("Pad", square, square, &["x", "pads_none"], &[]),
        ("Resize", square, square, &["x", "", "scales_one"], &[]),
        ("Resize", square, square, &["x", "nothing", "scales_one"], &[]),
        ("Upsample", square, square, &["x", "scales_one"], &[]),
        ("Slice", square, square, &["x", "axis_0", "axis_1", "axis_last"], &[]),
        ("Reshape", square, &[1, 192], &["x", "to_flat"], &[]),
        ("Reshape", square, &[1, 192], &["x", "to_copy"], &[]),
        ("Reshape", square, &[1, 192], &["x", "to_192"], &[("allowzero", &[1])]),
    ] {
        assert!(follows(op, x, y, inputs, attributes), "{op} {inputs:?} {attributes:?}");
    }
}

#[test]
fn the_rules_stop_what_might_mix_items() {
    let (square, row): (&[i64], &[i64]) = (&[1, 3, 8, 8], &[1, 8]);
    for (op, x, y, inputs, attributes) in [
        ("NonMaxSuppression", row, row, &["x"][..], &[][..]),
        ("Relu", row, row, &["scalar"], &[]),
        ("Conv", square, square, &["x", "x"], &[]),
        ("Conv", row, row, &["x", "deep"], &[]),
        ("BatchNormalization", square, square, &["x", "scalar"], &[("training_mode", &[1][..])]),
        ("Add", row, row, &["x", "two_rows"], &[]),
        ("Add", row, &[1, 1, 8, 8], &["x", "deep"], &[]),
        ("Concat", square, square, &["x", "x"], &[("axis", &[0])]),
        ("Concat", square, square, &["x", "x"], &[("axis", &[-4])]),
        ("Concat", square, square, &["x", "deep"], &[("axis", &[1])]),
        ("Concat", square, square, &["x", "x"], &[]),
        ("Flatten", square, &[1, 192], &["x"], &[("axis", &[2])]),
        ("Gemm", row, row, &["x", "matrix"], &[("transA", &[1])]),
        ("Gemm", row, row, &["x", "matrix", "two_rows"], &[]),
        ("MatMul", row, row, &["x", "x"], &[]),
        ("MatMul", row, row, &["matrix", "x"], &[]),
        ("Transpose", row, row, &["x"], &[("perm", &[1, 0])]),
        ("Transpose", row, row, &["x"], &[]),
        ("Softmax", row, row, &["x"], &[("axis", &[0])]),
        ("Squeeze", &[1, 1, 8], row, &["x", "axis_0"], &[]),
        ("Squeeze", &[1, 1, 8], row, &["x"], &[]),
        ("Unsqueeze", row, &[1, 1, 8], &["x", "axis_0"], &[]),
        ("ReduceMean", square, square, &["x"], &[]),
        ("ReduceMean", square, square, &["x", "axis_minus_4"], &[]),
        ("Pad", square, square, &["x", "pads_batch"], &[]),
        ("Resize", square, square, &["x", "", "scales_two"], &[]),
        ("Resize", square, square, &["x", "", "", "to_flat"], &[]),
        ("Slice", square, square, &["x", "axis_0", "axis_1", "axis_0"], &[]),
        ("Slice", square, square, &["x", "axis_0", "axis_1"], &[]),
        ("Split", square, square, &["x"], &[]),
        ("Reshape", square, &[24, 8], &["x", "to_any"], &[]),
        ("Reshape", square, &[1, 192], &["x", "to_flat"], &[("allowzero", &[1])]),
        ("Reshape", square, &[1, 192], &["x", "to_copy"], &[("allowzero", &[1])]),
        ("Reshape", square, &[1, 192], &["x", "absent"], &[]),
    ] {
        assert!(!follows(op, x, y, inputs, attributes), "{op} {inputs:?} {attributes:?}");
    }
}

fn refusal(parts: &Parts) -> String {
    rebatch(&parts.model()).unwrap_err().to_string()
}

#[test]
fn refusals_name_their_reason() {
    let relu = [node("Relu", &["x"], &["y"], &[])];
    assert_eq!(refusal(&around(&[-1, 8], &[-1, 8], &relu, &[])), "\"x\" is [N, 8]: its batch is not fixed to 1");
    assert_eq!(refusal(&around(&[2, 8], &[2, 8], &relu, &[])), "\"x\" is [2, 8]: its batch is not fixed to 1");
    assert_eq!(refusal(&around(&[1, -1], &[1, -1], &relu, &[])), "another dimension is already called N");
    assert_eq!(
        refusal(&around(&[1, 8], &[1, 8], &[node("Shape", &["x"], &["y"], &[])], &[])),
        "the batch cannot be followed through an operator \"Shape\""
    );
    assert_eq!(
        refusal(&around(&[1, 8], &[1, 8, 1], &relu, &[])),
        "output \"y\" does not keep the batch as its first dimension"
    );
    let twice = [node("Relu", &["x"], &["y"], &[]), node("Relu", &["x"], &["y"], &[])];
    assert_eq!(refusal(&around(&[1, 8], &[1, 8], &twice, &[])), "tensor \"y\" is made twice");
}

#[test]
fn a_shape_used_for_more_than_reshapes_is_left_alone() {
    let nodes = [node("Reshape", &["x", "s"], &["a"], &[]), node("Unsqueeze", &["a", "s"], &["y"], &[])];
    let parts = around(&[1, 1], &[1, 1], &nodes, &[int_tensor("s", &[1])]);
    assert_eq!(refusal(&parts), "the shape \"s\" is used by more than reshapes");
    // A copy through Identity has no bytes to patch.
    let nodes = [node("Identity", &["s"], &["t"], &[]), node("Reshape", &["x", "t"], &["y"], &[])];
    let parts = around(&[1, 8], &[1, 8], &nodes, &[int_tensor("s", &[1, 8])]);
    assert_eq!(refusal(&parts), "the batch cannot be followed through an operator \"Reshape\"");
}

#[test]
fn only_the_batch_changes() {
    let shape = |batch| vec![node("Reshape", &["x", "s"], &["y"], &[]), int_tensor("s", &[batch, 4, 2])];
    let [before, after] = [1, -1].map(|batch| {
        let mut parts = Parts::io(&[("x", &[batch, 8])], &[("y", &[batch, 4, 2])]);
        let [node, tensor] = shape(batch).try_into().unwrap();
        parts.nodes.push(node);
        parts.initializers.push(tensor);
        parts
    });
    let mut with_infos = before.clone();
    with_infos.value_infos = Parts::io(&[("hidden", &[1, 9])], &[]).inputs;
    assert_eq!(rebatch(&before.model()).unwrap(), after.model());
    assert_eq!(rebatch(&with_infos.model()).unwrap(), after.model());
}
