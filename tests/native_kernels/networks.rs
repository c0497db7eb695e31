//! Whole networks, operation by operation, with the buffers laid out as on a GPU.

use std::path::Path;

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
    for (index, op) in program.ops.iter().enumerate() {
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
