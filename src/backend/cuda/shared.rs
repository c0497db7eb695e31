//! What all lanes of one GPU share.

use std::sync::{Arc, OnceLock};

use super::avatar::DeviceAvatar;
use super::choice::JpegChoice;
use super::encoders::Encoders;
use super::engine::GpuModel;
use super::faults::Faults;
use super::launch::Kernels;
use super::nvjpeg::NvJpeg;
use crate::backend::DeviceMemory;
use crate::backend::budget::Budget;
use crate::backend::table::Table;
use crate::cuda::{Context, Stream};
use crate::onnxruntime::Element;

/// One GPU, its kernels, its networks.
pub(super) struct Shared {
    // Networks and kernels before the context they live in.
    pub table: Table<dyn GpuModel, Generator>,
    pub kernels: Kernels,
    /// nvJPEG, where it may be used.
    pub nvjpeg: Option<Arc<NvJpeg>>,
    pub jpeg: JpegChoice,
    /// What splices strips, for all lanes.
    pub encoders: Encoders,
    /// Where avatars are uploaded and freed, beside the lanes.
    pub loader: Arc<Stream>,
    pub faults: Arc<Faults>,
    /// Bytes of avatars' pictures.
    pub budget: Arc<Budget>,
    pub context: Arc<Context>,
}

/// The memory of `context`'s GPU as it is now; `None` when the driver does not say. It may wait for the GPU.
pub(super) fn memory(context: &Context, faults: &Faults) -> Option<DeviceMemory> {
    match context.memory() {
        Ok((free_bytes, total_bytes)) => Some(DeviceMemory { free_bytes, total_bytes }),
        Err(error) => {
            tracing::debug!("{error}");
            faults.is_lost_by(&error).then(|| none_free(context))
        }
    }
}

/// What is said of the memory of a GPU that is gone.
pub(super) fn none_free(context: &Context) -> DeviceMemory {
    DeviceMemory { free_bytes: 0, total_bytes: context.gpu().memory_bytes }
}

/// A loaded generator, and its avatar's pictures once they have been shown.
pub(super) struct Generator {
    pub network: Arc<dyn GpuModel>,
    pub size_px: usize,
    /// Features of one context.
    pub context_rows: usize,
    /// Of the picture, the context and what is generated.
    pub element: Element,
    pub avatar: OnceLock<Arc<DeviceAvatar>>,
}

impl Generator {
    pub(super) fn shown(&self) -> Option<Arc<DeviceAvatar>> {
        self.avatar.get().map(Arc::clone)
    }
}
