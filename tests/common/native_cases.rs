//! Single operations of odd sizes, each as a program of its own: what every kernel must get right, wherever it runs.

use half::f16;
use lipsyncd::backend::cuda::native::block_tiles;
use lipsyncd::backend::cuda::native::lower::Choice;
use lipsyncd::backend::cuda::native::program::{
    Activation, Block, Conv, Depthwise, Doubling, Edge, Export, Import, Op, Program, Upsample, View,
};
use lipsyncd::backend::cuda::native::tiles::TILES;
use lipsyncd::onnxruntime::Element;

use super::speech::Random;

/// A program of one operation, and the ways in which it may run.
pub struct Case {
    pub name: String,
    pub program: Program,
    pub choices: Vec<Choice>,
}

/// Buffers a little wider than the views on them, so that what lies beside must be left alone.
struct Builder {
    buffers: Vec<usize>,
    random: Random,
}

impl Builder {
    fn new(seed: u64) -> Self {
        Self { buffers: Vec::new(), random: Random::new(seed) }
    }

    fn view(&mut self, height: usize, width: usize, channels: usize) -> View {
        let (before, after) = (8 * self.random.below(3), 8 * self.random.below(2));
        let pitch = before + channels + after;
        self.buffers.push(height * width * pitch);
        View { buffer: self.buffers.len() - 1, height, width, channels, first: before, pitch }
    }

    fn signed(&mut self, scale: f32) -> f32 {
        scale * (2.0 * self.random.unit() - 1.0)
    }

