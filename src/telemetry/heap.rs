//! An allocator that counts, so that a running daemon can show that frames cost no allocation and that nothing is left behind.
#![allow(unsafe_code)] // A global allocator is unsafe to implement; this one only counts and passes on.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Counters that threads share out among themselves: enough that lanes do not meet on one.
const SHARDS: usize = 64;

/// On a cache line of its own.
#[repr(align(64))]
struct Shard {
    allocations: AtomicU64,
    /// Allocated less freed: a block may be freed by another shard's thread, so that only the sum, which wraps, is a number of bytes.
    bytes: AtomicU64,
}

static SHARES: [Shard; SHARDS] = [const { Shard { allocations: AtomicU64::new(0), bytes: AtomicU64::new(0) } }; SHARDS];
static NEXT_SHARD: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    // Neither has a destructor, so both can be used while a thread ends, and neither allocates.
    static SHARD: Cell<usize> = const { Cell::new(usize::MAX) };
    static MINE: Cell<u64> = const { Cell::new(0) };
}

/// Passes every request on to `A` and counts those that ask for memory, new blocks and resized ones, and the bytes of all that live.
pub struct CountingAllocator<A>(pub A);

// SAFETY: every call goes to `A` with the caller's own arguments, and the caller keeps `GlobalAlloc`'s
// contract; counting neither allocates nor unwinds and changes neither arguments nor results.
unsafe impl<A: GlobalAlloc> GlobalAlloc for CountingAllocator<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps `alloc`'s contract.
        let block = unsafe { self.0.alloc(layout) };
        count(block, 0, layout.size());
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps `alloc_zeroed`'s contract.
        let block = unsafe { self.0.alloc_zeroed(layout) };
        count(block, 0, layout.size());
        block
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller keeps `realloc`'s contract, and `block` is `A`'s.
        let resized = unsafe { self.0.realloc(block, layout, size) };
        count(resized, layout.size(), size);
        resized
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        shard().bytes.fetch_sub(layout.size() as u64, Ordering::Relaxed);
        // SAFETY: the caller keeps `dealloc`'s contract, and `block` is `A`'s.
        unsafe { self.0.dealloc(block, layout) }
    }
}

/// Counts a request that was answered with `block`, which took the place of one of `before` bytes and has `after`.
fn count(block: *mut u8, before: usize, after: usize) {
    MINE.set(MINE.get().wrapping_add(1));
    let shard = shard();
    shard.allocations.fetch_add(1, Ordering::Relaxed);
    // Where there is no memory, nothing has changed.
    if !block.is_null() {
        shard.bytes.fetch_add((after as u64).wrapping_sub(before as u64), Ordering::Relaxed);
    }
}

/// The calling thread's.
fn shard() -> &'static Shard {
    let mut index = SHARD.get();
    if index == usize::MAX {
        index = NEXT_SHARD.fetch_add(1, Ordering::Relaxed) % SHARDS;
        SHARD.set(index);
    }
    &SHARES[index]
}

/// Allocations of the whole process so far; 0 for ever in a program without [`CountingAllocator`].
#[must_use]
pub fn allocations() -> u64 {
    SHARES.iter().map(|shard| shard.allocations.load(Ordering::Relaxed)).sum()
}

/// Bytes of all blocks that have not been freed; 0 for ever in a program without [`CountingAllocator`].
#[must_use]
pub fn bytes() -> u64 {
    let sum = |sum: u64, shard: &Shard| sum.wrapping_add(shard.bytes.load(Ordering::Relaxed));
    // One that another thread has freed while the sum was taken may be missing from it.
    SHARES.iter().fold(0, sum).cast_signed().max(0).cast_unsigned()
}

/// Allocations of the calling thread so far.
#[must_use]
pub fn allocations_of_this_thread() -> u64 {
    MINE.get()
}

#[cfg(test)]
mod tests {
    use std::alloc::System;

    use super::*;

    #[test]
    fn new_and_resized_blocks_count_as_allocations_and_live_ones_with_their_bytes() {
        let heap = CountingAllocator(System);
        let layout = Layout::from_size_align(64, 8).unwrap();
        let (mine, all) = (allocations_of_this_thread(), allocations());
        // SAFETY: the layout is valid, the block is this allocator's and is freed once with its last size.
        unsafe {
            let block = heap.alloc(layout);
            assert_eq!(bytes(), 64);
            let block = heap.realloc(block, layout, 128);
            assert_eq!(bytes(), 128);
            let zeroed = heap.alloc_zeroed(layout);
            assert_eq!((*zeroed, bytes()), (0, 192));
            let block = heap.realloc(block, Layout::from_size_align(128, 8).unwrap(), 32);
            assert_eq!(bytes(), 96);
            heap.dealloc(block, Layout::from_size_align(32, 8).unwrap());
            heap.dealloc(zeroed, layout);
            assert_eq!(bytes(), 0);
        }
        assert_eq!(allocations_of_this_thread() - mine, 4);
        assert!(allocations() - all >= 4);
    }
}
