//! Networks compiled for the native engine, interpreted on the CPU, against ONNX Runtime on the files they came from.

#[path = "../common/mod.rs"]
mod common;
mod onnx;

use std::path::{Path, PathBuf};

use common::native::{Interpreter, Keep};
use common::speech::Random;
use lipsyncd::avatar::onnx::GraphInfo;
use lipsyncd::backend::cuda::native::program::{Op, Program};
use lipsyncd::onnxruntime::{BoundNetwork, Element, Network, OnnxRuntime, TensorSpec};
use onnx::Graph;

/// What is left when only the weights are rounded to float16, and when activations are too, as on the GPU.
const LEAST_DB: [(Keep, f64); 2] = [(Keep::Single, 55.0), (Keep::Half, 45.0)];

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn compile(path: &Path) -> Program {
    let model = std::fs::read(path).unwrap();
    Program::compile(&model, Element::F16).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A picture with a face's smoothness, half of it masked; sound features or a mel window.
fn input(item: [usize; 3], random: &mut Random) -> Vec<f32> {
    let [channels, height, width] = item;
    let (fx, fy) = (0.02 + 0.1 * random.unit(), 0.02 + 0.1 * random.unit());
    let mut value = |c: usize, y: usize, x: usize| match channels {
        6 if c >= 3 && y > height / 2 => 0.0,
        6 => 0.5 + 0.4 * (x as f32 * fx + c as f32).sin() * (y as f32 * fy).cos() + 0.1 * (random.unit() - 0.5),
        1 => 8.0 * random.unit() - 4.0,
        _ => 2.0 * random.unit() - 0.7,
    };
    (0..channels * height * width).map(|at| value(at / (height * width), at / width % height, at % width)).collect()
}

/// ONNX Runtime's output for one item.
fn judge(path: &Path, program: &Program, inputs: &[Vec<f32>]) -> Vec<f32> {
    let library = std::env::var_os("LIPSYNCD_ONNXRUNTIME").map(PathBuf::from);
    let runtime = OnnxRuntime::load(library.as_deref()).unwrap_or_else(|error| panic!("{error}"));
    let network = Network::load(&runtime, path, &std::fs::read(path).unwrap(), 2).unwrap();
    let info = GraphInfo::parse(&std::fs::read(path).unwrap()).unwrap();
    let rank = info.outputs[0].dims.as_ref().unwrap().len();
    let shape = |item: [usize; 3]| [1].into_iter().chain(item).collect::<Vec<_>>();
    let specs: Vec<_> = program.inputs.iter().map(|edge| TensorSpec::new(&*edge.name, &shape(edge.item))).collect();
    let output = TensorSpec::new(&*program.output.name, &shape(program.output.item)[..rank]);
    let mut bound = BoundNetwork::new(&network, &specs, &[output]).unwrap();
    for (index, values) in inputs.iter().enumerate() {
        bound.input_mut(index).copy_from_slice(values);
    }
    bound.run().unwrap();
    bound.output(0).to_vec()
}

/// Peak signal to noise: a picture's peak is 1, a feature's what it reaches.
fn psnr_db(expected: &[f32], found: &[f32]) -> f64 {
    assert_eq!(expected.len(), found.len());
    let peak = expected.iter().fold(1.0_f64, |peak, &value| peak.max(f64::from(value.abs())));
    let square = |(&a, &b): (&f32, &f32)| (f64::from(a) - f64::from(b)).powi(2);
    let mean = expected.iter().zip(found).map(square).sum::<f64>() / expected.len() as f64;
    10.0 * (peak.powi(2) / mean).log10()
}

/// Compares the network at `path` with its compiled form.
fn check(path: &Path) {
    let program = compile(path);
    let mut random = Random::new(5);
    let inputs: Vec<Vec<f32>> = program.inputs.iter().map(|edge| input(edge.item, &mut random)).collect();
    let expected = judge(path, &program, &inputs);
    let lent: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    for (keep, least) in LEAST_DB {
        let found = Interpreter::run(&program, keep, &lent);
        let psnr = psnr_db(&expected, &found);
        println!("{}: {psnr:.1} dB", path.display());
        assert!((least..200.0).contains(&psnr), "{}: {psnr:.1} dB, expected {least}", path.display());
    }
}

#[test]
fn the_demo_avatars_networks() {
    check(&repository("avatars/demo/generator.onnx"));
    check(&repository("avatars/demo/audio_encoder.onnx"));
}

#[test]
fn small_networks_of_the_family() {
    for path in ["tiny-avatar/generator.onnx", "tiny-avatar/audio_encoder.onnx"] {
        check(&repository(&format!("tests/golden/{path}")));
    }
}

/// What `python engines/networks/build.py` makes, in the folder named by `LIPSYNCD_NETWORKS`: one folder for each network.
#[test]
#[ignore = "needs the networks of engines/networks/build.py: see `make native-test`"]
fn built_networks() {
    let folder = std::env::var_os("LIPSYNCD_NETWORKS").expect("LIPSYNCD_NETWORKS names no folder");
    let mut folders: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.join("generator.onnx").exists());
    folders.sort();
    assert!(!folders.is_empty());
    for folder in folders {
        check(&folder.join("generator.onnx"));
        check(&folder.join("audio_encoder.onnx"));
    }
}

