//! A folder of frames, `000000.jpg` and so on.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::backend::FrameFormat;
use crate::commands::CommandError;
use crate::commands::error::FileError;
use crate::media::PartPath;
use crate::picture::{View, encode_png};

/// Frames being written to a folder. Those that a longer run left behind them go when this is dropped, so that the folder never
/// looks like a whole run that is none.
pub(super) struct Folder {
    dir: PathBuf,
    /// PNGs are encoded here, from pixels.
    png: Option<Vec<u8>>,
    size_px: (usize, usize),
    frames: u64,
}

impl Folder {
    pub(super) fn create(dir: &Path, format: FrameFormat, size_px: (usize, usize)) -> Result<Self, CommandError> {
        std::fs::create_dir_all(dir).map_err(FileError::at(dir)).map_err(CommandError::failed)?;
        let png = format.quality().is_none().then(Vec::new);
        Ok(Self { dir: dir.to_owned(), png, size_px, frames: 0 })
    }

    /// Writes frame `index`, a JPEG or pixels.
    pub(super) fn write(&mut self, index: u64, data: &[u8]) -> Result<(), CommandError> {
        let path = self.path(index);
        let file = match &mut self.png {
            None => data,
            Some(png) => {
                let (width_px, height_px) = self.size_px;
                let view = View::packed(width_px, height_px, data).map_err(CommandError::failed)?;
                png.clear();
                encode_png(view, png).map_err(CommandError::failed)?;
                png.as_slice()
            }
        };
        // A frame that does not fit on the disk leaves no half of it.
        let part = PartPath::new(&path);
        let written = std::fs::write(part.path(), file).and_then(|()| part.commit());
        written.map_err(FileError::at(path)).map_err(CommandError::failed)?;
        self.frames = index + 1;
        Ok(())
    }

    /// Removes what a longer run left.
    pub(super) fn finish(self) -> Result<(), CommandError> {
        self.remove_left()
    }

    fn path(&self, index: u64) -> PathBuf {
        let ending = if self.png.is_some() { "png" } else { "jpg" };
        self.dir.join(format!("{index:06}.{ending}"))
    }

    fn remove_left(&self) -> Result<(), CommandError> {
        for index in self.frames.. {
            let path = self.path(index);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => break,
                removed => removed.map_err(FileError::at(path)).map_err(CommandError::failed)?,
            }
        }
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A run that drew nothing leaves what is there. One that failed has said why, and cannot say more.
        if self.frames > 0 {
            let _ = self.remove_left();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Quality;

    #[test]
    fn a_run_that_ends_early_leaves_no_frame_of_a_longer_one() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Folder::create(dir.path(), FrameFormat::Jpeg(Quality::DEFAULT), (1, 1)).unwrap();
        let names = || {
            let entries = std::fs::read_dir(dir.path()).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        let mut longer = open();
        (0..5).for_each(|index| longer.write(index, b"long").unwrap());
        longer.finish().unwrap();
        std::fs::write(dir.path().join("000009.jpg"), b"somebody else's").unwrap();
        drop(open());
        assert_eq!(names().len(), 6, "nothing was drawn");
        let mut failed = open();
        (0..2).for_each(|index| failed.write(index, b"new").unwrap());
        drop(failed);
        assert_eq!(names(), ["000000.jpg", "000001.jpg", "000009.jpg"]);
    }
}
