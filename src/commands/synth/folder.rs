//! A folder of frames, `000000.jpg` and so on.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::backend::FrameFormat;
use crate::commands::CommandError;
use crate::commands::error::FileError;
use crate::media::temporary_part_of;
use crate::picture::{View, encode_png};

/// Frames being written to a folder. Those that a longer run left behind them, or one of the other format, go when this is dropped, so that
/// the folder never looks like a whole run that is none.
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
        let written = temporary_part_of(&path).and_then(|part| {
            std::fs::write(&part, file)?;
            part.persist(&path).map_err(|failed| failed.error)
        });
        written.map_err(FileError::at(path)).map_err(CommandError::failed)?;
        self.frames = index + 1;
        Ok(())
    }

    /// Removes what other runs left.
    pub(super) fn finish(self) -> Result<(), CommandError> {
        self.remove_left()
    }

    fn path(&self, index: u64) -> PathBuf {
        self.path_of(index, self.endings()[0])
    }

    fn path_of(&self, index: u64, ending: &str) -> PathBuf {
        self.dir.join(format!("{index:06}.{ending}"))
    }

    /// Its own, and the other that frames may have.
    fn endings(&self) -> [&'static str; 2] {
        if self.png.is_some() { ["png", "jpg"] } else { ["jpg", "png"] }
    }

    fn remove_left(&self) -> Result<(), CommandError> {
        let [own, other] = self.endings();
        self.remove_from(self.frames, own)?;
        self.remove_from(0, other)
    }

    /// Removes the frames from number `first` on, as far as they follow one another.
    fn remove_from(&self, first: u64, ending: &str) -> Result<(), CommandError> {
        for index in first.. {
            let path = self.path_of(index, ending);
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

    fn names(dir: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_run_that_ends_early_leaves_no_frame_of_a_longer_one() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Folder::create(dir.path(), FrameFormat::Jpeg(Quality::DEFAULT), (1, 1)).unwrap();
        let names = || names(dir.path());
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
    #[test]
    fn frames_of_the_other_format_go_as_far_as_they_follow_one_another_and_only_when_there_are_new_ones() {
        let dir = tempfile::tempdir().unwrap();
        let jpeg = FrameFormat::Jpeg(Quality::DEFAULT);
        for (before, now, old, new) in [(jpeg, FrameFormat::Bgr, "jpg", "png"), (FrameFormat::Bgr, jpeg, "png", "jpg")]
        {
            let open = |format| Folder::create(dir.path(), format, (1, 1)).unwrap();
            let mut first = open(before);
            (0..3).for_each(|index| first.write(index, b"bgr").unwrap());
            first.finish().unwrap();
            let others = [format!("000007.{old}"), format!("0.{old}"), format!("cover.{old}")];
            others.iter().for_each(|name| std::fs::write(dir.path().join(name), "somebody else's").unwrap());
            drop(open(now));
            assert_eq!(names(dir.path()).len(), 6, "nothing was drawn");
            let mut second = open(now);
            (0..2).for_each(|index| second.write(index, b"bgr").unwrap());
            second.finish().unwrap();
            others.iter().for_each(|name| std::fs::remove_file(dir.path().join(name)).unwrap());
            let mine = [format!("000000.{new}"), format!("000001.{new}")];
            assert_eq!(names(dir.path()), mine);
            mine.iter().for_each(|name| std::fs::remove_file(dir.path().join(name)).unwrap());
        }
    }
    #[test]
    fn a_frame_that_cannot_be_written_is_named() {
        let dir = tempfile::tempdir().unwrap();
        for (format, name) in [(FrameFormat::Bgr, "000000.png"), (FrameFormat::Jpeg(Quality::DEFAULT), "000000.jpg")] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            let error = Folder::create(dir.path(), format, (1, 1)).unwrap().write(0, b"bgr").unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
