//! Elementwise operators, collected into expressions that are computed where something needs them stored.

use crate::avatar::onnx::Node;

use super::super::error::CompileError;
use super::super::params::{MOST_STACKED, MOST_STEPS};
use super::super::program::{Activation, Load, Op, Place, Pointwise, Step, Target, VECTOR, View};
use super::graph::Graph;
use super::shape::{Shape, UNKNOWN, slice};
use super::value::{Stored, Value};
use super::{Compiler, refuse};

impl<'a> Compiler<'_, 'a> {
    pub fn pointwise(&mut self, node: &Node<'a>) -> Result<(), CompileError> {
        let name = node.outputs.first().copied().unwrap_or_default();
        let shape = self.graph.shape(name).ok_or_else(|| refuse(node, "it makes nothing"))?;
        let value = match node.op {
            "Relu" | "Sigmoid" | "Tanh" => {
                let mut steps = self.operand(node, 0, shape)?;
                if steps.len() >= MOST_STEPS {
                    self.stored(node, 0)?;
                    steps = self.operand(node, 0, shape)?;
                }
                steps.push(Step::Activate(activation(node).unwrap_or(Activation::None)));
                Value::Expression(steps)
            }
            "Add" | "Sub" | "Mul" => self.binary(node, shape)?,
            "BatchNormalization" => self.normalised(node, shape)?,
            "Slice" => self.slice(node)?,
            "DepthToSpace" => {
                let stored = self.stored(node, 0)?;
                let plain = stored.is_plain().then_some(stored.view);
                let from = plain.ok_or_else(|| refuse(node, "a concatenation's channels with gaps between them"))?;
                Value::Expression(vec![Step::Load(Load { from, first: 0, step: 1, place: Place::Shuffled })])
            }
            // The same values under another name.
            "Identity" | "Dropout" | "Cast" | "Pad" | "Reshape" | "Flatten" | "Squeeze" => {
                match node.input(0).and_then(|name| self.values.get(name)) {
                    Some(value) => value.clone(),
                    None => Value::Stored(self.stored(node, 0)?),
                }
            }
            _ => return Err(refuse(node, UNKNOWN)),
        };
        self.values.insert(name, value);
        Ok(())
    }

    fn binary(&mut self, node: &Node<'a>, shape: Shape) -> Result<Value, CompileError> {
        let mut steps = self.operand(node, 0, shape)?;
        let mut other = self.operand(node, 1, shape)?;
        for index in [1, 0] {
            if steps.len() + other.len() < MOST_STEPS && depth(&steps).max(1 + depth(&other)) <= MOST_STACKED {
                break;
            }
            // Too much for one kernel: the operands are computed by kernels of their own.
            if self.graph.shape_of(node, index).is_some() {
                self.stored(node, index)?;
            }
            let again = self.operand(node, index, shape)?;
            if index == 1 { other = again } else { steps = again }
        }
        steps.append(&mut other);
        steps.push(match node.op {
            "Add" => Step::Add,
            "Sub" => Step::Subtract,
            _ => Step::Multiply,
        });
        Ok(Value::Expression(steps))
    }

    /// A normalisation that no convolution could take in.
    fn normalised(&mut self, node: &Node<'a>, shape: Shape) -> Result<Value, CompileError> {
        let (factors, offsets) = normalisation(self.graph, node, shape.channels)?;
        let mut steps = self.operand(node, 0, shape)?;
        if steps.len() + 4 > MOST_STEPS {
            self.stored(node, 0)?;
            steps = self.operand(node, 0, shape)?;
        }
        steps.extend([Step::Channels(factors), Step::Multiply, Step::Channels(offsets), Step::Add]);
        Ok(Value::Expression(steps))
    }

    /// Input `index` as an expression for every value of `shape`.
    fn operand(&mut self, node: &Node<'a>, index: usize, shape: Shape) -> Result<Vec<Step>, CompileError> {
        let Some(own) = self.graph.shape_of(node, index) else {
            let values = per_channel(self.graph, node, index, shape.channels)?;
            let values =
                values.ok_or_else(|| refuse(node, "only constants with one value, or one for each channel"))?;
            let same = values.iter().all(|value| *value == values[0]);
            return Ok(vec![if same { Step::Constant(values[0]) } else { Step::Channels(values) }]);
        };
        let mut steps = self.expression(node, index)?;
        for step in &mut steps {
            match step {
                Step::Load(load) => {
                    if own.channels == 1 && shape.channels > 1 {
                        load.step = 0;
                    }
                    if own.pixels() == 1 && shape.pixels() > 1 {
                        load.place = Place::Everywhere;
                    }
                }
                Step::Channels(values) if own.channels == 1 => *step = Step::Constant(values[0]),
                _ => {}
            }
        }
        Ok(steps)
    }

    /// `Slice`: a part of the view where that is whole vectors, or an expression that reads from another channel on.
    fn slice(&mut self, node: &Node<'a>) -> Result<Value, CompileError> {
        let part = slice(self.graph, node)?;
        let stored = match node.input(0).and_then(|name| self.values.get(name)) {
            Some(Value::Expression(_)) => None,
            _ => Some(self.stored(node, 0)?),
        };
        if let Some(Stored { view, lanes }) = stored
            && let Some(lanes) = lanes.get(part.clone())
            && let Some(&first) = lanes.first()
            && first.is_multiple_of(VECTOR)
            && lanes.iter().enumerate().all(|(at, &lane)| lane == first + at)
        {
            let channels = part.len().next_multiple_of(VECTOR);
            let view = View { first: view.first + first, channels, ..view };
            return Ok(Value::plain(view, part.len()));
        }
        let mut steps = self.expression(node, 0)?;
        for step in &mut steps {
            match step {
                Step::Load(load) => load.first += part.start * load.step,
                Step::Channels(values) => *values = values.get(part.clone()).unwrap_or_default().to_vec(),
                _ => {}
            }
        }
        Ok(Value::Expression(steps))
    }

    /// Computes `steps` into `target`.
    pub fn store_expression(&mut self, target: Target, shape: Shape, steps: Vec<Step>) {
        let item = [shape.channels, shape.height, shape.width];
        self.ops.push(Op::Pointwise(Pointwise { target, item, steps }));
    }
}

