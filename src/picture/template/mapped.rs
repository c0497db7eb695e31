//! A whole file as read-only memory.
#![allow(unsafe_code, reason = "memory-mapping a file")]

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::Path;

use memmap2::Mmap;

/// A mapped file: pages are read when touched and dropped when memory is short.
#[derive(Debug)]
pub(super) struct MappedFile(Mmap);

impl MappedFile {
    /// Maps a cache file, which must be one that is only ever replaced by a rename, never written in place.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // SAFETY: the bytes must not change while mapped. Cache files are written under another name and renamed, by
        // every lipsyncd; a stranger who cuts one in the daemon's own cache folder can end the process, not fool the type
        // system: all reads are of plain bytes, which are validated before use.
        let map = unsafe { Mmap::map(&file) }?;
        Ok(Self(map))
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
