//! Which messages of a network lie in which: every place where a tensor or a node can be.

/// Messages within messages that are looked into: forty graphs, of which each takes three. ONNX Runtime's reader goes down 100.
pub(super) const MAX_DEPTH: usize = 3 * 40 + 4;

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
