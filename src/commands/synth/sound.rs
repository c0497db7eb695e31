//! The sound of a run: read once, since a pipe gives it once.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::CommandError;
use crate::audio::{Pcm, WavFileError, parse_wav, read_wav};
use crate::commands::error::FileError;

/// What is spoken.
pub(super) struct Speech {
    pub pcm: Pcm,
    path: PathBuf,
}

/// A file with the sound, for other programs.
pub(super) enum SoundFile {
    /// The one that was given.
    Given(PathBuf),
    /// One made here, gone with this.
    Made(NamedTempFile),
}

impl SoundFile {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Given(path) => path,
            Self::Made(file) => file.path(),
        }
    }
}

impl Speech {
    pub(super) fn read(path: &Path) -> Result<Self, CommandError> {
        Ok(Self { pcm: read_wav(path)?, path: path.to_owned() })
    }

    /// With the file's bytes, as a daemon wants them.
    pub(super) fn read_with_bytes(path: &Path) -> Result<(Self, Vec<u8>), CommandError> {
        let bytes = std::fs::read(path).map_err(|source| WavFileError::Read { path: path.to_owned(), source })?;
        let pcm = parse_wav(&bytes).map_err(|source| WavFileError::Parse { path: path.to_owned(), source })?;
        Ok((Self { pcm, path: path.to_owned() }, bytes))
    }

    /// The sound under a name that another program can open: a pipe has been read, and this process's own `/dev/stdin` is not its.
    pub(super) fn file(&self) -> Result<SoundFile, CommandError> {
        match self.path.canonicalize() {
            Ok(path) if path.is_file() => Ok(SoundFile::Given(path)),
            _ => write_wav(&self.pcm).map_err(FileError::at(std::env::temp_dir())).map_err(CommandError::failed),
        }
    }
}

fn write_wav(pcm: &Pcm) -> std::io::Result<SoundFile> {
    let data: Vec<u8> = pcm.samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let bytes = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    let rate_hz = pcm.sample_rate_hz;
    let mut file = tempfile::Builder::new().prefix("lipsyncd-").suffix(".wav").tempfile()?;
    file.write_all(&[*b"RIFF", bytes(36 + data.len()), *b"WAVE", *b"fmt ", bytes(16)].concat())?;
    // Float, one channel.
    file.write_all(&[3, 0, 1, 0])?;
    file.write_all(&[rate_hz.to_le_bytes(), (4 * rate_hz).to_le_bytes()].concat())?;
    // Bytes and bits of a sample.
    file.write_all(&[4, 0, 32, 0])?;
    file.write_all(&[*b"data", bytes(data.len())].concat())?;
    file.write_all(&data)?;
    Ok(SoundFile::Made(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_made_of_a_sound_holds_that_sound() {
        let pcm = Pcm { sample_rate_hz: 22_050, samples: vec![0.0, 0.25, -1.0, 1.5] };
        let file = write_wav(&pcm).unwrap();
        assert_eq!(read_wav(file.path()).unwrap(), pcm);
        let path = file.path().to_owned();
        drop(file);
        assert!(!path.exists());
    }
}
