//! AVI files: Motion JPEG and PCM, playable everywhere, written without help.
//!
//! Chunks stream to the output; sizes and totals are patched into the header by [`AviWriter::finish`]. A file that was
//! never finished declares zero frames and zero bytes, and has no index.

use std::io::{Seek, SeekFrom, Write};

use super::avi_header::{AviSettings, SAMPLE_BYTES, Totals, header};

/// AVI 1.0 keeps offsets in 32 bits, and many players read them as signed.
const MAX_FILE_BYTES: u64 = (1 << 31) - 1;
const CHUNK_HEADER_BYTES: u64 = 8;
const INDEX_ENTRY_BYTES: u64 = 16;
const KEY_FRAME: u32 = 0x10;

const VIDEO: [u8; 4] = *b"00dc";
const AUDIO: [u8; 4] = *b"01wb";

/// Why an AVI file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum AviError {
    /// A setting is zero or out of range.
    #[error("an AVI file with {0:?} is impossible: sides 1 to 32767, a frame rate, a rate of samples")]
    Settings(AviSettings),
    /// A frame without bytes would be shown as the one before.
    #[error("frame {index} is empty")]
    EmptyFrame {
        /// Its number, from 0.
        index: usize,
    },
    /// The file would pass 2 GiB.
    #[error("the AVI file would pass 2 GiB after {frames} frames; write .mp4 or a folder of pictures instead")]
    TooLarge {
        /// Frames written so far.
        frames: usize,
    },
    /// The output failed.
    #[error("the AVI file could not be written: {0}")]
    Write(#[from] std::io::Error),
}

/// Writes one AVI file to `W`.
///
/// Give each frame to [`AviWriter::write_frame`], then [`AviWriter::audio_due`] samples to [`AviWriter::write_audio`]:
/// sound and pictures then lie side by side. [`AviWriter::finish`] makes the file complete; a drop does not.
#[derive(Debug)]
pub struct AviWriter<W> {
    out: W,
    settings: AviSettings,
    totals: Totals,
    header_bytes: u64,
    /// Bytes written so far.
    position: u64,
    index: Vec<IndexEntry>,
}

#[derive(Debug, Clone, Copy)]
struct IndexEntry {
    name: [u8; 4],
    /// From the `movi` name to the chunk's.
    offset: u32,
    bytes: u32,
}

impl<W: Write + Seek> AviWriter<W> {
    /// Writes the header of an unfinished file. `out` must be at its start.
    ///
    /// # Errors
    /// [`AviError::Settings`] for impossible settings, [`AviError::Write`] when the output fails.
    pub fn new(mut out: W, settings: AviSettings) -> Result<Self, AviError> {
        let side = 1..=0x7FFF;
        if !side.contains(&settings.width_px)
            || !side.contains(&settings.height_px)
            || settings.fps == 0
            || !(1..=1 << 24).contains(&settings.sample_rate_hz)
        {
            return Err(AviError::Settings(settings));
        }
        let totals = Totals::default();
        let header = header(&settings, &totals);
        out.write_all(&header)?;
        let header_bytes = header.len() as u64;
        Ok(Self { out, settings, totals, header_bytes, position: header_bytes, index: Vec::new() })
    }

    /// Appends one frame, a baseline JPEG of the announced size.
    ///
    /// # Errors
    /// [`AviError::EmptyFrame`], [`AviError::TooLarge`] or [`AviError::Write`].
    pub fn write_frame(&mut self, jpeg: &[u8]) -> Result<(), AviError> {
        if jpeg.is_empty() {
            return Err(AviError::EmptyFrame { index: self.totals.frames as usize });
        }
        let bytes = self.room_for(jpeg.len())?;
        self.write_chunk(VIDEO, bytes, |out| out.write_all(jpeg))?;
        self.totals.frames += 1;
        self.totals.largest_frame_bytes = self.totals.largest_frame_bytes.max(bytes);
        Ok(())
    }