    fn case(self, name: String, op: Op, choices: Vec<Choice>) -> Case {
        let edge = Edge { name: "output".to_owned(), item: [1, 1, 1], element: Element::F16 };
        Case {
            name,
            program: Program { inputs: Vec::new(), output: edge, buffers: self.buffers, ops: vec![op] },
            choices,
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one for each property of a convolution")]
    fn conv(
        &mut self,
        from: View,
        to: View,
        kernel: [usize; 2],
        stride: [usize; 2],
        pads: [usize; 2],
        activation: Activation,
        residual: bool,
    ) -> Conv {
        let residual = residual.then(|| self.view(to.height, to.width, to.channels));
        let depth = kernel[0] * kernel[1] * from.channels;
        let scale = 1.5 / (depth as f32).sqrt();
        let weights = (0..to.channels * depth).map(|_| f16::from_f32(self.signed(scale))).collect();
        let bias = (0..to.channels).map(|_| self.signed(0.5)).collect();
        Conv { from, to, kernel, stride, pads, weights, bias, residual, activation }
    }
}

fn out_size(size: usize, kernel: usize, stride: usize, pads: usize) -> usize {
    (size + 2 * pads - kernel) / stride + 1
}

/// Every convolution tile on every kind of window.
pub fn convolutions() -> Vec<Case> {
    use Activation::{None, Relu, Sigmoid, Tanh};
    // Height, width, channels in and out, kernel, stride, pads, activation, residual.
    #[rustfmt::skip]
    let all = [
        (5, 7, 8, 8, [1, 1], [1, 1], [0, 0], Sigmoid, false),
        (9, 9, 24, 16, [1, 1], [1, 1], [0, 0], None, true),
        (16, 17, 64, 64, [1, 1], [1, 1], [0, 0], Relu, false),
        (13, 11, 40, 96, [1, 1], [1, 1], [0, 0], Relu, true),
        (6, 5, 256, 136, [1, 1], [1, 1], [0, 0], None, false),
        (1, 1, 512, 40, [1, 1], [1, 1], [0, 0], Tanh, false),
        (11, 6, 8, 24, [3, 3], [1, 1], [1, 1], Relu, false),
        (13, 9, 24, 32, [3, 3], [3, 1], [1, 1], Relu, true),
        (12, 10, 8, 8, [2, 2], [2, 2], [0, 0], None, false),
        (8, 12, 8, 8, [4, 4], [4, 4], [0, 0], Relu, false),
        (16, 16, 32, 40, [16, 16], [1, 1], [0, 0], Relu, false),
        (16, 16, 40, 48, [3, 3], [2, 2], [3, 3], Relu, false),
        (5, 2, 16, 64, [5, 2], [1, 1], [0, 0], Tanh, false),
    ];
    let mut cases = Vec::new();
    for (seed, (height, width, inputs, outputs, kernel, stride, pads, activation, residual)) in
        all.into_iter().enumerate()
    {
        let mut builder = Builder::new(seed as u64);
        let from = builder.view(height, width, inputs);
        let (rows, columns) =
            (out_size(height, kernel[0], stride[0], pads[0]), out_size(width, kernel[1], stride[1], pads[1]));
        let to = builder.view(rows, columns, outputs);
        let op = builder.conv(from, to, kernel, stride, pads, activation, residual);
        let name = format!("conv {height}x{width} {inputs}->{outputs} {kernel:?}/{stride:?}");
        let choices = (0..TILES.len()).filter(|&tile| TILES[tile].fits(outputs)).map(Choice::Conv).collect();
        cases.push(builder.case(name, Op::Conv(op), choices));
    }
    cases
}

/// Depthwise convolutions by each stride.
pub fn depthwise() -> Vec<Case> {
    let all = [(9, 11, 8, [1, 1]), (12, 12, 64, [1, 1]), (10, 10, 24, [2, 2]), (7, 9, 16, [2, 2]), (8, 5, 24, [2, 1])];
    let case = |(seed, (height, width, channels, stride)): (usize, (usize, usize, usize, [usize; 2]))| {
        let mut builder = Builder::new(100 + seed as u64);
        let from = builder.view(height, width, channels);
        let to = builder.view(out_size(height, 3, stride[0], 1), out_size(width, 3, stride[1], 1), channels);
        let weights = (0..9 * channels).map(|_| builder.signed(0.5)).collect();
        let bias = (0..channels).map(|_| builder.signed(0.5)).collect();
        let activation = if seed == 1 { Activation::None } else { Activation::Relu };
        let op = Depthwise { from, to, stride, pads: [1, 1], weights, bias, activation };
        let name = format!("depthwise {height}x{width} {channels} / {stride:?}");
        builder.case(name, Op::Depthwise(op), vec![Choice::Plain])
    };
    all.into_iter().enumerate().map(case).collect()
}

/// Inverted residuals in every tile that takes them whole, and apart.
pub fn blocks() -> Vec<Case> {
    // Height, width, channels in, wide, out, stride, whether the input is added.
    #[rustfmt::skip]
    let all = [
        (19, 21, 8, 16, 32, 1, false),
        (17, 16, 16, 32, 16, 1, true),
        (5, 18, 24, 48, 16, 1, false),
        (18, 33, 32, 64, 32, 1, true),
        (20, 20, 32, 40, 64, 1, false),
        (18, 17, 64, 128, 16, 1, false),
        (16, 19, 64, 96, 32, 1, false),
        (9, 16, 64, 128, 64, 1, true),
        (11, 13, 128, 80, 24, 1, false),
        (9, 7, 128, 64, 40, 1, false),
        (21, 19, 16, 16, 24, 2, false),
        (34, 35, 32, 64, 32, 2, false),
        (16, 40, 32, 64, 64, 2, false),
        (12, 14, 64, 128, 56, 2, false),
        (18, 20, 64, 32, 128, 2, false),
    ];
    type Sizes = (usize, usize, usize, usize, usize, usize, bool);
    let case = |(seed, (height, width, inputs, wide, outputs, stride, adds)): (usize, Sizes)| {
        let mut builder = Builder::new(300 + seed as u64);
        let from = builder.view(height, width, inputs);
        let between = [
            builder.view(height, width, wide),
            builder.view(out_size(height, 3, stride, 1), out_size(width, 3, stride, 1), wide),
        ];
        let to = builder.view(between[1].height, between[1].width, outputs);
        let expand = builder.conv(from, between[0], [1, 1], [1, 1], [0, 0], Activation::Relu, false);
        let mut project = builder.conv(between[1], to, [1, 1], [1, 1], [0, 0], Activation::None, false);
        project.residual = adds.then_some(from);
        let weights = (0..9 * wide).map(|_| builder.signed(0.5)).collect();
        let bias = (0..wide).map(|_| builder.signed(0.5)).collect();
        let depthwise = Depthwise {
            from: between[0],
            to: between[1],
            stride: [stride; 2],
            pads: [1, 1],
            weights,
            bias,
            activation: Activation::Relu,
        };
        let block = Block { import: None, expand, depthwise, project, export: None };
        let tile = |channels: usize| (0..TILES.len()).find(|&tile| TILES[tile].fits(channels)).unwrap();
        let mut choices: Vec<_> = block_tiles::fitting(&block).map(Choice::Whole).collect();
        assert!(!choices.is_empty(), "{inputs}>{wide}>{outputs} / {stride}");
        choices.push(Choice::Apart(tile(wide), tile(outputs)));
        let name = format!("block {height}x{width} {inputs}>{wide}>{outputs} / {stride}");
        builder.case(name, Op::Block(Box::new(block)), choices)
    };
    all.into_iter().enumerate().map(case).collect()
}

/// Inverted residuals at the network's edges: from planes of its input, or through its last convolution to planes of its output.
pub fn edge_blocks() -> Vec<Case> {
    // Height, width, planes, wide, out; whether the planes are the output's.
    let all =
        [(19, 21, 6, 16, 32, false), (18, 16, 6, 16, 16, false), (17, 33, 3, 32, 16, true), (20, 18, 4, 16, 8, true)];
    type Sizes = (usize, usize, usize, usize, usize, bool);
    let case = |(seed, (height, width, planes, wide, outputs, out)): (usize, Sizes)| {
        let mut builder = Builder::new(400 + seed as u64);
        let from = builder.view(height, width, if out { outputs } else { 8 });
        let between = [builder.view(height, width, wide), builder.view(height, width, wide)];
        let to = builder.view(height, width, outputs);
        let expand = builder.conv(from, between[0], [1, 1], [1, 1], [0, 0], Activation::Relu, false);
        let mut project = builder.conv(between[1], to, [1, 1], [1, 1], [0, 0], Activation::None, false);
        project.residual = out.then_some(from);
        let weights = (0..9 * wide).map(|_| builder.signed(0.5)).collect();
        let bias = (0..wide).map(|_| builder.signed(0.5)).collect();
        let (stride, pads, activation) = ([1, 1], [1, 1], Activation::Relu);
        let depthwise = Depthwise { from: between[0], to: between[1], stride, pads, weights, bias, activation };
        let last = builder.view(height, width, 8);
        let last = builder.conv(to, last, [1, 1], [1, 1], [0, 0], Activation::Sigmoid, false);
        let export = Export { from: last.to };
        let import = (!out).then_some(Import { input: 0, to: from });
        let block = Block { import, expand, depthwise, project, export: out.then_some((last, export)) };
        let tile = |channels: usize| (0..TILES.len()).find(|&tile| TILES[tile].fits(channels)).unwrap();
        let mut choices: Vec<_> = block_tiles::fitting(&block).map(Choice::Whole).collect();
        assert!(!choices.is_empty(), "{planes} {wide} {outputs}");
        choices.push(Choice::Apart(tile(wide), tile(outputs)));
        let edge = Edge { name: "edge".to_owned(), item: [planes, height, width], element: Element::F16 };
        let name =
            format!("block {height}x{width} {wide}>{outputs} at {planes} planes {}", if out { "out" } else { "in" });
        let mut case = builder.case(name, Op::Block(Box::new(block)), choices);
        if out {
            case.program.output = edge;
        } else {
            case.program.inputs.push(edge);
        }
        case
    };
    all.into_iter().enumerate().map(case).collect()
}

/// Pictures doubled in both ways.
pub fn upsampling() -> Vec<Case> {
    let all = [(5, 7, 24, Doubling::Linear), (10, 10, 8, Doubling::Linear), (6, 3, 16, Doubling::Nearest)];
    let case = |(seed, (height, width, channels, doubling)): (usize, (usize, usize, usize, Doubling))| {
        let mut builder = Builder::new(200 + seed as u64);
        let from = builder.view(height, width, channels);
        let to = builder.view(2 * height, 2 * width, channels);
        let op = Upsample { from, to, doubling };
        builder.case(
            format!("upsample {height}x{width} {channels} {doubling:?}"),
            Op::Upsample(op),
            vec![Choice::Plain],
        )
    };
    all.into_iter().enumerate().map(case).collect()
}

/// Random values for the program's inputs: of each, all items one after the other.
pub fn inputs(program: &Program, batch: usize) -> Vec<Vec<f32>> {
    let mut random = Random::new(78);
    let value = |random: &mut Random| f16::from_f32(random.unit()).to_f32();
    program.inputs.iter().map(|edge| (0..batch * edge.len()).map(|_| value(&mut random)).collect()).collect()
}

/// Item `item` of each input.
pub fn item_of<'i>(program: &Program, inputs: &'i [Vec<f32>], item: usize) -> Vec<&'i [f32]> {
    let edges = program.inputs.iter().zip(inputs);
    edges.map(|(edge, values)| &values[item * edge.len()..][..edge.len()]).collect()
}

