//! Inverted residuals among the finished operations.

use super::super::program::{Activation, Block, Conv, Depthwise, Op, Program};

/// Joins each 1x1 expansion, depthwise convolution and 1x1 projection whose middles nothing else touches.
pub(super) fn find(program: Program) -> Program {
    let alone = used_between_two(&program);
    let Program { inputs, output, buffers, ops } = program;
    let mut found: Vec<Op> = Vec::with_capacity(ops.len());
    for op in ops {
        let Op::Conv(project) = op else {
            found.push(op);
            continue;
        };
        let joined = match found.as_slice() {
            [.., Op::Conv(expand), Op::Depthwise(depthwise)] => {
                let inner = [expand.to.buffer, depthwise.to.buffer];
                inner.iter().all(|&buffer| alone[buffer]) && is_block(expand, depthwise, &project)
            }
            _ => false,
        };
        let taken = if joined { (found.pop(), found.pop()) } else { (None, None) };
        found.push(match taken {
            (Some(Op::Depthwise(depthwise)), Some(Op::Conv(expand))) => {
                Op::Block(Box::new(Block { expand, depthwise, project }))
            }
            _ => Op::Conv(project),
        });
    }
    Program { inputs, output, buffers, ops: found }
}

fn is_block(expand: &Conv, depthwise: &Depthwise, project: &Conv) -> bool {
    expand.is_pointwise()
        && expand.residual.is_none()
        && expand.activation == Activation::Relu
        && depthwise.from == expand.to
        && depthwise.activation == Activation::Relu
        && depthwise.pads == [1, 1]
        && depthwise.stride[0] == depthwise.stride[1]
        && project.is_pointwise()
        && project.from == depthwise.to
        && project.activation == Activation::None
}

/// For each buffer, whether one operation writes it and one other reads it, once.
fn used_between_two(program: &Program) -> Vec<bool> {
    let mut uses = vec![(0, 0); program.buffers.len()];
    for (reads, write) in program.ops.iter().map(Op::views) {
        reads.iter().for_each(|view| uses[view.buffer].0 += 1);
        write.iter().for_each(|view| uses[view.buffer].1 += 1);
    }
    uses.into_iter().map(|uses| uses == (1, 1)).collect()
}
