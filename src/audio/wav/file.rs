//! A WAVE file on disk, read where and when its samples are wanted.

use std::fs::File;
use std::io::{self, Read as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::format::Format;
use super::{Pcm, WavError, WavFileError, chunks, decode, format};
use crate::audio::Sound;

/// Bytes that are read at a time in search of the samples; nearly always enough. A file of no more is kept in memory.
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
    /// What came through a pipe, or a short file.
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
        let (bytes, found) = match on_disk.filter(|&bytes| bytes > HEAD_BYTES) {
            Some(bytes) => {
                let mut window = Window { file: &file, bytes: Vec::new(), start: 0 };
                let found = headers(bytes, |at, out| window.read(at, out));
                (Bytes::Disk(file), found)
            }
            None => {
                let mut all = Vec::new();
                file.read_to_end(&mut all).map_err(failed)?;
                let found = headers_of(&all).map_err(Stop::Parse);
                (Bytes::Memory(all), found)
            }
        };
        let (format, data) = found.map_err(|stop| match stop {
            Stop::Read(source) => failed(source),
            Stop::Parse(source) => faulty(source),
        })?;
        Ok(Self { path: path.to_owned(), bytes, format, data })
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

/// Why the samples of a file were not found.
enum Stop {
    Read(io::Error),
    Parse(WavError),
}

impl From<WavError> for Stop {
    fn from(error: WavError) -> Self {
        Self::Parse(error)
    }
}

/// A piece of a file, so that headers that lie near each other are read at once.
struct Window<'f> {
    file: &'f File,
    bytes: Vec<u8>,
    start: usize,
}

impl Window<'_> {
    fn read(&mut self, at: usize, out: &mut [u8]) -> Result<usize, Stop> {
        if at < self.start || at.saturating_add(out.len()) > self.start + self.bytes.len() {
            self.move_to(at).map_err(Stop::Read)?;
        }
        Ok(copy_at(&self.bytes, at - self.start, out))
    }

    fn move_to(&mut self, at: usize) -> io::Result<()> {
        self.bytes.resize(HEAD_BYTES, 0);
        let (mut held, file) = (0, self.file);
        while held < HEAD_BYTES {
            match file.read_at(&mut self.bytes[held..], (at + held) as u64) {
                Ok(0) => break,
                Ok(read) => held += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.bytes.truncate(held);
        self.start = at;
        Ok(())
    }
}

/// Copies what `bytes` has from `at` on to `out`; gives how much that is.
fn copy_at(bytes: &[u8], at: usize, out: &mut [u8]) -> usize {
    let from = bytes.get(at..).unwrap_or_default();
    let len = from.len().min(out.len());
    out[..len].copy_from_slice(&from[..len]);
    len
}

/// Format and place of the samples of a whole file in memory.
pub(super) fn headers_of(bytes: &[u8]) -> Result<(Format, Range<usize>), WavError> {
    headers(bytes.len(), |at, out| Ok(copy_at(bytes, at, out)))
}

/// Format and place of the samples of a file of `file_bytes`, of which `read` gives what lies at an offset.
fn headers<E: From<WavError>>(
    file_bytes: usize,
    read: impl FnMut(usize, &mut [u8]) -> Result<usize, E>,
) -> Result<(Format, Range<usize>), E> {
    let parts = chunks::find(file_bytes, read)?;
    let format = format::parse(&parts.format)?;
    decode::check_length(parts.data.len(), &format)?;
    Ok((format, parts.data))
}
