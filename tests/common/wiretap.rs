//! A backend that passes everything on to a real one, and meanwhile holds batches back, notes what they
//! held and fills every result buffer with rubbish first: results come in [`Lane::complete`], so whatever
//! stands there before must not matter.

use std::sync::{Arc, Condvar, Mutex};

use lipsyncd::avatar::{Bundle, LoadedAvatar};
use lipsyncd::backend::{Backend, BackendError, BackendInfo, DeviceMemory, Lane, Models};
use lipsyncd::batch::health::Health;
use lipsyncd::batch::slot::{SlotShape, Staging};
use lipsyncd::batch::{BatchKey, Filled, InFlight, Ready, Slot};

/// What the tap knows and decides.
#[derive(Default)]
struct Line {
    held: bool,
    /// Batches that wait at the gate.
    waiting: usize,
    batches: Vec<(BatchKey, usize)>,
    /// Networks that were taken away under their avatar, which will unload them once more.
    yanked: Vec<Models>,
}

#[derive(Default)]
struct Shared {
    line: Mutex<Line>,
    moved: Condvar,
}

/// The tapped backend. While it is held, no batch reaches the device.
pub struct Wiretap {
    inner: Arc<dyn Backend>,
    shared: Arc<Shared>,
}

impl Wiretap {
    pub fn new(inner: Arc<dyn Backend>) -> Arc<Self> {
        Arc::new(Self { inner, shared: Arc::default() })
    }

    /// Stops batches before the device until [`Self::release`].
    pub fn hold(&self) {
        self.shared.line.lock().unwrap().held = true;
    }

    /// Lets them through.
    pub fn release(&self) {
        self.shared.line.lock().unwrap().held = false;
        self.shared.moved.notify_all();
    }

    /// Batches at the gate.
    pub fn waiting(&self) -> usize {
        self.shared.line.lock().unwrap().waiting
    }

    /// Key and size of every batch so far; forgets them.
    pub fn batches(&self) -> Vec<(BatchKey, usize)> {
        std::mem::take(&mut self.shared.line.lock().unwrap().batches)
    }

    /// Unloads networks that an avatar still holds.
    pub fn yank(&self, models: Models) {
        self.shared.line.lock().unwrap().yanked.push(models);
        self.inner.unload(models);
    }
}

impl Backend for Wiretap {
    fn info(&self) -> BackendInfo {
        self.inner.info()
    }

    fn load(&self, bundle: &Bundle) -> Result<Models, BackendError> {
        self.inner.load(bundle)
    }

    fn unload(&self, models: Models) {
        let mut line = self.shared.line.lock().unwrap();
        match line.yanked.iter().position(|yanked| *yanked == models) {
            Some(at) => drop(line.yanked.swap_remove(at)),
            None => self.inner.unload(models),
        }
    }

    fn show(&self, avatar: &LoadedAvatar) -> Result<(), BackendError> {
        self.inner.show(avatar)
    }

    fn memory(&self) -> Option<DeviceMemory> {
        self.inner.memory()
    }

    fn health(&self) -> &Arc<Health> {
        self.inner.health()
    }

    fn open_lane(&self, shape: SlotShape) -> Result<Box<dyn Lane>, BackendError> {
        Ok(Box::new(TappedLane { inner: self.inner.open_lane(shape)?, shared: Arc::clone(&self.shared) }))
    }
}

struct TappedLane {
    inner: Box<dyn Lane>,
    shared: Arc<Shared>,
}

impl Lane for TappedLane {
    fn submit(&mut self, slot: Slot<Filled>) -> Slot<InFlight> {
        let mut line = self.shared.line.lock().unwrap();
        line.waiting += 1;
        while line.held {
            line = self.shared.moved.wait(line).unwrap();
        }
        line.waiting -= 1;
        drop(line);
        let mut slot = self.inner.submit(slot);
        let (key, len) = (slot.key(), slot.len());
        self.shared.line.lock().unwrap().batches.push((key, len));
        for index in 0..len {
            match key {
                BatchKey::Encode(_) => slot.feature_mut(index).fill(f32::NAN),
                BatchKey::Render(_) => drop(slot.output_mut(index).fill(|out| {
                    out.fill(0xa5);
                    Ok::<_, ()>(out.len())
                })),
            }
        }
        slot
    }

    fn staging(&mut self, floats: usize) -> Result<Box<dyn Staging>, BackendError> {
        self.inner.staging(floats)
    }

    fn settle(&mut self, slot: &Slot<InFlight>) -> bool {
        self.inner.settle(slot)
    }

    fn complete(&mut self, slot: Slot<InFlight>) -> Slot<Ready> {
        self.inner.complete(slot)
    }

    fn rest(&mut self) {
        self.inner.rest();
    }
}
