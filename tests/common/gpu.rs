//! A real backend under the name and with the memory of a GPU: for what a daemon with several devices decides.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use lipsyncd::avatar::Bundle;
use lipsyncd::backend::{Backend, BackendError, BackendInfo, DeviceMemory, Lane, ModelId, Models};
use lipsyncd::batch::health::Health;
use lipsyncd::batch::policy::BatchKey;
use lipsyncd::batch::slot::{SlotShape, StageTimes};
use lipsyncd::batch::{Filled, InFlight, Ready, Slot};

/// The inner backend, as GPU `ordinal` with so much memory, of which every loaded avatar takes a part, and so does every lane for each
/// avatar it has drawn.
pub struct NamedGpu {
    inner: Arc<dyn Backend>,
    ordinal: u32,
    avatar_bytes: u64,
    lane_bytes: u64,
    memory: Arc<Memory>,
    health: Arc<Health>,
    gate: Arc<Gate>,
    loads: AtomicUsize,
}

/// What batches pass on their way out, and loads on their way in.
#[derive(Default)]
struct Gate {
    shut: Mutex<bool>,
    opened: Condvar,
    slowness: Mutex<Duration>,
}

impl Gate {
    fn pass(&self) {
        let slowness = *self.slowness.lock().unwrap();
        std::thread::sleep(slowness);
        drop(self.opened.wait_while(self.shut.lock().unwrap(), |shut| *shut).unwrap());
    }
}

/// Keeps the gate shut.
pub struct Held(Arc<Gate>);

impl Drop for Held {
    fn drop(&mut self) {
        *self.0.shut.lock().unwrap() = false;
        self.0.opened.notify_all();
    }
}

struct Memory {
    total_bytes: u64,
    used_bytes: AtomicU64,
    /// Free at the last look.
    last_bytes: AtomicU64,
    generators: Mutex<Vec<ModelId>>,
}

impl Memory {
    fn take(&self, bytes: u64) -> Result<(), BackendError> {
        let used = self.used_bytes.fetch_add(bytes, Ordering::Relaxed);
        if used + bytes > self.total_bytes {
            self.give_back(bytes);
            return Err(BackendError::DeviceFull { needed: bytes, used, most: self.total_bytes });
        }
        Ok(())
    }

    fn free_bytes(&self) -> u64 {
        self.total_bytes - self.used_bytes.load(Ordering::Relaxed)
    }

    fn give_back(&self, bytes: u64) {
        self.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl NamedGpu {
    pub fn new(inner: Arc<dyn Backend>, ordinal: u32, total_bytes: u64, avatar_bytes: u64) -> Arc<Self> {
        Self::with_lanes(inner, ordinal, total_bytes, (avatar_bytes, 0))
    }

    pub fn with_lanes(
        inner: Arc<dyn Backend>,
        ordinal: u32,
        total_bytes: u64,
        (avatar_bytes, lane_bytes): (u64, u64),
    ) -> Arc<Self> {
        let (used_bytes, last_bytes) = (AtomicU64::new(0), AtomicU64::new(total_bytes));
        let memory = Memory { total_bytes, used_bytes, last_bytes, generators: Mutex::default() };
        let (memory, health, gate) = (Arc::new(memory), Arc::default(), Arc::default());
        Arc::new(Self { inner, ordinal, avatar_bytes, lane_bytes, memory, health, gate, loads: AtomicUsize::new(0) })
    }

    /// Says that this GPU is lost, as a driver would at the next call.
    pub fn lose(&self) {
        self.health.break_down("it was taken away");
    }

    /// Bytes that are free now.
    pub fn free_bytes(&self) -> u64 {
        self.memory.free_bytes()
    }

    /// Whether an avatar is being loaded.
    pub fn is_loading(&self) -> bool {
        self.loads.load(Ordering::Relaxed) > 0
    }

    /// Every batch and every load takes so much longer from now on.
    pub fn slow_down(&self, by: Duration) {
        *self.gate.slowness.lock().unwrap() = by;
    }

    /// No batch is completed and no avatar loaded while the answer is held.
    pub fn hold(&self) -> Held {
        *self.gate.shut.lock().unwrap() = true;
        Held(Arc::clone(&self.gate))
    }
}

impl Backend for NamedGpu {
    fn info(&self) -> BackendInfo {
        BackendInfo { gpu: Some(self.ordinal), ..self.inner.info() }
    }

    fn memory(&self) -> Option<DeviceMemory> {
        // The look that this begins has ended by the next time.
        let free_bytes = self.memory.last_bytes.swap(self.memory.free_bytes(), Ordering::Relaxed);
        Some(DeviceMemory { free_bytes, total_bytes: self.memory.total_bytes })
    }

    fn look(&self) {
        self.memory.last_bytes.store(self.memory.free_bytes(), Ordering::Relaxed);
    }

    fn health(&self) -> &Arc<Health> {
        &self.health
    }

    fn load(&self, bundle: &Bundle) -> Result<Models, BackendError> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        self.gate.pass();
        self.loads.fetch_sub(1, Ordering::Relaxed);
        self.memory.take(self.avatar_bytes)?;
        let models = self.inner.load(bundle).inspect_err(|_| self.memory.give_back(self.avatar_bytes))?;
        self.memory.generators.lock().unwrap().push(models.generator);
        Ok(models)
    }

    fn unload(&self, models: Models) {
        self.memory.generators.lock().unwrap().retain(|id| *id != models.generator);
        self.memory.give_back(self.avatar_bytes);
        self.inner.unload(models);
    }

    fn open_lane(&self, shape: SlotShape) -> Result<Box<dyn Lane>, BackendError> {
        let (inner, memory) = (self.inner.open_lane(shape)?, Arc::clone(&self.memory));
        let gate = Arc::clone(&self.gate);
        Ok(Box::new(NamedLane { inner, memory, gate, bytes: self.lane_bytes, met: Vec::new(), refused: None }))
    }
}

struct NamedLane {
    inner: Box<dyn Lane>,
    memory: Arc<Memory>,
    gate: Arc<Gate>,
    bytes: u64,
    met: Vec<ModelId>,
    refused: Option<BackendError>,
}

impl NamedLane {
    fn meet(&mut self, id: ModelId) -> Result<(), BackendError> {
        if !self.met.contains(&id) {
            self.memory.take(self.bytes)?;
            self.met.push(id);
        }
        Ok(())
    }
}

impl Lane for NamedLane {
    fn submit(&mut self, slot: Slot<Filled>) -> Slot<InFlight> {
        let slot = self.inner.submit(slot);
        if let BatchKey::Render(id) = slot.key() {
            self.refused = self.meet(id).err();
        }
        slot
    }

    fn complete(&mut self, slot: Slot<InFlight>) -> Slot<Ready> {
        self.gate.pass();
        match self.refused.take() {
            Some(error) => slot.land(Err::<StageTimes, _>(error)),
            None => self.inner.complete(slot),
        }
    }

    fn rest(&mut self) {
        self.inner.rest();
        let loaded = self.memory.generators.lock().unwrap();
        let before = self.met.len();
        self.met.retain(|id| loaded.contains(id));
        self.memory.give_back((before - self.met.len()) as u64 * self.bytes);
    }
}