#[test]
fn constants_behind_a_spread_pixel_belong_to_its_output_channels() {
    let mut random = Random::new(6);
    let mut factor = || 0.5 + random.unit();
    let graph = Graph::default().input("pixel", &[1, 3, 1, 1]).output("out", &[1, 8, 2, 2]);
    let graph = graph.constant("weights", &[3, 8, 2, 2], &mut factor).constant("bias", &[8], &mut factor);
    let graph = graph.constant("factors", &[1, 8, 1, 1], &mut factor).constant("whole", &[8, 1, 1], &mut factor);
    let statistics = ["scale", "offset", "mean", "variance"];
    let graph = statistics.iter().fold(graph, |graph, name| graph.constant(name, &[8], &mut factor));
    let graph = graph
        .node("ConvTranspose", &["pixel", "weights", "bias"], "spread")
        .node("BatchNormalization", &["spread", "scale", "offset", "mean", "variance"], "normal")
        .node("Mul", &["normal", "factors"], "scaled")
        .node("Sub", &["whole", "scaled"], "out");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), graph.model()).unwrap();
    assert!(compile(file.path()).ops.iter().any(|op| matches!(op, Op::Conv(conv) if conv.bias.len() == 8 * 4)));
    check(file.path());
}

/// Behind an activation, before a convolution, and where what it normalises has another reader.
#[test]
fn a_normalisation_that_no_convolution_takes_in_is_computed() {
    let mut random = Random::new(8);
    let mut factor = || 0.5 + random.unit();
    let graph = Graph::default().input("x", &[1, 8, 4, 4]).output("out", &[1, 8, 4, 4]);
    let graph = graph.constant("point", &[8, 8, 1, 1], || factor() - 1.0);
    let statistics = ["scale", "offset", "mean", "variance"];
    let graph = statistics.iter().fold(graph, |graph, name| graph.constant(name, &[8], &mut factor));
    let normal =
        |graph: Graph, from: &str, to: &str| graph.node("BatchNormalization", &[&[from][..], &statistics].concat(), to);
    let graph =
        normal(graph, "x", "before").node("Conv", &["before", "point"], "first").node("Relu", &["first"], "bent");
    let graph = normal(graph, "bent", "behind").node("Conv", &["behind", "point"], "second");
    let graph = normal(graph, "second", "read").node("Add", &["read", "second"], "out");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), graph.model()).unwrap();
    check(file.path());
}

#[test]
fn what_would_be_computed_otherwise_is_refused() {
    let graph = || Graph::default().input("x", &[1, 8, 4, 4]).output("out", &[1, 8, 4, 4]);
    let refusal = |graph: Graph| Program::compile(&graph.model(), Element::F16).unwrap_err().to_string();
    let whole = refusal(graph().node("Cast", &["x"], "out").with("out", "to", 7));
    assert!(whole.contains("Cast") && whole.contains("only to a float"), "{whole}");
    assert!(Program::compile(&graph().node("Cast", &["x"], "out").with("out", "to", 10).model(), Element::F16).is_ok());
    let short = graph().constant("four", &[4], || 1.0);
    let short = refusal(short.node("BatchNormalization", &["x", "four", "four", "four", "four"], "out"));
    assert!(short.contains("not one float for each channel"), "{short}");
    let twice = graph().node("Relu", &["x"], "out").node("Tanh", &["x"], "out");
    assert!(refusal(twice).contains("something else has the name"));
    let input = graph().node("Relu", &["x"], "x").node("Tanh", &["x"], "out");
    assert!(refusal(input).contains("something else has the name"));
}

#[test]
fn gaps_of_a_concatenation_are_enlarged_with_it() {
    let mut random = Random::new(7);
    let mut weight = || random.unit() - 0.5;
    let mut twice = [1.0, 1.0, 2.0, 2.0].into_iter();
    // Twelve channels are stored as sixteen.
    let graph = ["a", "b"].into_iter().fold(Graph::default(), |graph, name| graph.input(name, &[1, 12, 4, 4]));
    let graph = graph.output("out", &[1, 8, 6, 6]);
    let graph = graph.constant("wa", &[12, 12, 1, 1], &mut weight).constant("wb", &[12, 12, 1, 1], &mut weight);
    let graph = graph.constant("wide", &[8, 24, 3, 3], &mut weight);
    let graph = graph.constant("scales", &[4], || twice.next().unwrap_or(1.0));
    let graph = graph
        .node("Conv", &["a", "wa"], "left")
        .node("Conv", &["b", "wb"], "right")
        .node("Concat", &["left", "right"], "both")
        .node("Resize", &["both", "", "scales"], "large")
        .node("Conv", &["large", "wide"], "out");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), graph.with("both", "axis", 1).model()).unwrap();
    assert!(compile(file.path()).ops.iter().any(|op| matches!(op, Op::Upsample(_))));
    check(file.path());
}

#[test]
fn operands_of_as_many_pixels_in_other_rows_are_refused() {
    let sum = |sides: [i64; 2]| {
        let other = [1, 8, sides[0], sides[1]];
        let graph = Graph::default().input("a", &[1, 8, 4, 4]).input("b", &other).output("out", &[1, 8, 4, 4]);
        Program::compile(&graph.node("Add", &["a", "b"], "out").model(), Element::F16)
    };
    let refusal = sum([2, 8]).unwrap_err().to_string();
    assert!(refusal.contains("only operands of one size"), "{refusal}");
    assert!(sum([4, 4]).is_ok() && sum([1, 1]).is_ok());
}

#[test]
fn blocks_are_found() {
    let program = compile(&repository("avatars/demo/generator.onnx"));
    let count = |is: fn(&Op) -> bool| program.ops.iter().filter(|op| is(op)).count();
    // 8 on the way down, 2 at the bottom, 4 merges and 6 refinements on the way up.
    assert_eq!(count(|op| matches!(op, Op::Block(_))), 20);
    assert_eq!(count(|op| matches!(op, Op::Depthwise(_))), 0);
}
