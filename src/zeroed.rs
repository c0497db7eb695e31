//! Memory that is zero, and not there until it is written.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use bytemuck::Pod;
use memmap2::{Advice, MmapMut};

/// So many `T`s, all of them zero at first. They come from the system by themselves: what is never written takes no memory, and all of it is
/// given back when this drops, whatever the heap is like by then. For tens of kilobytes and more that live as long as a session.
pub(crate) enum Zeroed<T> {
    Mapped {
        map: MmapMut,
        items: PhantomData<T>,
    },
    /// Where the system gives no more maps.
    Heap(Box<[T]>),
}

impl<T: Pod> Zeroed<T> {
    /// `len` of them.
    pub(crate) fn new(len: usize) -> Self {
        let Some(Ok(map)) = len.checked_mul(size_of::<T>()).map(MmapMut::map_anon) else { return Self::heap(len) };
        // A large page would be there as a whole once a byte of it is written. Where there are none, there is nothing to advise against.
        let _ = map.advise(Advice::NoHugePage);
        Self::Mapped { map, items: PhantomData }
    }

    /// `len` of them, on the heap.
    pub(crate) fn heap(len: usize) -> Self {
        Self::Heap(vec![T::zeroed(); len].into_boxed_slice())
    }
}

impl<T: Pod> Default for Zeroed<T> {
    fn default() -> Self {
        Self::Heap(Box::default())
    }
}

impl<T: Pod> Deref for Zeroed<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::Mapped { map, .. } => bytemuck::cast_slice(map),
            Self::Heap(items) => items,
        }
    }
}

impl<T: Pod> DerefMut for Zeroed<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Self::Mapped { map, .. } => bytemuck::cast_slice_mut(map),
            Self::Heap(items) => items,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resident_kib() -> u64 {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    #[test]
    fn all_are_zero_and_keep_what_is_written() {
        for mut numbers in [Zeroed::<f32>::new(70_001), Zeroed::heap(70_001), Zeroed::new(0), Zeroed::default()] {
            assert!(numbers.len() == 70_001 || numbers.is_empty());
            assert!(numbers.iter().all(|&number| number == 0.0));
            for (index, number) in numbers.iter_mut().enumerate() {
                *number = index as f32;
            }
            assert!(numbers.iter().enumerate().all(|(index, &number)| number == index as f32));
        }
    }

    #[test]
    fn what_is_not_written_is_not_in_memory() {
        let before = resident_kib();
        let mut bytes = Zeroed::<u8>::new(1 << 30);
        bytes[1 << 29] = 1;
        // Other tests run beside this one.
        assert!(resident_kib() < before + (1 << 19), "a gigabyte is there");
    }
}
