//! What an operation moves and computes, for profiles.

use super::program::{Conv, Op, Program, Target};

/// Of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cost {
    /// The operation and its sizes, for people.
    pub name: String,
    /// Activations read and written once each; weights are left out, since a batch shares them.
    pub bytes: usize,
    /// Multiplications and additions, two for each pair.
    pub flops: usize,
}

impl Program {
    /// The cost of each operation: of a block, what it moves at least, as one kernel.
    #[must_use]
    pub fn costs(&self) -> Vec<Cost> {
        let cost = |op: &Op| {
            let (reads, write) = op.views();
            let stored: usize = reads.iter().chain(&write).map(super::program::View::bytes).sum();
            let input = |input: usize| self.inputs[input].len() * self.inputs[input].element.bytes();
            let output = self.output.len() * self.output.element.bytes();
            let edge = match op {
                Op::Import(op) => input(op.input),
                Op::Block(op) => {
                    op.import.as_ref().map_or(0, |import| input(import.input))
                        + if op.export.is_some() { output } else { 0 }
                }
                Op::Export(_) => output,
                Op::Pointwise(op) if op.target == Target::Output => output,
                _ => 0,
            };
            Cost { name: op.to_string(), bytes: stored + edge, flops: flops(op) }
        };
        self.ops.iter().map(cost).collect()
    }
}

fn flops(op: &Op) -> usize {
    let conv = |op: &Conv| 2 * op.to.pixels() * op.to.channels * op.depth();
    match op {
        Op::Conv(op) => conv(op),
        Op::Depthwise(op) => 18 * op.to.pixels() * op.to.channels,
        Op::Block(op) => {
            let last = op.export.as_ref().map_or(0, |(last, _)| conv(last));
            conv(&op.expand) + 18 * op.depthwise.to.pixels() * op.depthwise.to.channels + conv(&op.project) + last
        }
        Op::Upsample(op) => 6 * op.to.pixels() * op.to.channels,
        Op::Pointwise(op) => op.steps.len() * op.item.iter().product::<usize>(),
        Op::Import(_) | Op::Export(_) => 0,
    }
}

impl std::fmt::Display for Op {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Import(op) => write!(f, "import {}x{} {}", op.to.height, op.to.width, op.to.channels),
            Self::Conv(op) => {
                let [rows, columns] = op.kernel;
                let (from, to) = (op.from, op.to);
                write!(f, "conv{rows}x{columns} {}x{} {}>{}", from.height, from.width, from.channels, to.channels)
            }
            Self::Depthwise(op) => {
                write!(f, "depthwise/{} {}x{} {}", op.stride[0], op.from.height, op.from.width, op.from.channels)
            }
            Self::Block(op) => {
                let (from, wide, to) = (op.expand.from, op.expand.to.channels, op.project.to.channels);
                let (stride, height) = (op.depthwise.stride[0], from.height);
                let import = if op.import.is_some() { "import+" } else { "" };
                write!(f, "{import}block/{stride} {height}x{} {}>{wide}>{to}", from.width, from.channels)?;
                op.export.as_ref().map_or(Ok(()), |(last, _)| write!(f, ">{}+export", last.to.channels))
            }
            Self::Upsample(op) => write!(f, "upsample {}x{} {}", op.from.height, op.from.width, op.from.channels),
            Self::Pointwise(op) => write!(f, "pointwise {}x{} {}", op.item[1], op.item[2], op.item[0]),
            Self::Export(op) => write!(f, "export {}x{} {}", op.from.height, op.from.width, op.from.channels),
        }
    }
}
