//! A backend's place among those of a daemon.

use std::sync::Arc;

use super::Backend;

/// Which of the daemon's devices: its place in the order they were opened, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct DeviceId(pub usize);

/// Memory of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceMemory {
    /// Bytes nobody holds.
    pub free_bytes: u64,
    /// Bytes in all.
    pub total_bytes: u64,
}

impl DeviceMemory {
    /// Bytes held, by whomever.
    #[must_use]
    pub fn used_bytes(self) -> u64 {
        self.total_bytes.saturating_sub(self.free_bytes)
    }
}

/// A backend and its place.
#[derive(Clone)]
pub struct Device {
    /// Its place.
    pub id: DeviceId,
    /// What runs on it.
    pub backend: Arc<dyn Backend>,
}

/// The only device of a program that has one.
impl From<Arc<dyn Backend>> for Device {
    fn from(backend: Arc<dyn Backend>) -> Self {
        Self { id: DeviceId::default(), backend }
    }
}