    /// Samples to write now so that the sound reaches the end of the last frame.
    pub fn audio_due(&self) -> usize {
        let AviSettings { fps, sample_rate_hz, .. } = self.settings;
        let reached = u64::from(self.totals.frames) * u64::from(sample_rate_hz) / u64::from(fps);
        usize::try_from(reached.saturating_sub(u64::from(self.totals.samples))).unwrap_or(usize::MAX)
    }

    /// Appends sound. No sample is fine.
    ///
    /// # Errors
    /// [`AviError::TooLarge`] or [`AviError::Write`].
    pub fn write_audio(&mut self, samples: &[i16]) -> Result<(), AviError> {
        if samples.is_empty() {
            return Ok(());
        }
        let bytes = self.room_for(samples.len().saturating_mul(SAMPLE_BYTES as usize))?;
        self.write_chunk(AUDIO, bytes, |out| {
            let mut block = [0; 1024];
            for samples in samples.chunks(block.len() / 2) {
                for (sample, to) in samples.iter().zip(block.chunks_exact_mut(2)) {
                    to.copy_from_slice(&sample.to_le_bytes());
                }
                out.write_all(&block[..samples.len() * 2])?;
            }
            Ok(())
        })?;
        self.totals.samples += samples.len() as u32;
        self.totals.largest_audio_bytes = self.totals.largest_audio_bytes.max(bytes);
        Ok(())
    }

    /// Writes the index, completes the header, and gives the output back, flushed.
    ///
    /// # Errors
    /// [`AviError::Write`] when the output fails.
    pub fn finish(mut self) -> Result<W, AviError> {
        // `room_for` kept every position below 2 GiB, index included.
        self.totals.movi_bytes = (self.position - self.header_bytes + 4) as u32;
        self.out.write_all(b"idx1")?;
        self.out.write_all(&((self.index.len() as u64 * INDEX_ENTRY_BYTES) as u32).to_le_bytes())?;
        for IndexEntry { name, offset, bytes } in &self.index {
            self.out.write_all(name)?;
            for field in [KEY_FRAME, *offset, *bytes] {
                self.out.write_all(&field.to_le_bytes())?;
            }
        }
        self.totals.file_bytes = (self.position + self.index_bytes(0)) as u32;
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&header(&self.settings, &self.totals))?;
        self.out.seek(SeekFrom::End(0))?;
        self.out.flush()?;
        Ok(self.out)
    }

    /// Bytes of the index when it has this many entries more.
    fn index_bytes(&self, more: u64) -> u64 {
        CHUNK_HEADER_BYTES + (self.index.len() as u64 + more) * INDEX_ENTRY_BYTES
    }

    /// The chunk's length, once it is known that the finished file stays below the limit.
    fn room_for(&self, bytes: usize) -> Result<u32, AviError> {
        let chunk = (bytes as u64).saturating_add(CHUNK_HEADER_BYTES + 1);
        if self.position.saturating_add(chunk).saturating_add(self.index_bytes(1)) > MAX_FILE_BYTES {
            return Err(AviError::TooLarge { frames: self.totals.frames as usize });
        }
        Ok(bytes as u32)
    }

    fn write_chunk(
        &mut self,
        name: [u8; 4],
        bytes: u32,
        content: impl FnOnce(&mut W) -> std::io::Result<()>,
    ) -> Result<(), AviError> {
        let offset = (self.position - self.header_bytes + 4) as u32;
        self.out.write_all(&name)?;
        self.out.write_all(&bytes.to_le_bytes())?;
        content(&mut self.out)?;
        let padding = u64::from(bytes % 2);
        if padding == 1 {
            self.out.write_all(&[0])?;
        }
        self.position += CHUNK_HEADER_BYTES + u64::from(bytes) + padding;
        self.index.push(IndexEntry { name, offset, bytes });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
