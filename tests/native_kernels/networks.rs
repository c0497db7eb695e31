//! Whole networks, operation by operation, with the buffers laid out as on a GPU.

use std::path::Path;

use lipsyncd::backend::cuda::native::branch::Branch;
use lipsyncd::backend::cuda::native::program::Program;
use lipsyncd::onnxruntime::Element;

use crate::emulator::Device;
use crate::native::{Interpreter, Keep};
use crate::speech::Random;

/// What kernels and interpreter may differ by: sums in another order, rounded to float16 now and then the other way.
const LEAST_DB: f64 = 55.0;

fn check(path: &Path, element: Element, batch: usize) {
    let model = std::fs::read(path).unwrap();
    let program = Program::compile(&model, element).unwrap_or_else(|error| panic!("{error}"));
    let mut random = Random::new(9);
    let inputs: Vec<Vec<f32>> =
        program.inputs.iter().map(|edge| (0..batch * edge.len()).map(|_| random.unit()).collect()).collect();
    let device = Device::new(&program, batch, &inputs, false);
    // Operations beside the others first, as on a GPU that is quick to start them.
    let beside = Branch::find(&program).map_or_else(|| vec![false; program.ops.len()], |branch| branch.beside);
    let (first, then): (Vec<_>, Vec<_>) = program.ops.iter().enumerate().partition(|(index, _)| beside[*index]);
    for (index, op) in first.into_iter().chain(then) {
        // As on a GPU of few multiprocessors, so that large tiles are taken.
        let choice = op.usual_choice(batch, 4, |_| true);
        device.run(index, choice, batch);
    }
    let output = device.output();
    for item in 0..batch {
        let lent: Vec<&[f32]> = program
            .inputs
            .iter()
            .zip(&inputs)
            .map(|(edge, values)| &values[item * edge.len()..][..edge.len()])
            .collect();
        let expected = Interpreter::run(&program, Keep::Half, &lent);
        let found = &output[item * expected.len()..][..expected.len()];
        let square = |(&a, &b): (&f32, &f32)| (f64::from(a) - f64::from(b)).powi(2);
        let mean = expected.iter().zip(found).map(square).sum::<f64>() / expected.len() as f64;
        let psnr = -10.0 * mean.log10();
        println!("{} item {item}: {psnr:.1} dB", path.display());
        assert!(psnr >= LEAST_DB, "{} item {item}: {psnr:.1} dB", path.display());
    }
}

fn repository(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn tiny_generator() {
    check(&repository("tests/golden/tiny-avatar/generator.onnx"), Element::F16, 2);
}

#[test]
fn tiny_encoder() {
    check(&repository("tests/golden/tiny-avatar/audio_encoder.onnx"), Element::F32, 3);
}

#[test]
fn demo_generator() {
    check(&repository("avatars/demo/generator.onnx"), Element::F16, 1);
}

#[test]
fn demo_encoder() {
    check(&repository("avatars/demo/audio_encoder.onnx"), Element::F32, 2);
}

/// What `python engines/networks/build.py` makes, in the folder named by `LIPSYNCD_NETWORKS`: one folder for each network.
#[test]
#[ignore = "takes minutes, and needs the networks of engines/networks/build.py: see `make native-test`"]
fn built_networks() {
    let folder = std::env::var_os("LIPSYNCD_NETWORKS").expect("LIPSYNCD_NETWORKS names no folder");
    let mut folders: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert!(!folders.is_empty());
    for folder in folders {
        check(&folder.join("generator.onnx"), Element::F16, 1);
        check(&folder.join("audio_encoder.onnx"), Element::F32, 1);
    }
}
