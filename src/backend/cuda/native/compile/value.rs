//! A tensor as it stands during compilation.

use crate::avatar::onnx::Node;

use super::super::error::CompileError;
use super::super::program::{Import, Load, Op, Place, Step, Target, VECTOR, View};
use super::shape::Shape;
use super::{Compiler, refuse};

/// What is known of a tensor.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Stored(Stored),
    /// Postfix steps that nothing has needed stored so far.
    Expression(Vec<Step>),
}

/// A tensor in a buffer.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub view: View,
    /// The view's channel that holds each of the tensor's: concatenated parts leave gaps between them.
    pub lanes: Vec<usize>,
}

/// Where a concatenation wants a part.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    view: View,
    taken: bool,
}

impl Value {
    pub fn stored(view: View, lanes: Vec<usize>) -> Self {
        Self::Stored(Stored { view, lanes })
    }

    /// A tensor whose channels lie one after the other.
    pub fn plain(view: View, channels: usize) -> Self {
        Self::stored(view, (0..channels).collect())
    }
}

impl Stored {
    /// Whether the tensor's channels are the view's first ones.
    pub fn is_plain(&self) -> bool {
        self.lanes.iter().enumerate().all(|(at, &lane)| at == lane)
    }
}

impl<'a> Compiler<'_, 'a> {
    /// A new buffer for a tensor of `shape`.
    pub fn buffer(&mut self, shape: Shape) -> View {
        let channels = shape.channels.next_multiple_of(VECTOR);
        self.buffers.push(shape.pixels() * channels);
        let Shape { height, width, .. } = shape;
        View { buffer: self.buffers.len() - 1, height, width, channels, first: 0, pitch: channels }
    }

    /// Where the output of `node` is stored: a buffer of its own, or its part of a concatenation.
    pub fn place(&mut self, node: &Node<'a>) -> Result<(&'a str, View), CompileError> {
        let (name, shape) = self.made_by(node)?;
        Ok((name, self.place_of(name, shape)))
    }

    /// Name and shape of what `node` makes.
    pub fn made_by(&self, node: &Node<'a>) -> Result<(&'a str, Shape), CompileError> {
        let name = node.outputs.first().copied().unwrap_or_default();
        let shape = self.graph.shape(name).ok_or_else(|| refuse(node, "it makes nothing"))?;
        Ok((name, shape))
    }

    /// As [`Self::place`], by name.
    pub fn place_of(&mut self, name: &'a str, shape: Shape) -> View {
        let graph = self.graph;
        let users = graph.users(name).iter().map(|&user| &graph.network.nodes[user]);
        if let Some(concat) = users.into_iter().find(|user| user.op == "Concat") {
            self.lay_out(concat);
        }
        match self.slots.get_mut(name) {
            Some(slot) if !slot.taken => {
                slot.taken = true;
                slot.view
            }
            _ => self.buffer(shape),
        }
    }

    /// Makes the buffer of a concatenation, once, with a slot for each part that has none yet.
    fn lay_out(&mut self, concat: &Node<'a>) -> Option<View> {
        let &name = concat.outputs.first()?;
        if let Some(&whole) = self.wholes.get(name) {
            return Some(whole);
        }
        let shapes: Option<Vec<_>> = concat.inputs.iter().map(|&part| self.graph.shape(part)).collect();
        let shapes = shapes.filter(|shapes| !shapes.is_empty())?;
        let widths = shapes.iter().map(|part| part.channels.next_multiple_of(VECTOR));
        let Shape { height, width, .. } = shapes[0];
        let whole = self.buffer(Shape::new(widths.clone().sum(), height, width));
        let mut first = 0;
        for (&part, channels) in concat.inputs.iter().zip(widths) {
            let view = View { channels, first, ..whole };
            self.slots.entry(part).or_insert(Slot { view, taken: false });
            first += channels;
        }
        self.wholes.insert(name, whole);
        Some(whole)
    }

    /// `Concat`: its parts are where they belong, but for those that could not be made there.
    pub fn concat(&mut self, node: &Node<'a>) -> Result<(), CompileError> {
        let whole = self.lay_out(node).ok_or_else(|| refuse(node, "a part is a constant"))?;
        let (mut first, mut lanes) = (0, Vec::new());
        for index in 0..node.inputs.len() {
            let shape = self.graph.shape_of(node, index).ok_or_else(|| refuse(node, "a part is a constant"))?;
            let channels = shape.channels.next_multiple_of(VECTOR);
            let to = View { channels, first, ..whole };
            if self.stored(node, index)?.view != to {
                let steps = self.expression(node, index)?;
                self.store_expression(Target::Stored(to), shape, steps);
            }
            lanes.extend(first..first + shape.channels);
            first += channels;
        }
        let name = node.outputs.first().copied().unwrap_or_default();
        self.values.insert(name, Value::stored(whole, lanes));
        Ok(())
    }

    /// The tensor that feeds input `index`, stored; an expression is computed for it, an input converted.
    pub fn stored(&mut self, node: &Node<'a>, index: usize) -> Result<Stored, CompileError> {
        let name = node.input(index).ok_or_else(|| refuse(node, "an input is missing"))?;
        let shape = self.graph.shape(name).ok_or_else(|| refuse(node, "its input is a constant"))?;
        let steps = match self.values.get(name) {
            Some(Value::Stored(stored)) => return Ok(stored.clone()),
            Some(Value::Expression(steps)) => steps.clone(),
            None => return self.import(node, name, shape),
        };
        let view = self.place_of(name, shape);
        self.store_expression(Target::Stored(view), shape, steps);
        self.values.insert(name, Value::plain(view, shape.channels));
        Ok(Stored { view, lanes: (0..shape.channels).collect() })
    }

    fn import(&mut self, node: &Node<'a>, name: &'a str, shape: Shape) -> Result<Stored, CompileError> {
        let input = self.graph.network.info.inputs.iter().position(|input| input.name == name);
        let input = input.ok_or_else(|| refuse(node, "an input of it is made by no earlier node"))?;
        let to = self.place_of(name, shape);
        self.ops.push(Op::Import(Import { input, to }));
        self.values.insert(name, Value::plain(to, shape.channels));
        Ok(Stored { view: to, lanes: (0..shape.channels).collect() })
    }

    /// The tensor that feeds input `index` as an expression.
    pub fn expression(&mut self, node: &Node<'a>, index: usize) -> Result<Vec<Step>, CompileError> {
        if let Some(name) = node.input(index)
            && let Some(Value::Expression(steps)) = self.values.get(name)
        {
            return Ok(steps.clone());
        }
        let stored = self.stored(node, index)?;
        load(&stored).ok_or_else(|| refuse(node, "a concatenation's channels with gaps between them"))
    }

    /// As [`Self::expression`], for a tensor that no node uses.
    pub fn expression_of(&self, name: &str) -> Result<Vec<Step>, CompileError> {
        let steps = match self.values.get(name) {
            Some(Value::Expression(steps)) => Some(steps.clone()),
            Some(Value::Stored(stored)) => load(stored),
            None => None,
        };
        let found = "an input itself, or parts of several".to_owned();
        steps.ok_or_else(|| CompileError::Edge { tensor: name.to_owned(), found })
    }
}

/// A stored tensor as an expression, when its channels are neighbours.
fn load(stored: &Stored) -> Option<Vec<Step>> {
    let &first = stored.lanes.first()?;
    let neighbours = stored.lanes.iter().enumerate().all(|(at, &lane)| lane == first + at);
    let load = Load { from: stored.view, first, step: 1, place: Place::Same };
    neighbours.then(|| vec![Step::Load(load)])
}
