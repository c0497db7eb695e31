//! An allocator that counts, so that a running daemon can show that frames cost no allocation.
#![allow(unsafe_code)] // A global allocator is unsafe to implement; this one only counts and passes on.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Counters that threads share out among themselves: enough that lanes do not meet on one.
const SHARDS: usize = 64;

/// On a cache line of its own.
#[repr(align(64))]
struct Shard(AtomicU64);

static TOTALS: [Shard; SHARDS] = [const { Shard(AtomicU64::new(0)) }; SHARDS];
static NEXT_SHARD: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    // Neither has a destructor, so both can be used while a thread ends, and neither allocates.
    static SHARD: Cell<usize> = const { Cell::new(usize::MAX) };
    static MINE: Cell<u64> = const { Cell::new(0) };
}

/// Passes every request on to `A` and counts those that ask for memory: new blocks and resized ones.
pub struct CountingAllocator<A>(pub A);

// SAFETY: every call goes to `A` with the caller's own arguments, and the caller keeps `GlobalAlloc`'s
// contract; counting neither allocates nor unwinds and changes neither arguments nor results.
unsafe impl<A: GlobalAlloc> GlobalAlloc for CountingAllocator<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps `alloc_zeroed`'s contract.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps `realloc`'s contract, and `block` is `A`'s.
        unsafe { self.0.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract, and `block` is `A`'s.
        unsafe { self.0.dealloc(block, layout) }
    }
}

fn count() {
    MINE.set(MINE.get().wrapping_add(1));
    let mut shard = SHARD.get();
    if shard == usize::MAX {
        shard = NEXT_SHARD.fetch_add(1, Ordering::Relaxed) % SHARDS;
        SHARD.set(shard);
    }
    TOTALS[shard].0.fetch_add(1, Ordering::Relaxed);
}

/// Allocations of the whole process so far; 0 for ever in a program without [`CountingAllocator`].
#[must_use]
pub fn allocations() -> u64 {
    TOTALS.iter().map(|shard| shard.0.load(Ordering::Relaxed)).sum()
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
    fn new_and_resized_blocks_count_and_freed_ones_do_not() {
        let heap = CountingAllocator(System);
        let layout = Layout::from_size_align(64, 8).unwrap();
        let (mine, all) = (allocations_of_this_thread(), allocations());
        // SAFETY: the layout is valid, the block is this allocator's and is freed once with its last size.
        unsafe {
            let block = heap.alloc(layout);
            let block = heap.realloc(block, layout, 128);
            heap.dealloc(block, Layout::from_size_align(128, 8).unwrap());
            let zeroed = heap.alloc_zeroed(layout);
            assert_eq!(*zeroed, 0);
            heap.dealloc(zeroed, layout);
        }
        assert_eq!(allocations_of_this_thread() - mine, 3);
        assert!(allocations() - all >= 3);
    }
}
