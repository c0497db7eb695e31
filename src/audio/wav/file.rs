//! A WAVE file on disk, read where and when its samples are wanted.

use std::fs::File;
use std::io::{self, Read as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::format::Format;
use super::{Pcm, WavError, WavFileError, chunks, decode, format};
use crate::audio::Sound;

/// What is looked at first for the headers; nearly always enough.
const HEAD_BYTES: usize = 4096;

/// Samples decoded at a time: few enough that they stay in a core's cache until they are used.
const BLOCK_SAMPLES: usize = 8192;

/// A WAVE file whose samples are decoded as they are read; of a regular file no more is in memory.
#[derive(Debug)]
pub struct WavFile {
    path: PathBuf,
    bytes: Bytes,
    format: Format,
    /// Where in the file the samples lie.
    data: Range<usize>,
}

#[derive(Debug)]
enum Bytes {
    Disk(File),
    /// What came through a pipe, or a file shorter than a header's first look.
    Memory(Vec<u8>),
}

impl WavFile {
    /// Opens the file at `path` and reads its headers.
    ///
    /// # Errors
    /// When the file cannot be read, or for any reason [`parse_wav`](super::parse_wav) gives but that of a sample, which
    /// is found on reading; both name the path.
    pub fn open(path: &Path) -> Result<Self, WavFileError> {
        let failed = |source| WavFileError::Read { path: path.to_owned(), source };
        let faulty = |source| WavFileError::Parse { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let on_disk = usize::try_from(metadata.len()).ok().filter(|_| metadata.is_file());
        let mut head = Vec::new();
        if let Some(bytes) = on_disk.filter(|&bytes| bytes > HEAD_BYTES) {
            head.resize(HEAD_BYTES, 0);
            file.read_exact_at(&mut head, 0).map_err(failed)?;
            match headers(&head, bytes) {
                Ok((format, data)) => {
                    return Ok(Self { path: path.to_owned(), bytes: Bytes::Disk(file), format, data });
                }
                // The samples may start further on than was looked.
                Err(WavError::NoData) => head.clear(),
                Err(source) => return Err(faulty(source)),
            }
        }
        file.read_to_end(&mut head).map_err(failed)?;
        let (format, data) = headers(&head, head.len()).map_err(faulty)?;
        Ok(Self { path: path.to_owned(), bytes: Bytes::Memory(head), format, data })
    }

    /// Samples per second, `1..=768_000`.
    #[must_use]
    pub fn sample_rate_hz(&self) -> u32 {
        self.format.sample_rate_hz
    }

    /// The whole sound, in memory.
    ///
    /// # Errors
    /// When the file cannot be read, or holds a sample that is no finite number.
    pub fn pcm(&self) -> Result<Pcm, WavFileError> {
        let mut samples = Vec::with_capacity(self.samples());
        self.read(0..self.samples(), &mut |block| samples.extend_from_slice(block))?;
        Ok(Pcm { sample_rate_hz: self.sample_rate_hz(), samples })
    }

    /// The bytes of the samples `range`, from memory or read into `buffer`.
    fn bytes<'b>(&'b self, range: &Range<usize>, buffer: &'b mut Vec<u8>) -> io::Result<&'b [u8]> {
        let at = |sample: usize| self.data.start + sample * self.format.block_bytes;
        match &self.bytes {
            Bytes::Memory(all) => Ok(&all[at(range.start)..at(range.end)]),
            Bytes::Disk(file) => {
                buffer.resize(at(range.end) - at(range.start), 0);
                file.read_exact_at(buffer, at(range.start) as u64)?;
                Ok(buffer)
            }
        }
    }
}

impl Sound for WavFile {
    type Error = WavFileError;

    fn samples(&self) -> usize {
        self.data.len() / self.format.block_bytes
    }

    fn read(&self, range: Range<usize>, take: &mut dyn FnMut(&[f32])) -> Result<(), WavFileError> {
        let (mut buffer, mut block) = (Vec::new(), Vec::new());
        let mut first = range.start;
        while first < range.end {
            let now = first..range.end.min(first + BLOCK_SAMPLES);
            let bytes = self
                .bytes(&now, &mut buffer)
                .map_err(|source| WavFileError::Read { path: self.path.clone(), source })?;
            block.clear();
            decode::append(bytes, &self.format, first, &mut block)
                .map_err(|source| WavFileError::Parse { path: self.path.clone(), source })?;
            take(&block);
            first = now.end;
        }
        Ok(())
    }
}

/// Format and place of the samples of a file of `file_bytes` that starts with `head`.
pub(super) fn headers(head: &[u8], file_bytes: usize) -> Result<(Format, Range<usize>), WavError> {
    let parts = chunks::find(head, file_bytes)?;
    let format = format::parse(parts.format)?;
    decode::check_length(parts.data.len(), &format)?;
    Ok((format, parts.data))
}
