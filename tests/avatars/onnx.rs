//! Networks as the `onnx` package writes them: roles, and the rewritten batch that ONNX Runtime was
//! verified to run (see `tests/golden/onnx/README.md`).

use std::fs;
use std::path::{Path, PathBuf};

use lipsyncd::avatar::onnx::{Batch, read_graph, rebatch, recognise_encoder, recognise_generator};

const REBATCHED: [&str; 2] = ["generator", "encoder"];

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/onnx").join(name)
}

#[test]
fn generators_are_recognised_whatever_their_names_and_order() {
    let one = recognise_generator(&read_graph(&golden("generator_one.onnx")).unwrap(), 32, 16).unwrap();
    assert_eq!((one.picture.name.as_str(), one.picture.index), ("input", 0));
    assert_eq!((one.audio.name.as_str(), one.audio.index), ("audio", 1));
    assert_eq!((one.audio_dims, one.batch), ([32, 16, 16], Batch::One));
    let graph = read_graph(&golden("generator_dynamic.onnx")).unwrap();
    let dynamic = recognise_generator(&graph, 32, 16).unwrap();
    assert_eq!((dynamic.picture.name.as_str(), dynamic.picture.index), ("visual_input", 1));
    assert_eq!((dynamic.audio.name.as_str(), dynamic.audio.index), ("audio_input", 0));
    assert_eq!((dynamic.batch, graph.opset), (Batch::Dynamic, Some(17)));
}

#[test]
fn encoders_are_recognised_with_weights_inside_or_outside() {
    for (name, batch, files) in [
        ("encoder_one.onnx", Batch::One, &[][..]),
        ("encoder_dynamic.onnx", Batch::Dynamic, &[]),
        ("encoder_external.onnx", Batch::One, &["encoder_external.data"]),
    ] {
        let graph = read_graph(&golden(name)).unwrap();
        assert_eq!(recognise_encoder(&graph, 80).unwrap().batch, batch, "{name}");
        let external: Vec<_> = graph.external.iter().map(|data| data.location.as_str()).collect();
        assert_eq!(external, files, "{name}");
    }
}

#[test]
fn the_external_weights_reach_to_the_files_end() {
    let graph = read_graph(&golden("encoder_external.onnx")).unwrap();
    let bytes = fs::metadata(golden("encoder_external.data")).unwrap().len();
    assert!(graph.external[0].min_bytes <= bytes && graph.external[0].min_bytes > bytes / 2);
}

#[test]
fn rewritten_networks_are_those_that_were_verified() {
    for name in REBATCHED {
        let rewritten = rebatch(&fs::read(golden(&format!("{name}_one.onnx"))).unwrap()).unwrap();
        assert!(rewritten == fs::read(golden(&format!("{name}_rebatched.onnx"))).unwrap(), "{name}");
    }
    let external = rebatch(&fs::read(golden("encoder_external.onnx")).unwrap());
    assert!(external.is_ok(), "weights in another file are not looked at: {external:?}");
}

#[test]
fn rewritten_networks_are_recognised_as_dynamic() {
    let generator = read_graph(&golden("generator_rebatched.onnx")).unwrap();
    assert_eq!(recognise_generator(&generator, 32, 16).unwrap().batch, Batch::Dynamic);
    let encoder = read_graph(&golden("encoder_rebatched.onnx")).unwrap();
    assert_eq!(recognise_encoder(&encoder, 80).unwrap().batch, Batch::Dynamic);
}

#[test]
fn what_is_dynamic_already_or_cannot_be_followed_is_refused() {
    for (name, reason) in
        [("generator_dynamic.onnx", "is not fixed to 1"), ("encoder_folded.onnx", "through an operator \"Reshape\"")]
    {
        let refusal = rebatch(&fs::read(golden(name)).unwrap()).unwrap_err().to_string();
        assert!(refusal.contains(reason), "{name}: {refusal}");
    }
}

#[test]
#[ignore = "rewrites golden files; run verify.py after it"]
fn write_rewritten_networks() {
    for name in REBATCHED {
        let rewritten = rebatch(&fs::read(golden(&format!("{name}_one.onnx"))).unwrap()).unwrap();
        fs::write(golden(&format!("{name}_rebatched.onnx")), rewritten).unwrap();
    }
}
