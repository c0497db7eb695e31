//! What was measured, as a file: JSON with a word for each operation's way.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::lower::Choice;
use super::model::NativeModel;
use super::program::{Op, Program};
use super::tune::{MEASURED, Tuned};
use crate::backend::cuda::kernels::{Unit, fingerprint};
use crate::media::AtomicFile;

#[derive(Serialize, Deserialize)]
struct File {
    /// The operations, for people; the path holds their hash.
    operations: Vec<String>,
    /// The words, for each of [`MEASURED`].
    batches: [Vec<String>; MEASURED.len()],
    /// See [`Tuned::overlap`].
    overlap: bool,
}

/// Where the measurements of a program on `target`, a GPU and its driver, are kept in `folder`.
pub fn path(folder: &Path, program: &Program, target: &str) -> PathBuf {
    let mut digest = Sha256::new();
    digest.update(fingerprint(Unit::Native, target));
    for op in &program.ops {
        // Sizes and places; weights change nothing.
        digest.update(format!("{op} {:?}\n", op.views()));
    }
    let name: String = digest.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    folder.join(format!("{name}.tuned"))
}

/// The measurements at `path`, when they fit `model`.
pub fn read(path: &Path, model: &NativeModel) -> Option<Tuned> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!("{}: {error}; it is measured again", path.display());
            return None;
        }
    };
    let tuned = serde_json::from_slice(&text).ok().and_then(|file: File| {
        let can = |choice: &Choice| model.kernels().can(*choice);
        let mut batches = MEASURED.map(|_| Vec::new());
        for (choices, words) in batches.iter_mut().zip(&file.batches) {
            *choices = parse(&model.program().ops, words)?;
            choices.iter().all(can).then_some(())?;
        }
        Some(Tuned { batches, overlap: file.overlap && model.kernels().can_overlap() })
    });
    if tuned.is_none() {
        tracing::warn!("{} is damaged; it is measured again", path.display());
    }
    tuned
}

/// Keeps the measurements at `path`; a failure costs the next start a measurement, and is logged.
pub fn write(path: &Path, program: &Program, tuned: &Tuned) {
    let words = |choices: &Vec<Choice>| choices.iter().map(Choice::to_string).collect();
    let operations = program.ops.iter().map(Op::to_string).collect();
    let file = File { operations, batches: tuned.batches.each_ref().map(words), overlap: tuned.overlap };
    let write = |json: Vec<u8>| AtomicFile::put(path, &[&json]);
    if let Err(error) = serde_json::to_vec_pretty(&file).map_err(io::Error::from).and_then(write) {
        tracing::warn!("{}: {error}; the next start measures again", path.display());
    }
}

/// The choices that `words` name, one for each operation.
fn parse(ops: &[Op], words: &[String]) -> Option<Vec<Choice>> {
    let choice = |(op, word): (&Op, &String)| op.choices().into_iter().find(|choice| choice.to_string() == *word);
    (ops.len() == words.len()).then(|| ops.iter().zip(words).map(choice).collect()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnxruntime::Element;

    #[test]
    fn every_way_has_a_word_of_its_own() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("avatars/demo/generator.onnx");
        let program = Program::compile(&fs::read(path).unwrap(), Element::F16).unwrap();
        for op in &program.ops {
            for choice in op.choices() {
                let words = [choice.to_string()];
                assert_eq!(parse(std::slice::from_ref(op), &words), Some(vec![choice]));
            }
        }
        assert_eq!(parse(&program.ops, &[]), None);
        assert_eq!(parse(&program.ops[..1], &["sideways".to_owned()]), None);
    }

    #[test]
    fn another_gpu_or_network_has_another_file() {
        let read = |path: &str| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
            Program::compile(&fs::read(path).unwrap(), Element::F16).unwrap()
        };
        let (demo, tiny) = (read("avatars/demo/generator.onnx"), read("tests/golden/tiny-avatar/generator.onnx"));
        let folder = Path::new("kept");
        assert_eq!(path(folder, &demo, "H100"), path(folder, &demo, "H100"));
        assert_ne!(path(folder, &demo, "H100"), path(folder, &demo, "H200"));
        assert_ne!(path(folder, &demo, "H100"), path(folder, &tiny, "H100"));
    }
}
