//! Which tensors change their name at the edges, and which must stay float32.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use super::super::node::Node;
use super::super::view::GraphInfo;
use super::super::wire::{fields, text_of};
use super::{Edges, HalfError, is_float};

/// Where the tensors of a graph come from and where they are needed as they were.
pub(super) struct Plan<'a> {
    /// Float inputs that get a cast to float16 behind them.
    pub cast_inputs: BTreeSet<&'a str>,
    /// Float outputs that get a cast to float32 before them.
    pub cast_outputs: BTreeSet<&'a str>,
    /// Tensors some operator wants in float32, and whether they are constants.
    single: HashMap<&'a str, bool>,
    /// First user, by its first output, of each computed tensor in `single`: where the cast goes.
    cast_at: HashMap<&'a str, &'a str>,
    /// Tensors used where float16 is meant.
    half_uses: HashSet<&'a str>,
    /// Free of any name in the graph.
    suffix: String,
}

impl<'a> Plan<'a> {
    pub fn new(graph: &'a [u8], info: &'a GraphInfo, edges: Edges) -> Result<Self, HalfError> {
        let (mut constants, mut names) = (HashSet::new(), HashSet::new());
        let mut nodes = Vec::new();
        for field in fields(graph) {
            let field = field?;
            match field.number {
                1 => nodes.push(check(Node::parse(field.bytes()?)?)?),
                5 => {
                    constants.insert(text_of(field.bytes()?, 8)?);
                }
                15 => return Err(HalfError::Operator { op: "sparse initializer".to_owned() }),
                _ => {}
            }
        }
        for node in &nodes {
            names.extend(node.inputs.iter().chain(&node.outputs).copied());
            if node.op == "Constant" && node.constant().is_some() {
                constants.extend(node.outputs.first());
            }
        }
        let floats = |all: &'a [_]| {
            let wanted = edges == Edges::Single;
            all.iter().filter(move |info| wanted && is_float(info)).map(|info| info.name.as_str()).collect()
        };
        let mut plan = Self {
            cast_inputs: floats(&info.inputs),
            cast_outputs: floats(&info.outputs),
            single: HashMap::new(),
            cast_at: HashMap::new(),
            half_uses: HashSet::new(),
            suffix: free_suffix(&names),
        };
        plan.check_outputs(info, &constants)?;
        nodes.iter().for_each(|node| plan.note_uses(node, &constants));
        Ok(plan)
    }

    /// An output that no node makes has nothing before it to put a cast on.
    fn check_outputs(&self, info: &GraphInfo, constants: &HashSet<&str>) -> Result<(), HalfError> {
        let made = |name: &str| !constants.contains(name) && !info.inputs.iter().any(|input| input.name == name);
        match info.outputs.iter().find(|output| !made(&output.name)) {
            Some(output) => Err(HalfError::Output { tensor: output.name.clone() }),
            None => Ok(()),
        }
    }

    fn note_uses(&mut self, node: &Node<'a>, constants: &HashSet<&'a str>) {
        for (_, name) in single_inputs(node) {
            let constant = constants.contains(name);
            self.single.insert(name, constant);
            if !constant && let Some(&user) = node.outputs.first() {
                self.cast_at.entry(name).or_insert(user);
            }
        }
        for (index, &name) in node.inputs.iter().enumerate() {
            if !single_inputs(node).any(|(single, _)| single == index) {
                self.half_uses.insert(name);
            }
        }
    }

    /// What tensor `name` is called inside the halved graph.
    pub fn name<'n>(&self, name: &'n str) -> Cow<'n, str> {
        if self.cast_inputs.contains(name) || self.cast_outputs.contains(name) {
            Cow::Owned(format!("{name}{}", self.suffix))
        } else {
            Cow::Borrowed(name)
        }
    }

    /// What the float32 form of tensor `name` is called.
    pub fn single_name(&self, name: &str) -> String {
        format!("{name}{}_single", self.suffix)
    }

    /// Whether tensor `name` exists in float32 beside its halved form.
    pub fn is_single(&self, name: &str) -> bool {
        self.single.contains_key(name)
    }

    /// Whether it is a constant that is kept as it was.
    pub fn is_kept_single(&self, name: &str) -> bool {
        self.single.get(name).is_some_and(|&constant| constant)
    }

    /// Whether anything uses it in float16.
    pub fn is_used_half(&self, name: &str) -> bool {
        self.half_uses.contains(name)
    }

    /// Whether a cast of input `index` goes right before `node`.
    pub fn is_cast_for(&self, node: &Node<'a>, index: usize) -> bool {
        let user = node.input(index).and_then(|name| self.cast_at.get(name));
        user.is_some() && user == node.outputs.first()
    }
}

/// Inputs that an operator takes in float32 only: <https://onnx.ai/onnx/operators/onnx__Resize.html>.
pub(super) fn single_inputs<'n, 'a>(node: &'n Node<'a>) -> impl Iterator<Item = (usize, &'a str)> + use<'n, 'a> {
    let positions: &[usize] = match (node.op, node.inputs.len()) {
        // Resize-10 has the scales second; later ones the region second, the scales third.
        ("Upsample", _) | ("Resize", 2) => &[1],
        ("Resize", _) => &[1, 2],
        _ => &[],
    };
    positions.iter().filter_map(|&index| Some((index, node.input(index)?)))
}

/// Operators whose float32 is not a matter of precision alone.
fn check(node: Node<'_>) -> Result<Node<'_>, HalfError> {
    let refused = !node.is_standard()
        || node.op.starts_with("Random")
        || node.op.contains("QuantizeLinear")
        || matches!(node.op, "Bernoulli" | "Multinomial" | "CastLike");
    match refused {
        true => Err(HalfError::Operator { op: node.op.to_owned() }),
        false => Ok(node),
    }
}

fn free_suffix(names: &HashSet<&str>) -> String {
    const STEM: &str = "_half";
    let underscores = |rest: &str| rest.bytes().take_while(|&byte| byte == b'_').count();
    let runs =
        names.iter().flat_map(|name| name.match_indices(STEM).map(|(at, _)| underscores(&name[at + STEM.len()..])));
    // One more than any name has.
    let more = runs.max().map_or(0, |longest| longest + 1);
    format!("{STEM}{}", "_".repeat(more))
}
