//! Convolutions, with what follows them folded in: constants into the weights, a residual and an activation into the epilogue.

use half::f16;

use crate::avatar::onnx::Node;

use super::super::error::CompileError;
use super::super::program::{Activation, Conv, Depthwise, Op, VECTOR, View};
use super::graph::Graph;
use super::pointwise::{activation, normalisation, per_channel};
use super::shape::{Window, transposed, window};
use super::value::{Stored, Value};
use super::{Compiler, refuse};

/// Weights and a bias as ONNX has them, constants that follow folded in: `[out, in / groups, rows, columns]` of a convolution,
/// `[in, out, rows, columns]` of a transposed one.
struct Weights<'a> {
    name: &'a str,
    values: Vec<f32>,
    bias: Vec<f32>,
    /// Values of one output channel that lie together.
    run: usize,
}

/// What follows a convolution and is done in the same kernel.
struct Tail<'a> {
    /// The tensor that comes out at the end.
    name: &'a str,
    residual: Option<View>,
    activation: Activation,
}

impl<'a> Compiler<'_, 'a> {
    /// `Conv` and `ConvTranspose`.
    pub fn convolution(&mut self, index: usize) -> Result<(), CompileError> {
        let graph = self.graph;
        let node = &graph.network.nodes[index];
        let spread = node.op == "ConvTranspose";
        let window = if spread { transposed(graph, node)? } else { window(graph, node)? };
        let from = self.stored(node, 0)?;
        let mut weights = Weights::read(graph, node, &window, spread)?;
        let tail = self.tail(node, &window, &mut weights, spread)?;
        let out = window.out;
        let op = match (spread, window.depthwise) {
            (true, _) => {
                // Every pixel's channels are outputs of one product: the rows of the output lie one after the other.
                let to = self.buffer(out);
                let channels = out.pixels() * out.channels;
                let rows = View { height: 1, width: 1, channels, pitch: channels, ..to };
                let op = weights.spread(&from, rows, &window)?;
                self.values.insert(tail.name, Value::plain(to, out.channels));
                Op::Conv(Conv { activation: tail.activation, ..op })
            }
            (false, true) => {
                // Channels stay where they are, gaps of a concatenation included.
                let to = self.place_of(tail.name, out);
                let (to, lanes) = if from.is_plain() {
                    (to, (0..out.channels).collect())
                } else {
                    let wide = super::shape::Shape { channels: from.view.channels, ..out };
                    (self.buffer(wide), from.lanes.clone())
                };
                self.values.insert(tail.name, Value::stored(to, lanes));
                Op::Depthwise(weights.depthwise(&from, to, &window, tail.activation))
            }
            (false, false) => {
                let to = self.place_of(tail.name, out);
                self.values.insert(tail.name, Value::plain(to, out.channels));
                let op = weights.dense(&from, to, &window)?;
                Op::Conv(Conv { residual: tail.residual, activation: tail.activation, ..op })
            }
        };
        self.ops.push(op);
        Ok(())
    }

    /// Takes in the nodes behind `node`, as long as each is the only user of the one before.
    fn tail(
        &mut self,
        node: &Node<'a>,
        window: &Window,
        weights: &mut Weights<'a>,
        spread: bool,
    ) -> Result<Tail<'a>, CompileError> {
        let graph = self.graph;
        let name = node.outputs.first().copied().unwrap_or_default();
        let mut tail = Tail { name, residual: None, activation: Activation::None };
        while let Some(user) = graph.only_user(tail.name).filter(|_| tail.activation == Activation::None) {
            let next = &graph.network.nodes[user];
            let Some(&after) = next.outputs.first().filter(|name| graph.shape(name) == Some(window.out)) else {
                break;
            };
            let taken = match (next.op, activation(next)) {
                ("Identity" | "Dropout", _) => true,
                (_, Some(activation)) => {
                    tail.activation = activation;
                    true
                }
                _ if tail.residual.is_some() => false,
                _ if weights.fold(graph, next, tail.name)? => true,
                ("Add", _) if !spread && !window.depthwise => {
                    tail.residual = self.residual(next, tail.name)?;
                    tail.residual.is_some()
                }
                _ => false,
            };
            if !taken {
                break;
            }
            self.done[user] = true;
            tail.name = after;
        }
        Ok(tail)
    }

    /// The other operand of `add`, when it exists already and has the layout of a convolution's output.
    fn residual(&mut self, add: &Node<'a>, name: &str) -> Result<Option<View>, CompileError> {
        let graph = self.graph;
        let index = usize::from(add.input(0) == Some(name));
        let Some(other) = add.input(index).filter(|other| graph.shape(other) == graph.shape(name)) else {
            return Ok(None);
        };
        if !self.values.contains_key(other) {
            return Ok(None);
        }
        let stored = self.stored(add, index)?;
        Ok(stored.is_plain().then_some(stored.view))
    }
}