/// Compares an item of the output.
pub fn compare_output(name: &str, expected: &[f32], found: &[f32]) {
    assert_eq!(expected.len(), found.len());
    for (at, (expected, found)) in expected.iter().zip(found).enumerate() {
        assert!((expected - found).abs() <= 2e-3, "{name}: value {at}: expected {expected}, found {found}");
    }
}

/// Random activations for the buffers that an operation reads, item by item; what it does not read stays NaN.
pub fn activations(program: &Program, batch: usize) -> Vec<Vec<Vec<f32>>> {
    let mut random = Random::new(77);
    let mut items = vec![vec![Vec::new(); batch]; program.buffers.len()];
    for (buffer, len) in program.buffers.iter().enumerate() {
        let value = |random: &mut Random| f16::from_f32(2.0 * random.unit() - 0.8).to_f32();
        items[buffer] = (0..batch).map(|_| (0..*len).map(|_| value(&mut random)).collect()).collect();
    }
    let (reads, _) = program.ops[0].views();
    for (buffer, all) in items.iter_mut().enumerate() {
        for item in all.iter_mut() {
            let mut kept = vec![f32::NAN; item.len()];
            for view in reads.iter().filter(|view| view.buffer == buffer) {
                for pixel in 0..view.pixels() {
                    let at = pixel * view.pitch + view.first;
                    kept[at..at + view.channels].copy_from_slice(&item[at..at + view.channels]);
                }
            }
            *item = kept;
        }
    }
    items
}

/// Compares what a kernel left in one item's buffer with what the interpreter did: float16 and the order of a sum apart where it
/// writes, and nothing else touched.
pub fn compare(name: &str, view: View, expected: &[f32], found: &[f32]) {
    assert_eq!(expected.len(), found.len());
    for (at, (&expected, &found)) in expected.iter().zip(found).enumerate() {
        let (pixel, channel) = (at / view.pitch, at % view.pitch);
        let place = || format!("{name}: pixel ({}, {}) channel {channel}", pixel / view.width, pixel % view.width);
        if (view.first..view.first + view.channels).contains(&channel) {
            let allowed = 2e-3 * expected.abs().max(1.0);
            assert!((expected - found).abs() <= allowed, "{}: expected {expected}, found {found}", place());
        } else {
            assert!(found.is_nan(), "{}: was written over with {found}", place());
        }
    }
}
