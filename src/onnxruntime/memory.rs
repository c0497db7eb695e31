//! The memory that networks work in, in large pages.
//!
//! A run goes through tens of megabytes from one operator to the next, in pages of 4 KiB unless somebody asks for larger ones, and ONNX
//! Runtime asks for none. This is for an allocator of its environment: large blocks begin on the borders of large pages, are advised to be
//! such, and are kept for the next run, whichever network's. Never more is kept than was in use at once since a network came or went.
#![allow(unsafe_code)] // This is the project's binding to ONNX Runtime's C interface.

use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::sync::{Mutex, MutexGuard, PoisonError};

use memmap2::{Advice, MmapMut};

/// Bytes of a large page of x86-64, and of aarch64 with pages of 4 KiB.
const LARGE_PAGE: usize = 2 << 20;
/// What any operator wants a block to be aligned to; also the size of a header.
const ALIGNMENT: usize = 64;

/// ONNX Runtime has one environment per process.
pub(super) static MEMORY: Memory = Memory::new();

pub(super) struct Memory(Mutex<Blocks>);

/// The large blocks.
struct Blocks {
    /// The longest unused first.
    spare: Vec<Block>,
    spare_bytes: usize,
    used_bytes: usize,
    /// As many bytes as were in use at once.
    most_bytes: usize,
}

/// Stands right before the memory that ONNX Runtime is given.
#[repr(C, align(64))]
struct Header {
    /// Bytes behind the header.
    room: usize,
    /// What a large block, this header included, lies in.
    map: Option<MmapMut>,
}

const _: () = assert!(size_of::<Header>() == ALIGNMENT);

#[derive(Clone, Copy)]
struct Block(NonNull<Header>);

// SAFETY: memory is no thread's own.
unsafe impl Send for Block {}

/// Gives back what nobody uses: a network has been loaded, which took more than its runs will, or has gone.
pub(super) fn trim() {
    MEMORY.trim();
}

impl Memory {
    const fn new() -> Self {
        Self(Mutex::new(Blocks { spare: Vec::new(), spare_bytes: 0, used_bytes: 0, most_bytes: 0 }))
    }

    fn blocks(&self) -> MutexGuard<'_, Blocks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Memory for `bytes` bytes; null for none, and when there is none.
    pub(super) fn alloc(&self, bytes: usize) -> *mut c_void {
        let is_large = bytes.saturating_add(ALIGNMENT) >= LARGE_PAGE;
        let spare = is_large.then(|| self.blocks().take(bytes)).flatten();
        let block = spare.or_else(|| {
            let block = Block::from_system(bytes)?;
            if is_large {
                self.blocks().used(bytes);
            }
            Some(block)
        });
        block.map_or(ptr::null_mut(), |block| block.data())
    }

    /// Takes back what [`Self::alloc`] gave.
    ///
    /// # Safety
    /// It did give `data`, and nobody uses that any more.
    pub(super) unsafe fn free(&self, data: *mut c_void) {
        let Some(data) = NonNull::new(data) else { return };
        // SAFETY: promised by the caller.
        let block = unsafe { Block::of(data) };
        if block.header().map.is_some() { self.blocks().give_back(block) } else { block.release() }
    }

    fn trim(&self) {
        let mut blocks = self.blocks();
        blocks.most_bytes = blocks.used_bytes;
        blocks.shrink();
    }
}

impl Blocks {
    /// The smallest spare block with room for `bytes`, unless most of it would be wasted.
    fn take(&mut self, bytes: usize) -> Option<Block> {
        let fits = |&(_, room): &(usize, usize)| (bytes..=bytes.saturating_mul(2)).contains(&room);
        let rooms = self.spare.iter().map(Block::room).enumerate();
        let (at, room) = rooms.filter(fits).min_by_key(|&(_, room)| room)?;
        self.spare_bytes -= room;
        let block = self.spare.remove(at);
        self.used(room);
        Some(block)
    }

    /// So many bytes more are in use.
    fn used(&mut self, bytes: usize) {
        self.used_bytes += bytes;
        self.most_bytes = self.most_bytes.max(self.used_bytes);
        self.shrink();
    }

    fn give_back(&mut self, block: Block) {
        self.used_bytes -= block.room();
        self.spare_bytes += block.room();
        self.spare.push(block);
    }

    /// Releases spare blocks until there are no more than were in use at once.
    fn shrink(&mut self) {
        while self.used_bytes + self.spare_bytes > self.most_bytes && !self.spare.is_empty() {
            let block = self.spare.remove(0);
            self.spare_bytes -= block.room();
            block.release();
        }
    }
}

