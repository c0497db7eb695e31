//! The native engine on a GPU: whole networks by batch, and each operation in every way it may run.
//!
//!     cargo bench --bench gpu_native -- [--ops BATCH] FILE.onnx...
//!
//! Without files, `LIPSYNCD_NATIVE_ONNX` names one. Inputs are random; times are by CUDA events.
#![allow(unsafe_code)] // Launches work on buffers that live as long as they do.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use half::f16;
use lipsyncd::backend::cuda::native::lower::Choice;
use lipsyncd::backend::cuda::native::{NativeKernels, NativeModel, NativeNetwork, Program, Ways};
use lipsyncd::cuda::{Context, CudaError, DeviceBuf, Driver, Event, Priority, Stream, Timing};
use lipsyncd::onnxruntime::Element;

const BATCHES: [usize; 6] = [1, 2, 4, 8, 16, 32];

/// How long one measurement takes, about.
const MEASURE: Duration = Duration::from_millis(150);

/// Times of one operation, of which the median counts.
const REPEATS: usize = 15;

struct Gpu {
    context: Arc<Context>,
    kernels: Arc<NativeKernels>,
    stream: Stream,
}

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let (mut files, mut ops_batch) = (Vec::new(), 16);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--ops" => ops_batch = args.next().and_then(|batch| batch.parse().ok()).expect("--ops wants a batch"),
            _ => files.push(arg),
        }
    }
    if files.is_empty() {
        files.extend(std::env::var("LIPSYNCD_NATIVE_ONNX"));
    }
    let gpu = Gpu::open().map_err(|missing| println!("{missing}; nothing is measured")).ok();
    for file in &files {
        let path = Path::new(file);
        let onnx = std::fs::read(path).unwrap_or_else(|error| panic!("{file}: {error}"));
        let program = Program::compile(&onnx, Element::F16).unwrap_or_else(|error| panic!("{file}: {error}"));
        describe(path, &program);
        if let Some(gpu) = &gpu {
            gpu.measure(program, ops_batch);
        }
    }
}

/// What a network moves and computes for one item, with each block as one kernel.
fn describe(path: &Path, program: &Program) {
    let costs = program.costs();
    let (bytes, flops) = costs.iter().fold((0, 0), |(bytes, flops), cost| (bytes + cost.bytes, flops + cost.flops));
    let (mb, gflop) = (bytes as f64 / 1e6, flops as f64 / 1e9);
    println!("{}: {} operations, {mb:.1} MB and {gflop:.2} GFLOP an item", path.display(), costs.len());
    for (index, cost) in costs.iter().enumerate() {
        println!("{index:3} {:36} {:6.2} MB {:6.1} MFLOP", cost.name, cost.bytes as f64 / 1e6, cost.flops as f64 / 1e6);
    }
}

impl Gpu {
    fn open() -> Result<Self, String> {
        let driver = Driver::load().map_err(|missing| missing.to_string())?;
        let context = Context::open(&driver, 0).map_err(|error| error.to_string())?;
        let kernels = NativeKernels::load(&driver, &context).map_err(|error| error.to_string())?;
        println!("{}, driver for CUDA {}", context.gpu().name, driver.version());
        let stream = Stream::new(&context, Priority::Normal).map_err(|error| error.to_string())?;
        Ok(Self { context, kernels, stream })
    }

    fn measure(&self, program: Program, ops_batch: usize) {
        let most = BATCHES[BATCHES.len() - 1].max(ops_batch);
        let inputs: Vec<_> = program.inputs.iter().map(|edge| self.noise(most * edge.len())).collect();
        let output = DeviceBuf::new(&self.context, most * program.output.len() * 2).unwrap();
        let model = NativeModel::new(&self.kernels, program).unwrap();
        let addresses: Vec<_> = inputs.iter().map(DeviceBuf::ptr).collect();
        let bind = |ways| {
            // SAFETY: the buffers have the edges' sizes and outlive the network.
            unsafe { model.bind(&addresses, output.ptr(), most, ways) }.unwrap()
        };
        self.batches("as usual", &mut bind(Ways::Chosen));
        let begin = Instant::now();
        model.tune(None).unwrap();
        println!("measured in {:.1} s", begin.elapsed().as_secs_f32());
        println!("kernels begin early: {}", if model.overlaps() { "faster" } else { "not faster" });
        for overlap in [false, true] {
            let mut network = bind(Ways::Chosen);
            network.set_overlap(overlap);
            self.batches(if overlap { "as measured, kernels beginning early" } else { "as measured" }, &mut network);
        }
        self.operations(&mut bind(Ways::All), &model, ops_batch);
    }

