//! Everything a plan depends on. Two keys that differ never share a plan.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::avatar::onnx::Edges;

/// What the engine computes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// float16, inputs and outputs included: half the memory traffic, about 54 dB from float32 on the demo avatar.
    Fp16,
    /// float32 as the file is.
    Fp32,
}

/// Batch sizes a plan takes: `min..=max`, tuned for `opt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchRange {
    pub min: u32,
    pub opt: u32,
    pub max: u32,
}

impl BatchRange {
    /// One size only: tactics are chosen for it alone.
    #[must_use]
    pub fn only(batch: u32) -> Self {
        Self { min: batch, opt: batch, max: batch }
    }

    /// Every size up to `max`, tuned for the largest, where most of the frames are drawn.
    #[must_use]
    pub fn up_to(max: u32) -> Self {
        Self { min: 1, opt: max, max }
    }
}

impl fmt::Display for BatchRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max {
            write!(f, "batch {}", self.max)
        } else {
            write!(f, "batch {}..{}", self.min, self.max)
        }
    }
}

/// How a plan is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanOptions {
    pub precision: Precision,
    /// What a half-precision plan reads and writes: float16 the generator's, whose kernels convert, float32 the audio encoder's.
    pub edges: Edges,
    pub batch: BatchRange,
    /// Scratch memory the engine's tactics may use, MiB; TensorRT would otherwise plan with the whole device.
    pub workspace_mib: u32,
}

/// What a plan was made from, by what, for what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanKey {
    /// SHA-256 of what the engine is given, hexadecimal: the file as this release prepares it, so that a release that prepares it
    /// otherwise does not take an older one's plan.
    pub network: String,
    /// Flavour and exact build, such as `TensorRT-RTX 1.7.1.116`.
    pub engine: String,
    /// GPU and driver it runs on, or the SM it was made for ahead of time.
    pub target: String,
    pub options: PlanOptions,
}

impl PlanKey {
    /// The key of a network's bytes as [`prepare`](crate::backend::cuda::prepare::prepare) makes them.
    #[must_use]
    pub fn new(network: &[u8], engine: String, target: String, options: PlanOptions) -> Self {
        Self { network: hex(&Sha256::digest(network)), engine, target, options }
    }

    /// Whether `network`, as it was prepared, is what the plan is of.
    #[must_use]
    pub fn is_of(&self, network: &[u8]) -> bool {
        self.network == hex(&Sha256::digest(network))
    }

    /// Where the plan of the network at `network` lies in `folder`: under a name that changes with everything in the key.
    #[must_use]
    pub fn path(&self, folder: &Path, network: &Path) -> PathBuf {
        let digest = hex(&Sha256::digest(self.to_json()));
        let name = network.file_stem().map_or_else(|| "network".into(), |stem| stem.to_string_lossy());
        folder.join(format!("{name}-{}.plan", &digest[..16]))
    }

    /// The key as it stands in a plan's file.
    pub(super) fn to_json(&self) -> Vec<u8> {
        // Strings and numbers only: serialising them cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The first part in which `other` differs, with its value there and here.
    #[must_use]
    pub fn difference<'k>(&'k self, other: &'k Self) -> Option<(&'static str, String, String)> {
        let parts = [
            ("network", other.network.clone(), self.network.clone()),
            ("engine", other.engine.clone(), self.engine.clone()),
            ("target", other.target.clone(), self.target.clone()),
            ("options", format!("{:?}", other.options), format!("{:?}", self.options)),
        ];
        parts.into_iter().find(|(_, there, here)| there != here)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cuda::prepare::prepare;

    #[test]
    fn a_key_names_the_network_as_it_is_prepared_and_is_the_same_each_time() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tiny-avatar/generator.onnx");
        let file = std::fs::read(file).unwrap();
        let batch = BatchRange::up_to(32);
        let options = PlanOptions { precision: Precision::Fp16, edges: Edges::Half, batch, workspace_mib: 1024 };
        let key = |network: &[u8]| PlanKey::new(network, "TensorRT 11.4".to_owned(), "H200".to_owned(), options);
        let prepared = || prepare(&file, options.precision, options.edges).unwrap().model;
        assert_eq!(key(&prepared()), key(&prepared()));
        // Of the file alone, as keys were once.
        let (old, new) = (key(&file), key(&prepared()));
        let json = String::from_utf8(new.to_json()).unwrap();
        assert!(json.contains(r#""edges":"half""#), "plans that there are would no longer be found: {json}");
        assert_eq!(new.difference(&old).map(|(part, ..)| part), Some("network"));
        assert_ne!(new.path(Path::new(""), Path::new("a")), old.path(Path::new(""), Path::new("a")));
    }
}
