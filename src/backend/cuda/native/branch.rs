//! The part of a network that only hears: it runs beside the part that sees, until what it makes is needed.
//!
//! The operations on the sound are small: alone they leave most of the GPU idle. On a stream of their own they run in the gaps of the
//! others.

use super::program::{Op, Program};

/// Operations that run beside the others, from the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// For each operation whether it is one of them.
    pub beside: Vec<bool>,
    /// The first of the others that needs what they make; the number of operations when none does.
    pub join: usize,
}

impl Branch {
    /// The operations that depend on one input alone, that with the least work, when another has something to do meanwhile.
    #[must_use]
    pub fn find(program: &Program) -> Option<Self> {
        let needs = needs(program);
        let costs = program.costs();
        let work = |input: usize| -> usize {
            let alone = needs.iter().zip(&costs).filter(|(needs, _)| **needs == bit(input));
            alone.map(|(_, cost)| 1 + cost.flops).sum()
        };
        let (_, input) =
            (0..program.inputs.len()).map(|input| (work(input), input)).filter(|(work, _)| *work > 0).min()?;
        let beside: Vec<bool> = needs.iter().map(|&needs| needs == bit(input)).collect();
        let mut made = vec![false; program.buffers.len()];
        for (op, _) in program.ops.iter().zip(&beside).filter(|(_, beside)| **beside) {
            op.views().1.iter().for_each(|view| made[view.buffer] = true);
        }
        let needed = |(op, &beside): (&Op, &bool)| !beside && op.views().0.iter().any(|view| made[view.buffer]);
        let join = program.ops.iter().zip(&beside).position(needed).unwrap_or(program.ops.len());
        let meanwhile = beside[..join].iter().any(|beside| !beside);
        (program.inputs.len() > 1 && meanwhile).then_some(Self { beside, join })
    }
}

/// Input `input` in a set of inputs; those beyond the 64th, which no network here has, are taken for one.
fn bit(input: usize) -> u64 {
    1 << input.min(63)
}

/// For each operation a bit for each input that it depends on.
fn needs(program: &Program) -> Vec<u64> {
    let mut of_buffer = vec![0_u64; program.buffers.len()];
    let need = |op: &Op| {
        let (reads, write) = op.views();
        let import = match op {
            Op::Import(import) => Some(import),
            Op::Block(block) => block.import.as_ref(),
            _ => None,
        };
        let own = import.map_or(0, |import| bit(import.input));
        let needs = reads.iter().fold(own, |needs, view| needs | of_buffer[view.buffer]);
        write.iter().for_each(|view| of_buffer[view.buffer] |= needs);
        needs
    };
    program.ops.iter().map(need).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::onnxruntime::Element;

    fn compile(path: &str) -> Program {
        let model = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
        Program::compile(&model, Element::F16).unwrap()
    }

    #[test]
    fn a_generator_hears_beside_what_it_sees() {
        for path in ["avatars/demo/generator.onnx", "tests/golden/tiny-avatar/generator.onnx"] {
            let program = compile(path);
            let branch = Branch::find(&program).unwrap();
            let audio = program.inputs.iter().position(|edge| edge.item[0] == 32).unwrap();
            for (op, beside) in program.ops.iter().zip(&branch.beside) {
                let import = match op {
                    Op::Import(import) => Some(import),
                    Op::Block(block) => block.import.as_ref(),
                    _ => None,
                };
                assert!(import.is_none_or(|import| *beside == (import.input == audio)), "{path}");
            }
            // It has several operations, and the picture's way down lies before the join.
            assert!(branch.beside.iter().filter(|beside| **beside).count() > 5, "{path}");
            assert!(branch.beside[..branch.join].iter().filter(|beside| !**beside).count() > 5, "{path}");
        }
    }

    #[test]
    fn an_encoder_has_nothing_to_run_beside() {
        assert_eq!(Branch::find(&compile("avatars/demo/audio_encoder.onnx")), None);
    }
}