impl<'a> Weights<'a> {
    fn read(graph: &Graph<'_>, node: &Node<'a>, window: &Window, spread: bool) -> Result<Self, CompileError> {
        let values = graph.floats(node, 1)?.ok_or_else(|| refuse(node, "its weights are not float32 or float16"))?;
        let bias = match node.input(2) {
            Some(_) => graph.floats(node, 2)?,
            None => Some(vec![0.0; window.out.channels]),
        };
        let bias = bias.filter(|bias| bias.len() == window.out.channels);
        let bias = bias.ok_or_else(|| refuse(node, "its bias is not one float for each output channel"))?;
        let run = if spread { window.kernel[0] * window.kernel[1] } else { values.len() / bias.len().max(1) };
        Ok(Self { name: node.input(1).unwrap_or_default(), values, bias, run })
    }

    /// Folds `next`, which is applied to `name`, into the weights: true when it is a factor or an offset for each channel.
    fn fold(&mut self, graph: &Graph<'_>, next: &Node<'_>, name: &str) -> Result<bool, CompileError> {
        let channels = self.bias.len();
        if next.op == "BatchNormalization" {
            let (factors, offsets) = normalisation(graph, next, channels)?;
            for (channel, (factor, offset)) in factors.into_iter().zip(offsets).enumerate() {
                self.scale(channel, factor);
                self.bias[channel] += offset;
            }
            return Ok(true);
        }
        let first = next.input(0) == Some(name);
        let Some(other) = per_channel(graph, next, usize::from(first), channels)? else {
            return Ok(false);
        };
        for (channel, other) in other.into_iter().enumerate() {
            match (next.op, first) {
                ("Mul", _) => self.scale(channel, other),
                ("Add", _) => self.bias[channel] += other,
                ("Sub", true) => self.bias[channel] -= other,
                ("Sub", false) => {
                    self.scale(channel, -1.0);
                    self.bias[channel] += other;
                }
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    fn scale(&mut self, channel: usize, factor: f32) {
        let runs = self.values.chunks_mut(self.run.max(1)).skip(channel).step_by(self.bias.len().max(1));
        runs.flatten().for_each(|value| *value *= factor);
        self.bias[channel] *= factor;
    }

    fn half(&self, value: f32) -> Result<f16, CompileError> {
        let half = f16::from_f32(value);
        match half.is_finite() {
            true => Ok(half),
            false => Err(CompileError::Weight { tensor: self.name.to_owned(), value }),
        }
    }

    /// For the layout of `from`, rows and columns before input channels, everything padded.
    fn dense(&self, from: &Stored, to: View, window: &Window) -> Result<Conv, CompileError> {
        let taps = window.kernel[0] * window.kernel[1];
        let (inputs, outputs) = (from.lanes.len(), self.bias.len());
        let mut weights = vec![f16::ZERO; to.channels * taps * from.view.channels];
        for out in 0..outputs {
            for tap in 0..taps {
                let row = (out * taps + tap) * from.view.channels;
                for (channel, &lane) in from.lanes.iter().enumerate() {
                    weights[row + lane] = self.half(self.values[(out * inputs + channel) * taps + tap])?;
                }
            }
        }
        Ok(conv(from.view, to, window, weights, padded(&self.bias, to.channels)))
    }

    /// Of one pixel to a row of pixels.
    fn spread(&self, from: &Stored, to: View, window: &Window) -> Result<Conv, CompileError> {
        let (taps, outputs) = (window.kernel[0] * window.kernel[1], self.bias.len());
        let mut weights = vec![f16::ZERO; to.channels * from.view.channels];
        for (channel, &lane) in from.lanes.iter().enumerate() {
            for (out, tap) in (0..outputs).flat_map(|out| (0..taps).map(move |tap| (out, tap))) {
                let value = self.values[(channel * outputs + out) * taps + tap];
                weights[(tap * outputs + out) * from.view.channels + lane] = self.half(value)?;
            }
        }
        let bias = (0..taps).flat_map(|_| self.bias.iter().copied()).collect();
        Ok(conv(from.view, to, &Window { kernel: [1, 1], stride: [1, 1], pads: [0, 0], ..*window }, weights, bias))
    }

    fn depthwise(&self, from: &Stored, to: View, window: &Window, activation: Activation) -> Depthwise {
        let mut weights = vec![0.0; 9 * to.channels];
        let mut bias = vec![0.0; to.channels];
        for (channel, &lane) in from.lanes.iter().enumerate() {
            bias[lane] = self.bias[channel];
            for tap in 0..9 {
                weights[tap * to.channels + lane] = self.values[channel * 9 + tap];
            }
        }
        Depthwise { from: from.view, to, stride: window.stride, pads: window.pads, weights, bias, activation }
    }
}

fn conv(from: View, to: View, window: &Window, weights: Vec<f16>, bias: Vec<f32>) -> Conv {
    let Window { kernel, stride, pads, .. } = *window;
    Conv { from, to, kernel, stride, pads, weights, bias, residual: None, activation: Activation::None }
}

fn padded(values: &[f32], len: usize) -> Vec<f32> {
    debug_assert!(len.is_multiple_of(VECTOR));
    values.iter().copied().chain(std::iter::repeat(0.0)).take(len).collect()
}
