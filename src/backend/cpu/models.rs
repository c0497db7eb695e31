//! The networks of the CPU backend.

use std::path::Path;
use std::sync::Arc;

use super::still::StillPart;
use crate::avatar::Bundle;
use crate::avatar::onnx::quicker;
use crate::backend::budget::Budget;
use crate::backend::{BackendError, read_network};
use crate::onnxruntime::{BoundNetwork, Halved, Network, OnnxError, OnnxRuntime, TensorSpec};

/// An audio encoder: mel window `[1, 1, mels, 16]` to feature `[1, 512]`.
pub struct EncoderModel {
    network: Network,
    window: TensorSpec,
    feature: TensorSpec,
}

impl EncoderModel {
    /// Buffers for one thread: input 0 the window, output 0 the feature.
    ///
    /// # Errors
    /// [`OnnxError::Bind`].
    pub fn bind(&self) -> Result<BoundNetwork, OnnxError> {
        BoundNetwork::new(&self.network, std::slice::from_ref(&self.window), std::slice::from_ref(&self.feature))
    }
}

/// A generator: picture `[1, 6, size, size]` and context to picture `[1, 3, size, size]`.
pub struct GeneratorModel {
    network: Network,
    inputs: [TensorSpec; 2],
    output: TensorSpec,
    pub(super) still: Option<StillPart>,
}

impl GeneratorModel {
    /// Index of the picture among the bound inputs.
    pub const PICTURE: usize = 0;
    /// Index of the context among the bound inputs.
    pub const CONTEXT: usize = 1;

    /// Buffers for one thread.
    ///
    /// # Errors
    /// [`OnnxError::Bind`].
    pub fn bind(&self) -> Result<BoundNetwork, OnnxError> {
        BoundNetwork::new(&self.network, &self.inputs, std::slice::from_ref(&self.output))
    }

    /// The picture's tensor.
    pub(super) fn picture(&self) -> &TensorSpec {
        &self.inputs[Self::PICTURE]
    }

    /// The same generator as two networks, between which the `seams` pass.
    pub(super) fn halved(&self, [first, second]: [Network; 2], seams: Vec<TensorSpec>, item_in_both: bool) -> Halved {
        let [item, other] = self.inputs.clone();
        Halved { first, second, item, seams, other, output: self.output.clone(), item_in_both }
    }
}

/// Loads networks into the table of the CPU backend.
pub(super) struct Loader {
    pub(super) runtime: OnnxRuntime,
    pub(super) threads: usize,
    /// Memory that all avatars of the backend may take for what is kept of their pictures.
    pub(super) still_budget: Arc<Budget>,
}

pub(super) type Table = crate::backend::table::Table<EncoderModel, GeneratorModel>;

impl Loader {
    pub(super) fn generator(&self, bundle: &Bundle) -> Result<GeneratorModel, BackendError> {
        let shape = &bundle.generator.shape;
        let size = bundle.manifest.generator.size_px as usize;
        let [channels, height, width] = shape.audio_dims;
        let path = &bundle.generator.path;
        let content = read_network(&bundle.generator)?;
        // One that cannot be read is for ONNX Runtime to refuse.
        let content = quicker(&content).ok().flatten().unwrap_or(content);
        let mut model = GeneratorModel {
            network: Network::load(&self.runtime, path, &content, self.threads)?,
            inputs: [
                TensorSpec::new(&shape.picture.name, &[1, 6, size, size]),
                TensorSpec::new(&shape.audio.name, &[1, channels, height, width]),
            ],
            output: TensorSpec::new(&shape.output.name, &[1, 3, size, size]),
            still: None,
        };
        try_run(path, model.bind()?)?;
        model.still = StillPart::of(self, bundle, (&model, &content)).unwrap_or_else(|error| {
            tracing::warn!("{error}; the generator is run whole");
            None
        });
        Ok(model)
    }

    /// The encoder of `bundle`, which has this `content`.
    pub(super) fn encoder(&self, bundle: &Bundle, content: &[u8]) -> Result<EncoderModel, BackendError> {
        let path = &bundle.audio_encoder.path;
        let shape = &bundle.audio_encoder.shape;
        let mels = bundle.manifest.audio.mels;
        let model = EncoderModel {
            network: Network::load(&self.runtime, path, content, self.threads)?,
            window: TensorSpec::new(&shape.mel.name, &[1, 1, mels, crate::audio::WINDOW_MEL_FRAMES]),
            feature: TensorSpec::new(&shape.feature.name, &[1, shape.feature_len]),
        };
        try_run(path, model.bind()?)?;
        Ok(model)
    }
}

/// Runs the network once on zeros, so that a graph that loads but cannot run is found now, not by the
/// first viewer.
fn try_run(path: &Path, mut bound: BoundNetwork) -> Result<(), BackendError> {
    bound.run()?;
    if bound.output(0).iter().all(|value| value.is_finite()) {
        Ok(())
    } else {
        Err(BackendError::Network {
            path: path.to_owned(),
            what: "the network gives NaN or infinity for zeros; export it again from a sound checkpoint",
        })
    }
}
