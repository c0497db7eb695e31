//! The native engine's kernels and networks on a GPU, against a plain interpreter on the CPU.
#![allow(unsafe_code)] // Launches work on buffers that the test keeps alive.

use std::sync::Arc;

use half::f16;
use lipsyncd::backend::cuda::native::{NativeKernels, NativeModel, Program, Ways};
use lipsyncd::cuda::memory::upload;
use lipsyncd::cuda::{Context, DeviceBuf, Driver, Priority, Stream};
use lipsyncd::onnxruntime::Element;

use crate::common::native::{Interpreter, Keep};
use crate::common::native_cases::{self, Case, activations, compare, compare_output};
use crate::common::root;
use crate::common::speech::Random;

const BATCH: usize = 3;

/// What kernels and interpreter may differ by over a whole network: sums in another order, rounded to float16 now and then the
/// other way.
const LEAST_DB: f64 = 50.0;

struct Gpu {
    context: Arc<Context>,
    kernels: Arc<NativeKernels>,
    stream: Stream,
}

impl Gpu {
    fn open() -> Self {
        let driver = Driver::load().unwrap_or_else(|error| panic!("{error}"));
        let context = Context::open(&driver, 0).unwrap();
        let kernels = NativeKernels::load(&driver, &context).unwrap_or_else(|error| panic!("{error}"));
        let stream = Stream::new(&context, Priority::Normal).unwrap();
        Self { context, kernels, stream }
    }

    fn edge(&self, values: &[f32], element: Element) -> DeviceBuf {
        match element {
            Element::F16 => {
                let halves: Vec<f16> = values.iter().map(|&value| f16::from_f32(value)).collect();
                DeviceBuf::from_slice(&self.context, &halves).unwrap()
            }
            Element::F32 => DeviceBuf::from_slice(&self.context, values).unwrap(),
        }
    }

    /// Runs the only operation of `case` in each of its ways; returns how many launches were compared.
    fn check_case(&self, case: &Case) -> usize {
        let items = activations(&case.program, BATCH);
        let inputs = native_cases::inputs(&case.program, BATCH);
        let view = case.program.ops[0].views().1;
        let element = case.program.output.element;
        let model = NativeModel::new(&self.kernels, case.program.clone()).unwrap();
        let poison = vec![f32::NAN; BATCH * case.program.output.len()];
        let output = self.edge(&poison, element);
        let edges = case.program.inputs.iter().zip(&inputs);
        let uploaded: Vec<_> = edges.map(|(edge, values)| self.edge(values, edge.element)).collect();
        let addresses: Vec<_> = uploaded.iter().map(DeviceBuf::ptr).collect();
        // SAFETY: the buffers have the edges' sizes and outlive the network.
        let mut network = unsafe { model.bind(&addresses, output.ptr(), BATCH, Ways::All) }.unwrap();
        let (slab_bytes, offsets) = (network.memory().0.bytes(), network.memory().1.offsets.clone());
        let mut image = vec![f16::from_bits(0xFFFF); slab_bytes / 2];
        let (reads, _) = case.program.ops[0].views();
        for (buffer, all) in items.iter().enumerate() {
            if reads.iter().any(|read| read.buffer == buffer) {
                let start = offsets[buffer] * BATCH / 2;
                let values = all.iter().flatten().map(|&value| f16::from_f32(value));
                image[start..].iter_mut().zip(values).for_each(|(to, value)| *to = value);
            }
        }
        let possible = case.choices.iter().filter(|&&choice| self.kernels.can(choice));
        for (&choice, batch) in possible.flat_map(|choice| [(choice, 1), (choice, BATCH - 1)]) {
            // SAFETY: all live until the stream is waited for.
            unsafe { upload(&image, network.memory().0, &self.stream) }.unwrap();
            // SAFETY: as above; the bits of NaN are NaN in halves too.
            unsafe { upload(&vec![0xFF_u8; output.bytes()], &output, &self.stream) }.unwrap();
            self.stream.synchronize().unwrap();
            // SAFETY: as above.
            unsafe { network.enqueue_op(0, choice, batch, &self.stream) }.unwrap();
            self.stream.synchronize().unwrap_or_else(|error| panic!("{} {choice:?}: {error}", case.name));
            let mut left = vec![f16::ZERO; slab_bytes / 2];
            network.memory().0.read(&mut left).unwrap();
            let written = self.read(&output, element, poison.len());
            for item in 0..BATCH {
                let name = format!("{} {choice:?} item {item} of {batch}", case.name);
                let found: Vec<f32> = match view {
                    Some(view) => {
                        let len = case.program.buffers[view.buffer];
                        let start = offsets[view.buffer] * BATCH / 2 + item * len;
                        left[start..start + len].iter().map(|value| value.to_f32()).collect()
                    }
                    None => written[item * case.program.output.len()..][..case.program.output.len()].to_vec(),
                };
                if item >= batch {
                    assert!(found.iter().all(|value| value.is_nan()), "{name}: was written over");
                    continue;
                }
                let item_inputs = native_cases::item_of(&case.program, &inputs, item);
                let mut interpreter = Interpreter::new(&case.program, Keep::Half, &item_inputs);
                interpreter.buffers = items.iter().map(|items| items[item].clone()).collect();
                interpreter.apply(&case.program, &case.program.ops[0]);
                match view {
                    Some(view) => compare(&name, view, &interpreter.buffers[view.buffer], &found),
                    None => compare_output(&name, &interpreter.output, &found),
                }
            }
        }
        2 * case.choices.len()
    }

