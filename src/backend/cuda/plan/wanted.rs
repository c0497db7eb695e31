//! Which plan a daemon wants of a network: said once, since one that was made ahead of time is only found under the very same key.

use std::path::{Path, PathBuf};

use super::{BatchRange, PlanKey, PlanOptions, Precision};
use crate::avatar::onnx::Edges;
use crate::backend::cuda::engine::{NetworkFile, bucket_of};
use crate::backend::cuda::prepare::{PrepareError, prepare};

/// Scratch memory that tactics may use, MiB.
const WORKSPACE_MIB: u32 = 1024;

/// A daemon's plans: where they are, and what they have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plans {
    /// The folder that they are kept in.
    pub folder: PathBuf,
    /// Flavour and exact build of what makes and runs them.
    pub engine: String,
    /// What they compute in.
    pub precision: Precision,
    /// Largest batch of any lane.
    pub max_batch: usize,
}

/// The plan that is wanted of one network, for whichever target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedPlan<'a> {
    /// Whether the network takes one item at a time, and nothing can be done about it.
    pub one_by_one: bool,
    /// For no target yet.
    key: PlanKey,
    folder: &'a Path,
    network: &'a Path,
}

/// A plan in its folder, which may not be there yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanFile {
    /// What it is made for.
    pub key: PlanKey,
    /// Where it is kept.
    pub path: PathBuf,
}

impl Plans {
    /// What is wanted of `network`.
    ///
    /// # Errors
    /// [`PrepareError`].
    pub fn wanted<'a>(&'a self, network: NetworkFile<'a>) -> Result<WantedPlan<'a>, PrepareError> {
        let edges = if network.ports.are_half() { Edges::Half } else { Edges::Single };
        let prepared = prepare(network.content, self.precision, edges)?;
        let one_by_one = prepared.one_by_one.is_some();
        let batch = if one_by_one { BatchRange::only(1) } else { BatchRange::up_to(bucket_of(self.max_batch) as u32) };
        let options = PlanOptions { precision: self.precision, edges, batch, workspace_mib: WORKSPACE_MIB };
        let key = PlanKey::new(&prepared.model, self.engine.clone(), String::new(), options);
        Ok(WantedPlan { one_by_one, key, folder: &self.folder, network: network.path })
    }
}

impl WantedPlan<'_> {
    /// The one for `target`.
    #[must_use]
    pub fn for_target(&self, target: String) -> PlanFile {
        let key = PlanKey { target, ..self.key.clone() };
        PlanFile { path: key.path(self.folder, self.network), key }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::avatar::Bundle;
    use crate::backend::cuda::engine::Ports;
    use crate::backend::cuda::ports::{encoder_ports, generator_ports};

    fn repository(path: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
    }

    fn options(path: &Path, ports: &Ports, precision: Precision, max_batch: usize) -> PlanOptions {
        let plans = Plans { folder: PathBuf::new(), engine: "TensorRT 11.4".to_owned(), precision, max_batch };
        let content = std::fs::read(path).unwrap();
        plans.wanted(NetworkFile { path, content: &content, ports }).unwrap().for_target("H200".to_owned()).key.options
    }

    #[test]
    fn edges_are_the_ports_and_batches_are_buckets() {
        let bundle = Bundle::open(&repository("tests/golden/tiny-avatar")).unwrap();
        let encoder = encoder_ports(&bundle);
        for (precision, edges) in [(Precision::Fp16, Edges::Half), (Precision::Fp32, Edges::Single)] {
            let generator = generator_ports(&bundle, precision);
            for (max_batch, most) in [(1, 1), (32, 32), (33, 64), (64, 64)] {
                let wanted =
                    |edges| PlanOptions { precision, edges, batch: BatchRange::up_to(most), workspace_mib: 1024 };
                assert_eq!(options(&bundle.generator.path, &generator, precision, max_batch), wanted(edges));
                let found = options(&bundle.audio_encoder.path, &encoder, precision, max_batch);
                assert_eq!(found, wanted(Edges::Single));
            }
        }
    }

    #[test]
    fn a_network_that_runs_one_by_one_has_a_plan_for_one() {
        let none = Ports { inputs: Vec::new(), outputs: Vec::new() };
        let folded = repository("tests/golden/onnx/encoder_folded.onnx");
        assert_eq!(options(&folded, &none, Precision::Fp16, 32).batch, BatchRange::only(1));
    }

    #[test]
    fn each_target_has_a_file_of_its_own() {
        let (path, none) =
            (repository("tests/golden/onnx/encoder_one.onnx"), Ports { inputs: vec![], outputs: vec![] });
        let (folder, engine) = (PathBuf::from("plans"), "TensorRT 11.4".to_owned());
        let plans = Plans { folder, engine, precision: Precision::Fp16, max_batch: 32 };
        let content = std::fs::read(&path).unwrap();
        let wanted = plans.wanted(NetworkFile { path: &path, content: &content, ports: &none }).unwrap();
        let [one, other] = ["sm_89", "sm_120"].map(|target| wanted.for_target(target.to_owned()));
        assert_eq!(one.key.target, "sm_89");
        assert_eq!(one.path, one.key.path(Path::new("plans"), &path));
        assert_ne!(one.path, other.path);
    }
}