    /// Whole networks by batch.
    fn batches(&self, how: &str, network: &mut NativeNetwork) {
        println!("{how}, {} MB a context", network.memory().0.bytes() >> 20);
        for batch in BATCHES {
            let (eager, graph) = (self.eager(network, batch), self.graph(network, batch));
            let rate = |time: Duration| batch as f64 / time.as_secs_f64();
            println!(
                "batch {batch:2}: eager {:8.1} us {:7.0} frames/s   graph {:8.1} us {:7.0} frames/s",
                us(eager),
                rate(eager),
                us(graph),
                rate(graph)
            );
        }
    }

    fn eager(&self, network: &mut NativeNetwork, batch: usize) -> Duration {
        // SAFETY: one thing after the other on one stream, buffers alive.
        self.time(|| unsafe { network.enqueue(batch, &self.stream) })
    }

    fn graph(&self, network: &mut NativeNetwork, batch: usize) -> Duration {
        // SAFETY: as above.
        let graph = self.stream.capture(|| unsafe { network.enqueue(batch, &self.stream) });
        let mut graph = graph.unwrap();
        // SAFETY: as above.
        self.time(|| unsafe { graph.launch(&self.stream) })
    }

    /// Mean time of one of many runs.
    fn time(&self, mut run: impl FnMut() -> Result<(), CudaError>) -> Duration {
        let mut once = |runs: u32| {
            let (begin, end) = self.events();
            begin.record(&self.stream).unwrap();
            (0..runs).for_each(|_| run().unwrap());
            end.record(&self.stream).unwrap();
            end.synchronize().unwrap();
            end.since(&begin).unwrap() / runs
        };
        once(3);
        let about = once(3).max(Duration::from_micros(1));
        once((MEASURE.as_nanos() / about.as_nanos()).clamp(5, 5000) as u32)
    }

    /// Each operation in every way, one line an operation; the way that was chosen is starred.
    fn operations(&self, network: &mut NativeNetwork, model: &NativeModel, batch: usize) {
        let costs = network.program().costs();
        let (mut chosen_us, mut best_us) = (0.0, 0.0);
        for (index, cost) in costs.iter().enumerate() {
            let chosen = model.choice(index, batch);
            let mut times: Vec<(f64, Choice)> = Vec::new();
            for choice in network.choices(index) {
                times.push((self.median(network, index, choice, batch), choice));
            }
            let taken = times.iter().find(|(_, choice)| *choice == chosen).map_or(0.0, |(time, _)| *time);
            times.sort_by(|a, b| a.0.total_cmp(&b.0));
            let best = times[0].0;
            chosen_us += taken;
            best_us += best;
            let per_s = |amount: usize| (amount * batch) as f64 / best / 1e6;
            let ways: Vec<_> = times
                .iter()
                .take(4)
                .map(|(time, choice)| format!("{}{choice} {time:.1}", if *choice == chosen { "*" } else { "" }))
                .collect();
            println!(
                "{index:3} {:32} {best:7.1} us {:5.2} TB/s {:6.1} TFLOP/s  {}",
                cost.name,
                per_s(cost.bytes),
                per_s(cost.flops),
                ways.join(", ")
            );
        }
        println!("sum at batch {batch}: as chosen {chosen_us:.0} us, each in its best way {best_us:.0} us");
    }

    fn median(&self, network: &mut NativeNetwork, index: usize, choice: Choice, batch: usize) -> f64 {
        // Three in a row: one alone would be mostly the events.
        const TOGETHER: u32 = 3;
        let mut times: Vec<f64> = (0..REPEATS)
            .map(|_| {
                let (begin, end) = self.events();
                begin.record(&self.stream).unwrap();
                for _ in 0..TOGETHER {
                    // SAFETY: as in `eager`.
                    unsafe { network.enqueue_op(index, choice, batch, &self.stream) }.unwrap();
                }
                end.record(&self.stream).unwrap();
                end.synchronize().unwrap();
                us(end.since(&begin).unwrap() / TOGETHER)
            })
            .collect();
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    }

    fn events(&self) -> (Event, Event) {
        let event = || Event::new(&self.context, Timing::On).unwrap();
        (event(), event())
    }

    /// Values in 0..1: networks may run faster on zeros.
    fn noise(&self, len: usize) -> DeviceBuf {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f16::from_f32((state >> 8) as f32 / (1 << 24) as f32)
        };
        let values: Vec<f16> = (0..len).map(|_| next()).collect();
        DeviceBuf::from_slice(&self.context, &values).unwrap()
    }
}

fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