/// Values an expression has on its stack at most.
fn depth(steps: &[Step]) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    for step in steps {
        match step {
            Step::Load(_) | Step::Constant(_) | Step::Channels(_) => now += 1,
            Step::Add | Step::Subtract | Step::Multiply => now = now.saturating_sub(1),
            Step::Activate(_) => {}
        }
        most = most.max(now);
    }
    most
}

/// The activation that `node` is.
pub(super) fn activation(node: &Node<'_>) -> Option<Activation> {
    match node.op {
        "Relu" => Some(Activation::Relu),
        "Sigmoid" => Some(Activation::Sigmoid),
        "Tanh" => Some(Activation::Tanh),
        _ => None,
    }
}

/// The factor and the offset of each channel that a `BatchNormalization` is in inference (Ioffe and Szegedy 2015, algorithm 2).
pub(super) fn normalisation(
    graph: &Graph<'_>,
    node: &Node<'_>,
    channels: usize,
) -> Result<(Vec<f32>, Vec<f32>), CompileError> {
    let parameter = |index| {
        let values = graph.floats(node, index)?.filter(|values| values.len() == channels);
        values.ok_or_else(|| refuse(node, "its parameters are not one float for each channel"))
    };
    if node.int_or("training_mode", 0) != 0 {
        return Err(refuse(node, "only with the statistics of training"));
    }
    let (scale, offset, mean, variance) = (parameter(1)?, parameter(2)?, parameter(3)?, parameter(4)?);
    let epsilon = node.float_or("epsilon", 1e-5);
    let factors: Vec<f32> =
        scale.iter().zip(&variance).map(|(scale, variance)| scale / (variance + epsilon).sqrt()).collect();
    let moved = offset.iter().zip(&mean).zip(&factors).map(|((offset, mean), factor)| offset - mean * factor);
    let offsets = moved.collect();
    Ok((factors, offsets))
}

/// The constant that feeds input `index`, one value for each of `channels`.
pub(super) fn per_channel(
    graph: &Graph<'_>,
    node: &Node<'_>,
    index: usize,
    channels: usize,
) -> Result<Option<Vec<f32>>, CompileError> {
    let (Some(dims), Some(values)) = (graph.constant_dims(node, index), graph.floats(node, index)?) else {
        return Ok(None);
    };
    if values.len() == 1 {
        return Ok(Some(vec![values[0]; channels]));
    }
    // Broadcasting aligns last dimensions: the channels are the third from behind.
    let along_channels = matches!(dims.as_slice(), [_, 1, 1] | [1, _, 1, 1]) && values.len() == channels;
    Ok(along_channels.then_some(values))
}
