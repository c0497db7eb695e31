//! What the C library keeps of networks that were read or have gone.
//!
//! A file is read into megabytes of strings and small tensors, which are the C library's, not `memory`'s. Once freed they stay with the
//! process, in as many heaps as there were threads that loaded: 18 to 250 MB were seen to.
#![allow(unsafe_code)] // This is the project's binding to ONNX Runtime's C interface.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a network has gone since the last [`trim`].
static GONE: AtomicBool = AtomicBool::new(false);

/// Notes that a network has gone.
pub(super) fn network_gone() {
    GONE.store(true, Ordering::Relaxed);
}

/// Gives back what nobody uses. It takes tens of milliseconds, in which other threads may wait for small blocks.
pub fn trim() {
    GONE.store(false, Ordering::Relaxed);
    #[cfg(target_env = "gnu")]
    // SAFETY: any thread may call it at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// As [`trim`], if a network has gone since the last.
pub fn trim_after_network() {
    if GONE.swap(false, Ordering::Relaxed) {
        trim();
    }
}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use std::ffi::c_void;

    use super::*;

    const BYTES: usize = 64 << 10;

    #[test]
    fn what_is_freed_goes_back_to_the_system() {
        // Other tests trim as well, or take some of it.
        let seen: Vec<_> = std::iter::repeat_with(kept_before_and_after_a_trim).take(5).collect();
        assert!(seen.iter().any(|&(before, after)| before > 400 && after < 100), "{seen:?}");
    }

    /// Of 511 blocks that were freed, those that the process still has.
    fn kept_before_and_after_a_trim() -> (usize, usize) {
        // SAFETY: it may be called with any size.
        let blocks = [(); 512].map(|()| unsafe { libc::malloc(BYTES) });
        for block in blocks {
            assert!(!block.is_null());
            // SAFETY: of so many bytes, and this test's own.
            unsafe { block.cast::<u8>().write_bytes(1, BYTES) };
        }
        let resident = || blocks.iter().filter(|&&block| is_resident(block.wrapping_byte_add(BYTES / 2))).count();
        // What is free above the last in use goes back at once.
        let [before @ .., last] = &blocks;
        before.iter().for_each(|&block| free(block));
        let kept = resident();
        trim();
        let seen = (kept, resident());
        free(*last);
        seen
    }

    fn free(block: *mut c_void) {
        // SAFETY: each is freed once.
        unsafe { libc::free(block) };
    }

    /// Whether the page of `data` is in memory.
    fn is_resident(data: *mut c_void) -> bool {
        // SAFETY: it only says a number.
        let page_bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        let mut pages = [0];
        // SAFETY: it looks at no memory, and says one byte of one page, be that mapped or not.
        let result = unsafe { libc::mincore(data.map_addr(|at| at & !(page_bytes - 1)), 1, pages.as_mut_ptr()) };
        result == 0 && pages[0] & 1 == 1
    }
}