impl Block {
    /// A block of `bytes` from the system; `None` for none, and when it has none.
    fn from_system(bytes: usize) -> Option<Self> {
        if bytes == 0 {
            return None;
        }
        let whole = bytes.checked_add(ALIGNMENT)?;
        let (start, map) = if whole < LARGE_PAGE { (small(whole)?, None) } else { large(whole)? };
        let header: NonNull<Header> = NonNull::new(start)?.cast();
        // SAFETY: the memory is nobody else's, has room for a header and is aligned for one.
        unsafe { header.write(Header { room: bytes, map }) };
        Some(Self(header))
    }

    /// The block whose data ONNX Runtime has.
    ///
    /// # Safety
    /// `data` is that of a block that has not been released.
    unsafe fn of(data: NonNull<c_void>) -> Self {
        // SAFETY: the header is right before the data.
        Self(unsafe { data.cast::<Header>().sub(1) })
    }

    fn data(&self) -> *mut c_void {
        // SAFETY: the data is right behind the header.
        unsafe { self.0.add(1) }.as_ptr().cast()
    }

    fn header(&self) -> &Header {
        // SAFETY: a block that can be reached has its header.
        unsafe { self.0.as_ref() }
    }

    fn room(&self) -> usize {
        self.header().room
    }

    fn release(self) {
        // SAFETY: nobody reads the header again; what it lies in goes with it.
        let Header { map, .. } = unsafe { self.0.read() };
        if map.is_none() {
            // SAFETY: a small block's memory begins with its header.
            unsafe { libc::free(self.0.as_ptr().cast()) };
        }
    }
}

fn small(bytes: usize) -> Option<*mut u8> {
    let mut start = ptr::null_mut();
    // SAFETY: the alignment is a power of two and a multiple of a pointer's size.
    let result = unsafe { libc::posix_memalign(&raw mut start, ALIGNMENT, bytes) };
    (result == 0).then_some(start.cast())
}

fn large(bytes: usize) -> Option<(*mut u8, Option<MmapMut>)> {
    let mut map = MmapMut::map_anon(bytes.checked_add(LARGE_PAGE)?).ok()?;
    // It works without.
    let _ = map.advise(Advice::HugePage);
    let start = map.as_mut_ptr();
    let start = start.wrapping_add(start.align_offset(LARGE_PAGE));
    Some((start, Some(map)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn give(memory: &Memory, data: *mut c_void) {
        // SAFETY: each is given back once.
        unsafe { memory.free(data) };
    }

    #[test]
    fn any_size_is_aligned_and_its_own() {
        let memory = Memory::new();
        let border = LARGE_PAGE - ALIGNMENT;
        let sizes = [1, 63, 64, 4096, border - 1, border, LARGE_PAGE, 5 * LARGE_PAGE + 3];
        let all = sizes.map(|bytes| (memory.alloc(bytes), bytes));
        for (value, &(data, bytes)) in (1..).zip(&all) {
            assert_eq!(data.align_offset(ALIGNMENT), 0, "{bytes}");
            // SAFETY: of so many bytes, and this test's own.
            unsafe { data.cast::<u8>().write_bytes(value, bytes) };
        }
        for (value, (data, bytes)) in (1..).zip(all) {
            // SAFETY: as above, and just written.
            let written = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), bytes) };
            assert!(written.iter().all(|&byte| byte == value), "{bytes}");
            give(&memory, data);
        }
        assert!([0, usize::MAX, usize::MAX - LARGE_PAGE].iter().all(|&bytes| memory.alloc(bytes).is_null()));
        give(&memory, ptr::null_mut());
    }

    #[test]
    fn large_blocks_are_used_again_and_no_more_are_kept_than_were_in_use() {
        let memory = Memory::new();
        let pages = |pages: usize| memory.alloc(pages * LARGE_PAGE);
        let (ten, six) = (pages(10), pages(6));
        give(&memory, ten);
        give(&memory, six);
        assert_eq!(pages(5), six, "the smallest that has room");
        assert_eq!(memory.blocks().spare.len(), 1);
        let four = pages(4);
        assert_ne!(four, ten, "it would be wasted on four");
        assert!(memory.blocks().spare.is_empty(), "with it there would be 20 pages, and 16 were in use at once");
        give(&memory, six);
        assert_eq!(pages(6), six);
        give(&memory, six);
        memory.trim();
        assert!(memory.blocks().spare.is_empty());
        assert_eq!(memory.blocks().used_bytes, 4 * LARGE_PAGE);
        give(&memory, four);
    }
}
