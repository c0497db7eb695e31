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
    /// Behind all tensors, `note_bytes` for each item.
    notes: *mut u8,
    note_bytes: usize,
    _memory: MmapMut,
}

// SAFETY: nothing in it is tied to a thread.
unsafe impl Send for Bank {}

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
    /// Bytes of an item of these tensors and a note.
    #[must_use]
    pub fn item_bytes(specs: &[TensorSpec], note_bytes: usize) -> usize {
        specs.iter().map(tensor_bytes).sum::<usize>() + note_bytes
    }

    /// Room for `items` items, each of these tensors and a note of so many bytes.
    ///
    /// # Errors
    /// [`OnnxError::Memory`] when the system refuses so much address space; [`OnnxError::Bind`].
    pub fn new(specs: &[TensorSpec], note_bytes: usize, items: usize) -> Result<Self, OnnxError> {
        let bytes = items.saturating_mul(Self::item_bytes(specs, note_bytes));
        let refused = |source| OnnxError::Memory { bytes, source };
        let mut mapped = MmapMut::map_anon(bytes.max(ALIGNMENT)).map_err(refused)?;
        // An item spans a thousand ordinary pages; it works without large ones.
        let _ = mapped.advise(memmap2::Advice::HugePage);
        let memory = MemoryInfo::cpu().map_err(|error| bind_error(&TensorSpec::new("", &[]), &error))?;
        let (mut values, mut at) = (Vec::with_capacity(items * specs.len()), mapped.as_mut_ptr());
        for spec in (0..items).flat_map(|_| specs) {
            // SAFETY: the map has room for all tensors, one after the other, and is as old as the bank; runs use it as told at `Sync`.
            let value = unsafe { Value::floats(at.cast(), spec, &memory) };
            values.push(value.map_err(|error| bind_error(spec, &error))?);
            // SAFETY: at most where the notes begin.
            at = unsafe { at.add(tensor_bytes(spec)) };
        }
        let states = (0..items).map(|_| AtomicU8::new(EMPTY)).collect();
        Ok(Self { values, states, tensors: specs.len(), notes: at, note_bytes, _memory: mapped })
    }

    /// Items that are written.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.count(WRITTEN)
    }

    /// Items that somebody is writing now.
    #[must_use]
    pub fn being_written(&self) -> usize {
        self.count(BEING_WRITTEN)
    }

    fn count(&self, what: u8) -> usize {
        self.states.iter().filter(|state| state.load(Ordering::Relaxed) == what).count()
    }

    /// Items there is room for.
    #[must_use]
    pub fn room(&self) -> usize {
        self.states.len()
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

    /// Where the note of `item` begins.
    fn note(&self, item: usize) -> *mut u8 {
        // SAFETY: `item` is one of the bank's, and the map has room for all their notes.
        unsafe { self.notes.add(item * self.note_bytes) }
    }
}

fn tensor_bytes(spec: &TensorSpec) -> usize {
    (spec.elements() * size_of::<f32>()).next_multiple_of(ALIGNMENT)
}

impl<'a> Blank<'a> {
    /// Where to write.
    pub(super) fn values(&self) -> &'a [Value] {
        self.bank.values(self.item)
    }

    /// The item's note, to be written.
    pub fn note_mut(&mut self) -> &mut [u8] {
        // SAFETY: the note is the item's alone, and nobody else has the item while it is blank.
        unsafe { std::slice::from_raw_parts_mut(self.bank.note(self.item), self.bank.note_bytes) }
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
    /// The item's note.
    #[must_use]
    pub fn note(&self) -> &'a [u8] {
        // SAFETY: the map is as old as the bank, and what is kept is only read.
        unsafe { std::slice::from_raw_parts(self.bank.note(self.item), self.bank.note_bytes) }
    }

    /// Where to read.
    pub(super) fn values(&self) -> &'a [Value] {
        self.bank.values(self.item)
    }
}
