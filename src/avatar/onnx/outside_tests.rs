use super::super::build::{Parts, external_tensor, float_tensor, node};
use super::super::{GraphInfo, Network};
use super::*;

/// A file of float32 numbers that count, which only `weights.bin` is.
fn file(outside: Outside<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    if outside.location != "weights.bin" {
        return Err(io::ErrorKind::NotFound.into());
    }
    let file: Vec<u8> = (0..64).flat_map(|value| (value as f32).to_le_bytes()).collect();
    let start = outside.offset as usize;
    out.extend_from_slice(&file[start..(start + outside.bytes).min(file.len())]);
    Ok(())
}

fn filled(model: &[u8]) -> Result<Option<Vec<u8>>, OnnxError> {
    with_weights(model, &mut file)
}

/// A message with `inner` in its field `number`.
fn around(number: u32, inner: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    put_bytes(&mut message, number, inner);
    message
}

#[test]
fn what_was_in_another_file_is_inside_and_the_rest_as_it_was() {
    let mut parts = Parts::io(&[("x", &[-1, 4])], &[("y", &[-1, 4])]);
    parts.initializers = vec![
        float_tensor("first", &[2], 7.0),
        external_tensor("w", "weights.bin", 8, 16),
        float_tensor("last", &[2], 9.0),
    ];
    parts.nodes = vec![node("Add", &["x", "w"], &["y"], &[])];
    let model = parts.model();
    let whole = filled(&model).unwrap().unwrap();
    let (before, after) = (GraphInfo::parse(&model).unwrap(), GraphInfo::parse(&whole).unwrap());
    assert_eq!((before.inputs, before.outputs, before.opset), (after.inputs, after.outputs, after.opset));
    assert!(after.external.is_empty());
    let network = Network::parse(&whole).unwrap();
    assert_eq!(network.constants["w"].floats().unwrap().unwrap(), [2.0, 3.0, 4.0, 5.0]);
    assert_eq!(network.constants["first"].first_f32(), Some(7.0));
    assert_eq!(network.constants["last"].first_f32(), Some(9.0));
    assert!(filled(&whole).unwrap().is_none(), "there is nothing left to do");
}

#[test]
fn tensors_in_nodes_branches_functions_and_sparse_ones_are_filled_too() {
    let tensor = external_tensor("w", "weights.bin", 0, 16);
    let in_node = |attribute: Vec<u8>| around(5, &attribute);
    let constant = in_node(around(5, &tensor));
    let branch = in_node(around(6, &around(5, &tensor)));
    for (model, place) in [
        (around(7, &around(1, &constant)), "a constant"),
        (around(7, &around(1, &branch)), "a branch"),
        (around(7, &around(1, &in_node(around(11, &around(1, &constant))))), "a list of graphs"),
        (around(7, &around(1, &in_node(around(10, &tensor)))), "a list of tensors"),
        (around(7, &around(15, &around(1, &tensor))), "a sparse tensor"),
        (around(25, &around(7, &constant)), "a function"),
    ] {
        let whole = filled(&model).unwrap().expect(place);
        assert!(!whole.windows(11).any(|part| part == b"weights.bin"), "{place}");
        assert!(whole.len() > model.len() - tensor.len(), "{place}");
    }
}

#[test]
fn a_tensor_that_does_not_say_how_long_it_is_is_as_long_as_its_dimensions() {
    let mut tensor = external_tensor("w", "weights.bin", 4, 12);
    tensor = super::super::patch::rewrite(&tensor, |field, _| {
        Ok(field.number == 13 && field.bytes()?.windows(6).any(|key| key == b"length"))
    })
    .unwrap();
    let model = around(7, &around(5, &tensor));
    let whole = filled(&model).unwrap().unwrap();
    let constant = &Network::parse(&whole).unwrap().constants["w"];
    assert_eq!(constant.floats().unwrap().unwrap(), [1.0, 2.0, 3.0]);
}

#[test]
fn files_that_are_missing_short_or_beyond_all_bounds_are_refused() {
    let refused = |tensor: &[u8]| filled(&around(7, &around(5, tensor))).unwrap_err();
    let missing = refused(&external_tensor("w", "other.bin", 0, 16)).to_string();
    assert!(missing.contains("other.bin"), "{missing}");
    assert!(matches!(refused(&external_tensor("w", "weights.bin", 248, 16)), OnnxError::Weights { .. }));
    assert!(matches!(refused(&external_tensor("w", "weights.bin", 0, 3 << 30)), OnnxError::TooLarge { .. }));
}
