//! What a network makes of each of many items, kept: written once by a run, read by the runs of another network.
#![allow(unsafe_code)] // This is the project's binding to ONNX Runtime's C interface.

use std::sync::atomic::{AtomicU8, Ordering};

use memmap2::MmapMut;

use super::binding::{MemoryInfo, Value, bind_error};
use super::{OnnxError, TensorSpec};

/// Bytes that tensors are aligned to: a cache line, which any SIMD width divides.
const ALIGNMENT: usize = 64;

const EMPTY: u8 = 0;
const BEING_WRITTEN: u8 = 1;
const WRITTEN: u8 = 2;

/// Room for the same tensors of many items. Memory is taken from the system when an item is written, not before.
pub struct Bank {
    // Declared first: released before the memory they refer to.
    values: Vec<Value>,
    states: Vec<AtomicU8>,
    tensors: usize,
    _memory: MmapMut,
}

// SAFETY: an item's memory is written by whoever holds its `Blank`, of which there is one, and read only once it is `WRITTEN`, which the
// atomic orders after the writes; the values are never changed.
unsafe impl Sync for Bank {}

/// An item, as the bank has it.
pub enum Item<'a> {
    /// To be written by whoever asked.
    Blank(Blank<'a>),
    /// To be read.
    Kept(Kept<'a>),
    /// Another thread writes it, or the bank has no room for it.
    Elsewhere,
}

/// An item that is being written; without [`Blank::keep`] it is empty again.
pub struct Blank<'a> {
    bank: &'a Bank,
    item: usize,
}

/// An item that is written.
#[derive(Clone, Copy)]
pub struct Kept<'a> {
    bank: &'a Bank,
    item: usize,
}

impl Bank {
    /// Bytes of an item of these tensors.
    #[must_use]
    pub fn item_bytes(specs: &[TensorSpec]) -> usize {
        specs.iter().map(|spec| spec.elements() * size_of::<f32>()).map(|bytes| bytes.next_multiple_of(ALIGNMENT)).sum()
    }

    /// Room for `items` items.
    ///
    /// # Errors
    /// [`OnnxError::Memory`] when the system refuses so much address space; [`OnnxError::Bind`].
    pub fn new(specs: &[TensorSpec], items: usize) -> Result<Self, OnnxError> {
        let bytes = items.saturating_mul(Self::item_bytes(specs));
        let refused = |source| OnnxError::Memory { bytes, source };
        let mut mapped = MmapMut::map_anon(bytes.max(ALIGNMENT)).map_err(refused)?;
        let memory = MemoryInfo::cpu().map_err(|error| bind_error(&TensorSpec::new("", &[]), &error))?;
        let (mut values, mut at) = (Vec::with_capacity(items * specs.len()), mapped.as_mut_ptr());
        for spec in (0..items).flat_map(|_| specs) {
            // SAFETY: the map has room for all tensors, one after the other, and is as old as the bank; runs use it as told at `Sync`.
            let value = unsafe { Value::floats(at.cast(), spec, &memory) };
            values.push(value.map_err(|error| bind_error(spec, &error))?);
            let bytes = (spec.elements() * size_of::<f32>()).next_multiple_of(ALIGNMENT);
            // SAFETY: at most the end of the map.
            at = unsafe { at.add(bytes) };
        }
        let states = (0..items).map(|_| AtomicU8::new(EMPTY)).collect();
        Ok(Self { values, states, tensors: specs.len(), _memory: mapped })
    }

    /// Items that are written.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.states.iter().filter(|state| state.load(Ordering::Relaxed) == WRITTEN).count()
    }

    /// Item `item`, to be read, or to be written.
    #[must_use]
    pub fn item(&self, item: usize) -> Item<'_> {
        let Some(state) = self.states.get(item) else { return Item::Elsewhere };
        match state.compare_exchange(EMPTY, BEING_WRITTEN, Ordering::Acquire, Ordering::Acquire) {
            Ok(_) => Item::Blank(Blank { bank: self, item }),
            Err(WRITTEN) => Item::Kept(Kept { bank: self, item }),
            Err(_) => Item::Elsewhere,
        }
    }

    fn values(&self, item: usize) -> &[Value] {
        &self.values[item * self.tensors..][..self.tensors]
    }
}

impl<'a> Blank<'a> {
    /// Where to write.
    pub(super) fn values(&self) -> &'a [Value] {
        self.bank.values(self.item)
    }

    /// Says that all of it is written.
    #[must_use]
    pub fn keep(self) -> Kept<'a> {
        let (bank, item) = (self.bank, self.item);
        std::mem::forget(self);
        bank.states[item].store(WRITTEN, Ordering::Release);
        Kept { bank, item }
    }
}

impl Drop for Blank<'_> {
    fn drop(&mut self) {
        self.bank.states[self.item].store(EMPTY, Ordering::Release);
    }
}

impl<'a> Kept<'a> {
    /// Where to read.
    pub(super) fn values(&self) -> &'a [Value] {
        self.bank.values(self.item)
    }
}
