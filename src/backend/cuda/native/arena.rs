//! Where activation buffers lie: those that are never needed at once share their place.

use super::branch::Branch;
use super::program::{Op, Program, View};

/// Bytes that every buffer starts at a multiple of, whatever the batch.
const ALIGNMENT: usize = 256;

/// Offsets for one item; for a batch of up to n, all of them and the whole are n times as much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arena {
    /// Of each buffer, in bytes.
    pub offsets: Vec<usize>,
    /// Bytes in all.
    pub bytes: usize,
}

impl Arena {
    /// Places the buffers of `program`, those between the parts of a block too where `is_apart` says that its parts run as
    /// kernels of their own; what the operations of `branch` write shares its place with nothing that is needed before the join.
    #[must_use]
    pub fn new(program: &Program, branch: Option<&Branch>, is_apart: impl Fn(usize) -> bool) -> Self {
        let lives = lives(program, branch, is_apart);
        let sizes: Vec<usize> =
            program.buffers.iter().map(|&len| (len * size_of::<half::f16>()).next_multiple_of(ALIGNMENT)).collect();
        // The largest first, each at the lowest place free for its whole life.
        let mut order: Vec<usize> = (0..sizes.len()).filter(|&buffer| lives[buffer].is_some()).collect();
        order.sort_by_key(|&buffer| std::cmp::Reverse(sizes[buffer]));
        let mut arena = Self { offsets: vec![0; sizes.len()], bytes: 0 };
        let mut placed: Vec<usize> = Vec::new();
        for buffer in order {
            let beside = |&&other: &&usize| overlap(lives[buffer], lives[other]);
            let mut taken: Vec<_> =
                placed.iter().filter(beside).map(|&other| (arena.offsets[other], sizes[other])).collect();
            taken.sort_unstable();
            let offset =
                taken.into_iter().fold(
                    0,
                    |free: usize, (start, size)| {
                        if free + sizes[buffer] <= start { free } else { free.max(start + size) }
                    },
                );
            arena.offsets[buffer] = offset;
            arena.bytes = arena.bytes.max(offset + sizes[buffer]);
            placed.push(buffer);
        }
        arena
    }
}

/// First and last operation that touches each buffer.
type Life = Option<(usize, usize)>;

fn lives(program: &Program, branch: Option<&Branch>, is_apart: impl Fn(usize) -> bool) -> Vec<Life> {
    let mut lives: Vec<Life> = vec![None; program.buffers.len()];
    for (index, op) in program.ops.iter().enumerate() {
        // An operation beside the others runs at any time up to the join.
        let beside = branch.filter(|branch| branch.beside[index]);
        let (begin, end) = beside.map_or((index, index), |branch| (0, index.max(branch.join)));
        let mut touch = |view: View| {
            let (first, last) = lives[view.buffer].unwrap_or((begin, end));
            lives[view.buffer] = Some((first.min(begin), last.max(end)));
        };
        let (reads, write) = op.views();
        reads.into_iter().chain(write).for_each(&mut touch);
        if let Op::Block(block) = op
            && is_apart(index)
        {
            block.inside().into_iter().for_each(touch);
        }
    }
    lives
}

fn overlap(a: Life, b: Life) -> bool {
    matches!((a, b), (Some((a0, a1)), Some((b0, b1))) if a0 <= b1 && b0 <= a1)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::onnxruntime::Element;

    /// At every moment, what is alive lies apart.
    #[test]
    fn what_is_needed_at_once_shares_no_place() {
        for path in ["avatars/demo/generator.onnx", "tests/golden/tiny-avatar/generator.onnx"] {
            let model = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
            let program = Program::compile(&model, Element::F16).unwrap();
            let branch = Branch::find(&program);
            for (branch, apart) in [(None, true), (branch.as_ref(), true), (branch.as_ref(), false)] {
                let arena = Arena::new(&program, branch, |_| apart);
                let lives = lives(&program, branch, |_| apart);
                let place = |buffer: usize| arena.offsets[buffer]..arena.offsets[buffer] + 2 * program.buffers[buffer];
                let alone: usize = program.buffers.iter().map(|len| 2 * len).sum();
                assert!(arena.bytes < alone / 2, "{} of {alone}", arena.bytes);
                for a in 0..lives.len() {
                    for b in 0..a {
                        let (x, y) = (place(a), place(b));
                        let meet = x.start < y.end && y.start < x.end;
                        assert!(!meet || !overlap(lives[a], lives[b]), "{path}: buffers {a} and {b}");
                        assert!(x.end <= arena.bytes || lives[a].is_none());
                    }
                }
            }
        }
    }
}
