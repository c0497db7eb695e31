//! A plain interpreter of compiled networks, one item at a time: what every kernel is compared with.

use half::f16;
use lipsyncd::backend::cuda::native::program::{
    Activation, Conv, Depthwise, Doubling, Export, Import, Load, Op, Place, Pointwise, Program, Step, Target, Upsample,
    View,
};

/// What activations are kept in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// float32: what is left against the network's own results is the weights' rounding.
    Single,
    /// float16, as on the GPU; sums are float32 either way.
    Half,
}

/// A network's buffers, of one item. What nothing has written is NaN, so that reading it shows.
pub struct Interpreter {
    keep: Keep,
    inputs: Vec<Vec<f32>>,
    pub buffers: Vec<Vec<f32>>,
    pub output: Vec<f32>,
}

impl Interpreter {
    /// `inputs` are planes as ONNX has them, in the program's order.
    pub fn new(program: &Program, keep: Keep, inputs: &[&[f32]]) -> Self {
        for (edge, values) in program.inputs.iter().zip(inputs) {
            assert_eq!(edge.len(), values.len(), "{}", edge.name);
        }
        let inputs = inputs.iter().map(|values| values.iter().map(|&value| round(keep, value)).collect()).collect();
        let buffers = program.buffers.iter().map(|&len| vec![f32::NAN; len]).collect();
        Self { keep, inputs, buffers, output: vec![f32::NAN; program.output.len()] }
    }

    /// Runs the whole network.
    pub fn run(program: &Program, keep: Keep, inputs: &[&[f32]]) -> Vec<f32> {
        let mut state = Self::new(program, keep, inputs);
        program.ops.iter().for_each(|op| state.apply(program, op));
        state.output
    }

    /// Runs one operation.
    pub fn apply(&mut self, program: &Program, op: &Op) {
        match op {
            Op::Import(op) => self.import(program, op),
            Op::Conv(op) => self.conv(op),
            Op::Depthwise(op) => self.depthwise(op),
            Op::Block(op) => {
                op.import.iter().for_each(|import| self.import(program, import));
                self.conv(&op.expand);
                self.depthwise(&op.depthwise);
                self.conv(&op.project);
                if let Some((last, export)) = &op.export {
                    self.conv(last);
                    self.export(export);
                }
            }
            Op::Upsample(op) => self.upsample(op),
            Op::Pointwise(op) => self.pointwise(op),
            Op::Export(op) => self.export(op),
        }
    }

    fn import(&mut self, program: &Program, op: &Import) {
        let (pixels, channels) = (op.to.pixels(), program.inputs[op.input].item[0]);
        let values: Vec<f32> = (0..pixels * op.to.channels)
            .map(|at| (at / op.to.channels, at % op.to.channels))
            .map(|(pixel, c)| if c < channels { self.inputs[op.input][c * pixels + pixel] } else { 0.0 })
            .collect();
        self.store(op.to, &values);
    }

    fn export(&mut self, op: &Export) {
        let pixels = op.from.pixels();
        self.output = (0..self.output.len()).map(|at| self.at(op.from, at % pixels, at / pixels)).collect();
    }

    /// The value of channel `c` of the view's pixel.
    pub fn at(&self, view: View, pixel: usize, c: usize) -> f32 {
        self.buffers[view.buffer][pixel * view.pitch + view.first + c]
    }

    /// The values a view covers, pixel by pixel.
    pub fn read(&self, view: View) -> Vec<f32> {
        let buffer = &self.buffers[view.buffer];
        let pixel = |at: usize| &buffer[at * view.pitch + view.first..][..view.channels];
        (0..view.pixels()).flat_map(|at| pixel(at).iter().copied()).collect()
    }

    /// Writes the values a view covers, pixel by pixel, rounded as kept.
    pub fn store(&mut self, view: View, values: &[f32]) {
        assert_eq!(values.len(), view.pixels() * view.channels);
        for (at, pixel) in values.chunks_exact(view.channels).enumerate() {
            let to = &mut self.buffers[view.buffer][at * view.pitch + view.first..][..view.channels];
            to.iter_mut().zip(pixel).for_each(|(to, &value)| *to = round(self.keep, value));
        }
    }

    fn conv(&mut self, op: &Conv) {
        let (from, out) = (self.read(op.from), op.to.channels);
        let (inputs, taps) = (op.from.channels, op.kernel[0] * op.kernel[1]);
        // `[tap, input, output]`: the inner loop runs over outputs.
        let weights: Vec<f32> = (0..taps * inputs)
            .flat_map(|row| (0..out).map(move |o| op.weights[o * taps * inputs + row].to_f32()))
            .collect();
        let residual = op.residual.map(|view| self.read(view));
        let mut values = vec![0.0; op.to.pixels() * out];
        // Two halves: the machine that runs the tests has two cores.
        let rows = op.to.height.div_ceil(2);
        std::thread::scope(|scope| {
            for (half, part) in values.chunks_mut(rows * op.to.width * out).enumerate() {
                let (from, weights, residual) = (&from, &weights, &residual);
                scope.spawn(move || {
                    for (at, sums) in part.chunks_exact_mut(out).enumerate() {
                        let pixel = half * rows * op.to.width + at;
                        sums.copy_from_slice(&op.bias);
                        for (tap, place) in taps_of(op.from, pixel, op.to.width, op.kernel, op.stride, op.pads) {
                            for c in 0..inputs {
                                let (value, row) = (from[place * inputs + c], tap * inputs + c);
                                axpy(sums, value, &weights[row * out..][..out]);
                            }
                        }
                        for (c, sum) in sums.iter_mut().enumerate() {
                            *sum += residual.as_ref().map_or(0.0, |residual| residual[pixel * out + c]);
                            *sum = activate(op.activation, *sum);
                        }
                    }
                });
            }
        });
        self.store(op.to, &values);
    }

