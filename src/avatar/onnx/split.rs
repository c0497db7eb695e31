//! Cuts a generator in two: what depends on the picture alone, and the rest, which hears the sound. What the first part makes of a picture is
//! the same every time the picture is drawn.

use std::collections::{HashMap, HashSet};

use super::error::OnnxError;
use super::node::Node;
use super::patch::{fix_first_dim, replace_graph, rewrite};
use super::value_info::read_value_info;
use super::view::{GraphInfo, find_graph};
use super::wire::{last_field, messages, put_bytes};
use super::write::value_info;

/// Sets of operators besides ONNX's own that ONNX Runtime's optimisers use.
const OPTIMISED: [&str; 2] = ["com.microsoft", "com.microsoft.nchwc"];

/// Operators whose graphs inside may use any tensor outside.
const WITH_GRAPHS: [&str; 4] = ["If", "Loop", "Scan", "SequenceMap"];

/// A network's two halves. Tensors called seams are outputs of the first and inputs of the second.
#[derive(Debug)]
pub struct Halves<'a> {
    model: &'a [u8],
    picture: &'a str,
    /// Names of the tensors that the second half takes from the first, in order.
    pub seams: Vec<&'a str>,
    /// Whether the second half takes the picture itself as well.
    pub both_see: bool,
    /// Tensors that depend on the picture alone.
    still: HashSet<&'a str>,
}

/// Cuts the serialised network `model`, best as its runtime will run it, between what its input `picture` alone decides and all else. `None` where there is nothing to cut, or
/// where it cannot be shown where: weights in other files, graphs within nodes.
///
/// # Errors
/// [`OnnxError`] when it is no network.
pub fn split<'a>(model: &'a [u8], picture: &'a str) -> Result<Option<Halves<'a>>, OnnxError> {
    let info = GraphInfo::parse(model)?;
    let is_output = |name: &str| info.outputs.iter().any(|output| output.name == name);
    let (mut still, mut sound) = (HashSet::from([picture]), HashSet::new());
    sound.extend(info.inputs.iter().map(|input| input.name.as_str()).filter(|&name| name != picture));
    let nodes = nodes(find_graph(model)?)?;
    for node in &nodes {
        if node.inputs.iter().any(|&input| sound.contains(input)) {
            sound.extend(node.outputs.iter().copied());
        } else if node.inputs.iter().any(|&input| still.contains(input)) {
            still.extend(node.outputs.iter().copied());
        }
    }
    let hears = |node: &&Node<'a>| node.outputs.iter().any(|&output| sound.contains(output));
    let mut seams = Vec::new();
    for &input in nodes.iter().filter(hears).flat_map(|node| &node.inputs) {
        if still.contains(input) && !seams.contains(&input) {
            seams.push(input);
        }
    }
    let both_see = seams.contains(&picture);
    seams.retain(|&seam| seam != picture);
    let whole = info.external.is_empty()
        && nodes
            .iter()
            .all(|node| (node.is_standard() || OPTIMISED.contains(&node.domain)) && !WITH_GRAPHS.contains(&node.op))
        && !seams.is_empty()
        && !still.iter().any(|&name| is_output(name));
    Ok(whole.then_some(Halves { model, picture, seams, both_see, still }))
}

fn nodes(graph: &[u8]) -> Result<Vec<Node<'_>>, OnnxError> {
    messages(graph, 1).map(|node| Node::parse(node?)).collect()
}

impl Halves<'_> {
    /// The half that sees: the picture to the seams, whose shapes its runtime finds out.
    ///
    /// # Errors
    /// [`OnnxError`].
    pub fn seeing(&self) -> Result<Vec<u8>, OnnxError> {
        let outputs = self.seams.iter().map(|seam| value_info(seam, None)).collect();
        self.half(&self.seams, |name| name == self.picture, Vec::new(), Some(outputs))
    }

    /// The half that hears: the seams, of these shapes, and the sound to the picture.
    ///
    /// # Errors
    /// [`OnnxError`].
    pub fn hearing(&self, shapes: &[Vec<i64>]) -> Result<Vec<u8>, OnnxError> {
        let inputs = self.seams.iter().zip(shapes).map(|(seam, shape)| value_info(seam, Some(shape))).collect();
        let info = GraphInfo::parse(self.model)?;
        let outputs: Vec<_> = info.outputs.iter().map(|output| output.name.as_str()).collect();
        self.half(&outputs, |name| name == self.picture || !self.still.contains(name), inputs, None)
    }

    /// What `outputs` need of the nodes and weights, up to the seams. Of the inputs those that are `kept` stay; `inputs` are added, and
    /// `outputs` stand in for the graph's own. It is for a batch of 1.
    fn half(
        &self,
        outputs: &[&str],
        kept: impl Fn(&str) -> bool,
        inputs: Vec<Vec<u8>>,
        new_outputs: Option<Vec<Vec<u8>>>,
    ) -> Result<Vec<u8>, OnnxError> {
        let graph = find_graph(self.model)?;
        let nodes = nodes(graph)?;
        let makers: HashMap<&str, usize> =
            nodes.iter().enumerate().flat_map(|(at, node)| node.outputs.iter().map(move |&name| (name, at))).collect();
        let given: &[&str] = if inputs.is_empty() { &[] } else { &self.seams };
        let (mut needed, mut used) = (vec![false; nodes.len()], HashSet::new());
        let mut open = outputs.to_vec();
        while let Some(name) = open.pop() {
            if given.contains(&name) || !used.insert(name) {
                continue;
            }
            if let Some(&at) = makers.get(name).filter(|&&at| !std::mem::replace(&mut needed[at], true)) {
                open.extend(nodes[at].inputs.iter().copied());
            }
        }
        let mut needed = needed.into_iter();
        let mut half = rewrite(graph, |field, out| {
            Ok(match field.number {
                1 => !needed.next().unwrap_or(false),
                5 => !last_field(field.bytes()?, 8)?
                    .is_some_and(|name| name.text().is_ok_and(|name| used.contains(name))),
                // Inputs, among which older files list the weights.
                11 => {
                    let name = read_value_info(field.bytes()?)?.name;
                    if kept(&name) && used.contains(name.as_str()) {
                        put_bytes(out, 11, &fix_first_dim(field.bytes()?, 1)?);
                    }
                    true
                }
                12 => new_outputs.is_some(),
                // Shapes in between, which runtimes infer.
                13 => true,
                _ => false,
            })
        })?;
        inputs.iter().for_each(|input| put_bytes(&mut half, 11, input));
        new_outputs.iter().flatten().for_each(|output| put_bytes(&mut half, 12, output));
        replace_graph(self.model, &half)
    }
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;
