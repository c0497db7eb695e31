//! The CPU backend: ONNX Runtime, our compositor and libjpeg-turbo, one thread per slot.
//!
//! Every run is of batch 1, whatever the slot holds. Batching gains nothing here (decision 0004), and batch 1
//! keeps the bits of a frame independent of what happened to share its batch. Threads do not share a run
//! either: N lanes with single-threaded runs carry more frames than one lane with N threads.

mod lane;
mod models;
mod still;

use std::path::Path;
use std::sync::Arc;

pub use models::{EncoderModel, GeneratorModel};

use self::lane::CpuLane;
use self::models::{Loader, Table};
use self::still::StillPart;
use super::budget::Budget;
use super::{Backend, BackendError, BackendInfo, Lane, Models, read_network};
use crate::avatar::Bundle;
use crate::batch::health::Health;
use crate::batch::slot::SlotShape;
use crate::onnxruntime::{OnnxRuntime, RuntimeInfo, small_blocks};

/// ONNX Runtime on the CPU.
pub struct CpuBackend {
    loader: Loader,
    table: Arc<Table>,
    info: RuntimeInfo,
    health: Arc<Health>,
}

impl CpuBackend {
    /// Loads ONNX Runtime from `library` or the usual places. Each run uses `threads_per_slot` threads.
    ///
    /// # Errors
    /// [`BackendError::Onnx`] saying where it was looked for and how to get it.
    pub fn new(library: Option<&Path>, threads_per_slot: usize) -> Result<Self, BackendError> {
        let runtime = OnnxRuntime::load(library)?;
        let info = runtime.info().clone();
        let loader = Loader { runtime, threads: threads_per_slot.max(1), still_budget: Budget::new(0) };
        Ok(Self { loader, table: Arc::new(Table::new()), info, health: Arc::default() })
    }

    /// Keeps, of avatars that are loaded from now on, what their generators make of each picture before they hear anything, in at most
    /// `bytes` of memory: up to a third of the time less a frame, and the same bytes.
    #[must_use]
    pub fn keep_pictures(mut self, bytes: u64) -> Self {
        self.loader.still_budget = Budget::new(bytes);
        self
    }

    /// Pictures of which that is kept now.
    #[must_use]
    pub fn kept_pictures(&self) -> usize {
        self.table.generators().iter().filter_map(|generator| generator.still.as_ref()).map(StillPart::kept).sum()
    }

    fn load_networks(&self, bundle: &Bundle) -> Result<Models, BackendError> {
        let generator = self.loader.generator(bundle)?;
        let encoder = read_network(&bundle.audio_encoder)?;
        let load = |content: &[u8]| Ok(Arc::new(self.loader.encoder(bundle, content)?));
        self.table.insert(generator, (&encoder, bundle.manifest.audio.mels), load)
    }
}

impl Backend for CpuBackend {
    fn info(&self) -> BackendInfo {
        let version = self.info.path.file_name().map(|name| name.to_string_lossy().into_owned());
        BackendInfo { name: "cpu", engine: format!("ONNX Runtime, {}", version.unwrap_or_default()), gpu: None }
    }

    fn kept_bytes(&self) -> Option<u64> {
        Some(self.loader.still_budget.used())
    }

    fn pictures_to_keep(&self, models: Models) -> usize {
        let generator = self.table.find_generator(models.generator);
        generator.and_then(|generator| generator.still.as_ref().map(StillPart::to_keep)).unwrap_or(0)
    }

    fn load(&self, bundle: &Bundle) -> Result<Models, BackendError> {
        let models = self.load_networks(bundle);
        // Once, and not on a lane.
        small_blocks::trim();
        models
    }

    fn unload(&self, models: Models) {
        self.table.remove(models);
    }

    fn health(&self) -> &Arc<Health> {
        &self.health
    }

    fn open_lane(&self, _shape: SlotShape) -> Result<Box<dyn Lane>, BackendError> {
        Ok(Box::new(CpuLane::new(Arc::clone(&self.table))))
    }
}