    fn depthwise(&mut self, op: &Depthwise) {
        let (from, channels) = (self.read(op.from), op.to.channels);
        let mut values = vec![0.0; op.to.pixels() * channels];
        for (pixel, sums) in values.chunks_exact_mut(channels).enumerate() {
            sums.copy_from_slice(&op.bias);
            for (tap, place) in taps_of(op.from, pixel, op.to.width, [3, 3], op.stride, op.pads) {
                for (c, sum) in sums.iter_mut().enumerate() {
                    *sum += from[place * channels + c] * op.weights[tap * channels + c];
                }
            }
            sums.iter_mut().for_each(|sum| *sum = activate(op.activation, *sum));
        }
        self.store(op.to, &values);
    }

    fn upsample(&mut self, op: &Upsample) {
        let channels = op.from.channels;
        let from = self.read(op.from);
        // Source rows or columns of a doubled one, and the second's share.
        let mix = |at: usize, size: usize| match op.doubling {
            Doubling::Nearest => (at / 2, at / 2, 0.0),
            Doubling::Linear => {
                let place = (at * (size - 1)) as f32 / (2 * size - 1).max(1) as f32;
                let low = (place as usize).min(size - 1);
                (low, (low + 1).min(size - 1), place - low as f32)
            }
        };
        let mut values = Vec::with_capacity(op.to.pixels() * channels);
        for y in 0..op.to.height {
            let (top, bottom, down) = mix(y, op.from.height);
            for x in 0..op.to.width {
                let (left, right, across) = mix(x, op.from.width);
                let at = |row: usize, column: usize, c: usize| from[(row * op.from.width + column) * channels + c];
                values.extend((0..channels).map(|c| {
                    let line = |row: usize| at(row, left, c) * (1.0 - across) + at(row, right, c) * across;
                    line(top) * (1.0 - down) + line(bottom) * down
                }));
            }
        }
        self.store(op.to, &values);
    }

    fn pointwise(&mut self, op: &Pointwise) {
        let [channels, height, width] = op.item;
        let value = |c: usize, y: usize, x: usize| self.evaluate(&op.steps, width, c, y, x);
        match op.target {
            Target::Output => {
                let pixels = height * width;
                let all = (0..channels * pixels).map(|at| value(at / pixels, at % pixels / width, at % width));
                self.output = all.collect();
            }
            Target::Stored(view) => {
                assert_eq!([height, width], [view.height, view.width]);
                let all = (0..view.pixels() * view.channels).map(|at| (at / view.channels, at % view.channels));
                let all = all.map(|(p, c)| if c < channels { value(c, p / width, p % width) } else { 0.0 });
                self.store(view, &all.collect::<Vec<_>>());
            }
        }
    }

    fn evaluate(&self, steps: &[Step], width: usize, c: usize, y: usize, x: usize) -> f32 {
        let mut stack = Vec::new();
        for step in steps {
            let value = match step {
                Step::Load(load) => self.load(load, width, c, y, x),
                Step::Constant(value) => *value,
                Step::Channels(values) => values[c],
                Step::Activate(activation) => activate(*activation, stack.pop().unwrap()),
                Step::Add | Step::Subtract | Step::Multiply => {
                    let (b, a): (f32, f32) = (stack.pop().unwrap(), stack.pop().unwrap());
                    match step {
                        Step::Add => a + b,
                        Step::Subtract => a - b,
                        _ => a * b,
                    }
                }
            };
            stack.push(value);
        }
        assert_eq!(stack.len(), 1);
        stack[0]
    }

    fn load(&self, load: &Load, width: usize, c: usize, y: usize, x: usize) -> f32 {
        let c = load.first + c * load.step;
        match load.place {
            Place::Same => self.at(load.from, y * width + x, c),
            Place::Everywhere => self.at(load.from, 0, c),
            Place::Shuffled => self.at(load.from, y / 2 * load.from.width + x / 2, 4 * c + 2 * (y % 2) + x % 2),
        }
    }
}

/// The taps of a window that lie inside the picture, and the pixel under each.
fn taps_of(
    from: View,
    pixel: usize,
    out_width: usize,
    kernel: [usize; 2],
    stride: [usize; 2],
    pads: [usize; 2],
) -> impl Iterator<Item = (usize, usize)> {
    let (y, x) = (pixel / out_width, pixel % out_width);
    (0..kernel[0] * kernel[1]).filter_map(move |tap| {
        let row = (y * stride[0] + tap / kernel[1]).checked_sub(pads[0]).filter(|&row| row < from.height)?;
        let column = (x * stride[1] + tap % kernel[1]).checked_sub(pads[1]).filter(|&column| column < from.width)?;
        Some((tap, row * from.width + column))
    })
}

fn axpy(sums: &mut [f32], value: f32, weights: &[f32]) {
    for (sum, weight) in sums.iter_mut().zip(weights) {
        *sum += value * weight;
    }
}

fn activate(activation: Activation, value: f32) -> f32 {
    match activation {
        Activation::None => value,
        Activation::Relu => value.max(0.0),
        Activation::Sigmoid => 1.0 / (1.0 + (-value).exp()),
        Activation::Tanh => value.tanh(),
    }
}

fn round(keep: Keep, value: f32) -> f32 {
    match keep {
        Keep::Single => value,
        Keep::Half => f16::from_f32(value).to_f32(),
    }
}
