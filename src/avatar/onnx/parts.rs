//! Which messages of a network lie in which: every place where a tensor or a node can be.

use super::error::OnnxError;
use super::wire::{fields, text_of};

/// Messages within messages that are looked into: forty graphs, of which each takes three. ONNX Runtime's reader goes down 100.
pub(super) const MAX_DEPTH: usize = 3 * 40 + 3;

/// A message that holds tensors or nodes, or is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Model,
    Function,
    Graph,
    Node,
    Attribute,
    SparseTensor,
    Tensor,
}

impl Part {
    /// What its field `number` is, where that is such a message, too.
    pub fn inside(self, number: u32) -> Option<Self> {
        Some(match (self, number) {
            (Self::Model, 7) | (Self::Attribute, 6 | 11) => Self::Graph,
            (Self::Model, 25) => Self::Function,
            (Self::Graph, 1) | (Self::Function, 7) => Self::Node,
            (Self::Node, 5) | (Self::Function, 11) => Self::Attribute,
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Self::SparseTensor,
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::SparseTensor, 1 | 2) => Self::Tensor,
            _ => return None,
        })
    }
}

/// The first operator of the serialised network `model` that may run graphs of its own as often as it likes, such as `Loop` and `Scan`: whether it
/// ever ends cannot be told without running it.
///
/// # Errors
/// [`OnnxError`] when it is no network.
pub fn repeated(model: &[u8]) -> Result<Option<String>, OnnxError> {
    find_repeated(Part::Model, model, "", 0)
}

/// As [`repeated`], in `message`, which is or lies in a node of the operator `op`.
fn find_repeated(part: Part, message: &[u8], op: &str, depth: usize) -> Result<Option<String>, OnnxError> {
    if depth > MAX_DEPTH {
        return Err(OnnxError::Depth);
    }
    let op = match part {
        Part::Node => text_of(message, 4)?,
        _ => op,
    };
    for field in fields(message) {
        let field = field?;
        let found = match part.inside(field.number) {
            // Tensors hold no nodes.
            None | Some(Part::Tensor | Part::SparseTensor) => None,
            Some(Part::Graph) if part == Part::Attribute && op != "If" => Some(op.to_owned()),
            Some(inner) => find_repeated(inner, field.bytes()?, op, depth + 1)?,
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::super::build::{Parts, node};
    use super::super::wire::put_bytes;
    use super::*;

    /// A node of the operator `op` with `graph` inside.
    fn around(op: &str, graph: &[u8]) -> Vec<u8> {
        let (mut outer, mut attribute) = (node(op, &[], &["y"], &[]), Vec::new());
        put_bytes(&mut attribute, 6, graph);
        put_bytes(&mut outer, 5, &attribute);
        outer
    }

    fn graph(nodes: Vec<Vec<u8>>) -> Parts {
        Parts { nodes, ..Parts::default() }
    }

    #[test]
    fn an_operator_that_repeats_is_found_wherever_it_is() {
        let add = || node("Add", &["a", "a"], &["b"], &[("axis", &[1])]);
        let plain = graph(vec![add(), around("If", &graph(vec![add()]).graph())]);
        assert_eq!(repeated(&plain.model()).unwrap(), None);
        for op in ["Loop", "Scan", "BeamSearch"] {
            let repeats = || around(op, &graph(vec![add()]).graph());
            let found = |model: &[u8]| repeated(model).unwrap();
            assert_eq!(found(&graph(vec![add(), repeats()]).model()).as_deref(), Some(op));
            let within = graph(vec![around("If", &graph(vec![repeats()]).graph())]);
            assert_eq!(found(&within.model()).as_deref(), Some(op), "in a branch");
            let (mut function, mut model) = (Vec::new(), plain.model());
            put_bytes(&mut function, 7, &repeats());
            put_bytes(&mut model, 25, &function);
            assert_eq!(found(&model).as_deref(), Some(op), "in a function");
        }
    }

    #[test]
    fn graphs_in_graphs_have_an_end() {
        let mut deep = graph(vec![]).graph();
        for _ in 0..1000 {
            deep = graph(vec![around("If", &deep)]).graph();
        }
        let model = graph(vec![around("If", &deep)]).model();
        assert!(matches!(repeated(&model), Err(OnnxError::Depth)));
    }
}