    /// Runs a whole network, eagerly and as a graph, as usual, as measured, with kernels that begin early, and compares all with the interpreter; returns the lowest PSNR, dB.
    fn check_network(&self, path: &str, element: Element, batch: usize) -> f64 {
        let model = std::fs::read(root().join(path)).unwrap();
        let program = Program::compile(&model, element).unwrap();
        let mut random = Random::new(9);
        let inputs: Vec<Vec<f32>> =
            program.inputs.iter().map(|edge| (0..batch * edge.len()).map(|_| random.unit()).collect()).collect();
        let buffers: Vec<_> =
            program.inputs.iter().zip(&inputs).map(|(edge, values)| self.edge(values, edge.element)).collect();
        let poison = vec![f32::NAN; batch * program.output.len()];
        let output = self.edge(&poison, program.output.element);
        let model = NativeModel::new(&self.kernels, program).unwrap();
        let addresses: Vec<_> = buffers.iter().map(DeviceBuf::ptr).collect();
        let element = model.program().output.element;
        let mut runs = Vec::new();
        for (tuned, overlap) in [(false, false), (true, false), (true, true)] {
            if tuned && !overlap {
                model.tune(None).unwrap();
            }
            // SAFETY: the buffers have the edges' sizes and outlive the network.
            let mut network = unsafe { model.bind(&addresses, output.ptr(), batch, Ways::Chosen) }.unwrap();
            network.set_overlap(overlap);
            // SAFETY: one thing after the other on one stream.
            unsafe { network.enqueue(batch, &self.stream) }.unwrap();
            let eager = self.read(&output, element, poison.len());
            // SAFETY: as above.
            let graph = self.stream.capture(|| unsafe { network.enqueue(batch, &self.stream) });
            // SAFETY: as above; the bits of NaN are NaN in halves too.
            unsafe { upload(&vec![0xFF_u8; output.bytes()], &output, &self.stream) }.unwrap();
            // SAFETY: as above.
            unsafe { graph.unwrap().launch(&self.stream) }.unwrap();
            assert!(eager == self.read(&output, element, poison.len()), "{path}: a graph differs");
            runs.push(eager);
        }
        let program = model.program();
        let mut lowest = f64::INFINITY;
        for item in 0..batch {
            let of = |(edge, values): (&_, &Vec<f32>)| {
                let len = lipsyncd::backend::cuda::native::program::Edge::len(edge);
                values[item * len..][..len].to_vec()
            };
            let lent: Vec<Vec<f32>> = program.inputs.iter().zip(&inputs).map(of).collect();
            let expected = Interpreter::run(program, Keep::Half, &lent.iter().map(Vec::as_slice).collect::<Vec<_>>());
            for run in &runs {
                let found = &run[item * expected.len()..][..expected.len()];
                let square = |(&a, &b): (&f32, &f32)| (f64::from(a) - f64::from(b)).powi(2);
                let mean = expected.iter().zip(found).map(square).sum::<f64>() / expected.len() as f64;
                lowest = lowest.min(-10.0 * mean.log10());
            }
        }
        println!("{path} batch {batch}: {lowest:.1} dB");
        assert!(lowest >= LEAST_DB, "{path}: {lowest:.1} dB");
        lowest
    }

    fn read(&self, output: &DeviceBuf, element: Element, len: usize) -> Vec<f32> {
        self.stream.synchronize().unwrap();
        match element {
            Element::F16 => {
                let mut halves = vec![f16::ZERO; len];
                output.read(&mut halves).unwrap();
                halves.into_iter().map(f16::to_f32).collect()
            }
            Element::F32 => {
                let mut values = vec![0.0; len];
                output.read(&mut values).unwrap();
                values
            }
        }
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn operations() {
    let gpu = Gpu::open();
    for (kind, cases) in [
        ("convolutions", native_cases::convolutions()),
        ("depthwise", native_cases::depthwise()),
        ("blocks", native_cases::blocks()),
        ("blocks at the edges", native_cases::edge_blocks()),
        ("upsampling", native_cases::upsampling()),
    ] {
        let launches: usize = cases.iter().map(|case| gpu.check_case(case)).sum();
        println!("{kind}: {} cases, {launches} runs", cases.len());
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn networks() {
    let gpu = Gpu::open();
    for (path, element, batch) in [
        ("tests/golden/tiny-avatar/generator.onnx", Element::F16, 3),
        ("tests/golden/tiny-avatar/audio_encoder.onnx", Element::F32, 5),
        ("avatars/demo/generator.onnx", Element::F16, 2),
        ("avatars/demo/audio_encoder.onnx", Element::F32, 3),
    ] {
        gpu.check_network(path, element, batch);
    }
}

/// The full-size generator, when `LIPSYNCD_NATIVE_ONNX` names it.
#[test]
#[ignore = "needs an NVIDIA GPU, and a network named by LIPSYNCD_NATIVE_ONNX"]
fn network_of_the_environment() {
    let path = std::env::var("LIPSYNCD_NATIVE_ONNX").expect("LIPSYNCD_NATIVE_ONNX names no file");
    Gpu::open().check_network(&path, Element::F16, 1);
}
