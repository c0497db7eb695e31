//! Inverted residuals among the finished operations, and what belongs to them at the network's edges.

use super::super::block_tiles::fitting;
use super::super::program::{Activation, Block, Conv, Depthwise, Export, Import, Op, Program};
use crate::onnxruntime::Element;

/// Joins each 1x1 expansion, depthwise convolution and 1x1 projection whose middles nothing else touches; with them the import of the
/// network's input, or its last convolution and export, where a kernel does all that at once.
pub(super) fn find(program: Program) -> Program {
    let search = Search { alone: used_between_two(&program), program: &program };
    let mut found: Vec<Op> = Vec::with_capacity(program.ops.len());
    for op in &program.ops {
        match op {
            Op::Conv(project) => search.block(&mut found, project),
            Op::Export(export) => search.export(&mut found, export),
            op => found.push(op.clone()),
        }
    }
    Program { ops: found, ..program }
}

struct Search<'p> {
    program: &'p Program,
    /// For each buffer, whether one operation writes it and one other reads it, once.
    alone: Vec<bool>,
}

impl Search<'_> {
    /// `project` joined with the two operations before it, or by itself.
    fn block(&self, found: &mut Vec<Op>, project: &Conv) {
        let [.., Op::Conv(expand), Op::Depthwise(depthwise)] = found.as_slice() else {
            return found.push(Op::Conv(project.clone()));
        };
        let inner = [expand.to.buffer, depthwise.to.buffer];
        if !inner.iter().all(|&buffer| self.alone[buffer]) || !is_block(expand, depthwise, project) {
            return found.push(Op::Conv(project.clone()));
        }
        let (expand, depthwise, project) = (expand.clone(), depthwise.clone(), project.clone());
        found.truncate(found.len() - 2);
        let import = self.take_import(found, &expand, &depthwise, &project);
        found.push(Op::Block(Box::new(Block { import, expand, depthwise, project, export: None })));
    }

    /// The import that only `expand` reads, taken out of `found` when a kernel does all of it.
    fn take_import(&self, found: &mut Vec<Op>, expand: &Conv, depthwise: &Depthwise, project: &Conv) -> Option<Import> {
        let is_source = |op: &Op| matches!(op, Op::Import(import) if import.to == expand.from);
        let at = found.iter().position(is_source).filter(|_| self.alone[expand.from.buffer])?;
        let Op::Import(import) = found[at].clone() else { return None };
        let half = self.program.inputs[import.input].element == Element::F16;
        let (expand, depthwise, project) = (expand.clone(), depthwise.clone(), project.clone());
        let block = Block { import: Some(import.clone()), expand, depthwise, project, export: None };
        fitting(&block).next().filter(|_| half)?;
        found.remove(at);
        Some(import)
    }

    /// `export` joined with the block and the convolution before it, or by itself.
    fn export(&self, found: &mut Vec<Op>, export: &Export) {
        let joined = match found.as_slice() {
            [.., Op::Block(block), Op::Conv(last)] => {
                let inner = [block.project.to.buffer, last.to.buffer];
                let follow = last.from == block.project.to && export.from == last.to;
                let plain = last.is_pointwise() && last.residual.is_none();
                let half = self.program.output.element == Element::F16;
                let small = self.program.output.item[0] <= MOST_PLANES;
                let joined = Block { export: Some((last.clone(), export.clone())), ..(**block).clone() };
                let fits = fitting(&joined).next().is_some();
                let alone = inner.iter().all(|&buffer| self.alone[buffer]);
                (follow && plain && half && small && fits && alone).then_some(joined)
            }
            _ => None,
        };
        match joined {
            Some(joined) => {
                found.truncate(found.len() - 2);
                found.push(Op::Block(Box::new(joined)));
            }
            None => found.push(Op::Export(export.clone())),
        }
    }
}

/// Planes that `block_out` kernels write: one for each thread of a quad.
const MOST_PLANES: usize = 4;

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

fn used_between_two(program: &Program) -> Vec<bool> {
    let mut uses = vec![(0, 0); program.buffers.len()];
    for (reads, write) in program.ops.iter().map(Op::views) {
        reads.iter().for_each(|view| uses[view.buffer].0 += 1);
        write.iter().for_each(|view| uses[view.buffer].1 += 1);
    }
    uses.into_iter().map(|uses| uses == (1, 1)).collect()
}
