//! A real backend under the name and with the memory of a GPU: for what a daemon with several devices decides.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lipsyncd::avatar::Bundle;
use lipsyncd::backend::{Backend, BackendError, BackendInfo, DeviceMemory, Lane, Models};
use lipsyncd::batch::slot::SlotShape;

/// The inner backend, as GPU `ordinal` with so much memory, of which every loaded avatar takes a part.
pub struct NamedGpu {
    inner: Arc<dyn Backend>,
    ordinal: u32,
    total_bytes: u64,
    avatar_bytes: u64,
    used_bytes: AtomicU64,
}

impl NamedGpu {
    pub fn new(inner: Arc<dyn Backend>, ordinal: u32, total_bytes: u64, avatar_bytes: u64) -> Arc<Self> {
        Arc::new(Self { inner, ordinal, total_bytes, avatar_bytes, used_bytes: AtomicU64::new(0) })
    }
}

impl Backend for NamedGpu {
    fn info(&self) -> BackendInfo {
        BackendInfo { gpu: Some(self.ordinal), ..self.inner.info() }
    }

    fn memory(&self) -> Option<DeviceMemory> {
        let used_bytes = self.used_bytes.load(Ordering::Relaxed);
        Some(DeviceMemory { free_bytes: self.total_bytes - used_bytes, total_bytes: self.total_bytes })
    }

    fn load(&self, bundle: &Bundle) -> Result<Models, BackendError> {
        let used = self.used_bytes.fetch_add(self.avatar_bytes, Ordering::Relaxed);
        if used + self.avatar_bytes > self.total_bytes {
            self.used_bytes.fetch_sub(self.avatar_bytes, Ordering::Relaxed);
            return Err(BackendError::DeviceFull { needed: self.avatar_bytes, used, most: self.total_bytes });
        }
        self.inner.load(bundle)
    }

    fn unload(&self, models: Models) {
        self.used_bytes.fetch_sub(self.avatar_bytes, Ordering::Relaxed);
        self.inner.unload(models);
    }

    fn open_lane(&self, shape: SlotShape) -> Result<Box<dyn Lane>, BackendError> {
        self.inner.open_lane(shape)
    }
}
