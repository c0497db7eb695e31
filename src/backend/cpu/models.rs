//! The loaded networks of the CPU backend, by id.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use crate::avatar::Bundle;
use crate::backend::{BackendError, ModelId, Models, read_network};
use crate::onnxruntime::{BoundNetwork, Network, OnnxError, OnnxRuntime, TensorSpec};

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
}

struct SharedEncoder {
    id: ModelId,
    hash: [u8; 32],
    users: usize,
    model: Arc<EncoderModel>,
}

#[derive(Default)]
struct Loaded {
    encoders: Vec<SharedEncoder>,
    generators: HashMap<ModelId, Arc<GeneratorModel>>,
}

/// Every loaded network. Lanes look a model up when they first meet its id.
pub(super) struct Table {
    runtime: OnnxRuntime,
    threads: usize,
    next_id: AtomicU64,
    /// Changes with every unload, so that lanes know when to let go.
    epoch: AtomicU64,
    loaded: Mutex<Loaded>,
}

impl Table {
    pub(super) fn new(runtime: OnnxRuntime, threads: usize) -> Self {
        Self { runtime, threads, next_id: AtomicU64::new(1), epoch: AtomicU64::new(0), loaded: Mutex::default() }
    }

    pub(super) fn load(&self, bundle: &Bundle) -> Result<Models, BackendError> {
        let generator = self.load_generator(bundle)?;
        let encoder = self.encoder(bundle)?;
        let id = self.fresh_id();
        self.lock().generators.insert(id, Arc::new(generator));
        Ok(Models { encoder, generator: id })
    }

    pub(super) fn unload(&self, models: Models) {
        let mut loaded = self.lock();
        loaded.generators.remove(&models.generator);
        if let Some(at) = loaded.encoders.iter().position(|shared| shared.id == models.encoder) {
            loaded.encoders[at].users -= 1;
            if loaded.encoders[at].users == 0 {
                loaded.encoders.swap_remove(at);
            }
        }
        self.epoch.fetch_add(1, Ordering::Release);
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    pub(super) fn find_encoder(&self, id: ModelId) -> Option<Arc<EncoderModel>> {
        self.lock().encoders.iter().find(|shared| shared.id == id).map(|shared| Arc::clone(&shared.model))
    }

    pub(super) fn find_generator(&self, id: ModelId) -> Option<Arc<GeneratorModel>> {
        self.lock().generators.get(&id).map(Arc::clone)
    }

    fn load_generator(&self, bundle: &Bundle) -> Result<GeneratorModel, BackendError> {
        let shape = &bundle.generator.shape;
        let size = bundle.manifest.generator.size_px as usize;
        let [channels, height, width] = shape.audio_dims;
        let model = GeneratorModel {
            network: Network::load(&self.runtime, &bundle.generator.path, self.threads)?,
            inputs: [
                TensorSpec::new(&shape.picture.name, &[1, 6, size, size]),
                TensorSpec::new(&shape.audio.name, &[1, channels, height, width]),
            ],
            output: TensorSpec::new(&shape.output.name, &[1, 3, size, size]),
        };
        try_run(&bundle.generator.path, model.bind()?)?;
        Ok(model)
    }

    /// The encoder of the bundle: the one that is there when another avatar has the same file.
    fn encoder(&self, bundle: &Bundle) -> Result<ModelId, BackendError> {
        let path = &bundle.audio_encoder.path;
        let hash: [u8; 32] = Sha256::digest(read_network(path)?).into();
        if let Some(id) = self.share_encoder(&hash) {
            return Ok(id);
        }
        let shape = &bundle.audio_encoder.shape;
        let mels = bundle.manifest.audio.mels;
        let model = EncoderModel {
            network: Network::load(&self.runtime, path, self.threads)?,
            window: TensorSpec::new(&shape.mel.name, &[1, 1, mels, crate::audio::WINDOW_MEL_FRAMES]),
            feature: TensorSpec::new(&shape.feature.name, &[1, shape.feature_len]),
        };
        try_run(path, model.bind()?)?;
        // Another avatar may have loaded the same file meanwhile; then its copy serves both.
        if let Some(id) = self.share_encoder(&hash) {
            return Ok(id);
        }
        let id = self.fresh_id();
        self.lock().encoders.push(SharedEncoder { id, hash, users: 1, model: Arc::new(model) });
        Ok(id)
    }

    fn share_encoder(&self, hash: &[u8; 32]) -> Option<ModelId> {
        let mut loaded = self.lock();
        let shared = loaded.encoders.iter_mut().find(|shared| &shared.hash == hash)?;
        shared.users += 1;
        Some(shared.id)
    }

    fn fresh_id(&self) -> ModelId {
        ModelId(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    fn lock(&self) -> MutexGuard<'_, Loaded> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
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
