//! A file that appears under its name only when it is complete.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempPath;

/// A file written as `NAME.part` and renamed to `NAME` by [`AtomicFile::commit`]; dropping it removes the part.
#[derive(Debug)]
pub struct AtomicFile {
    // Before the file, so that the part goes while the file's lock is held.
    part: TempPath,
    file: BufWriter<File>,
    target: PathBuf,
}

impl AtomicFile {
    /// Starts a file that will be called `path`; what has that name stays until the commit. While another, in whatever process, writes a file that
    /// will be called so, this waits for it: of two who fill one cache the last to finish wins, and nobody reads a mixture.
    ///
    /// # Errors
    /// When `path.part` cannot be created.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = lock_part(&part_of(path))?;
        let part = temporary_part_of(path)?;
        file.set_len(0)?;
        Ok(Self { part, file: BufWriter::new(file), target: path.into() })
    }

    /// Writes everything to the disk and gives the file its name.
    ///
    /// # Errors
    /// When the last bytes cannot be written, or the rename fails; the part is removed then.
    pub fn commit(mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        // The file is closed after that, or another would begin in what is being renamed.
        self.part.persist(&self.target).map_err(|failed| failed.error)
    }

    /// Writes the file `path` of these parts, one after the other, and makes its folder where there is none.
    ///
    /// # Errors
    /// As [`Self::create`] and [`Self::commit`].
    pub fn put(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = Self::create(path)?;
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.commit()
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// `NAME.part`, which is written in the place of `target` until it is complete.
pub(crate) fn part_of(target: &Path) -> PathBuf {
    let mut part = OsString::from(target);
    part.push(".part");
    part.into()
}

/// [`part_of`] `target`, whoever writes it; dropping it removes that file.
///
/// # Errors
/// When `target` is relative and there is no folder it could be relative to.
pub(crate) fn temporary_part_of(target: &Path) -> io::Result<TempPath> {
    TempPath::try_from_path(part_of(target))
}

/// The file at `path`, locked against others who write it through this module, with what was left in it.
fn lock_part(path: &Path) -> io::Result<File> {
    loop {
        let file = File::options().write(true).create(true).truncate(false).open(path)?;
        match file.lock() {
            // Some file systems know no locks; then there is none to wait for.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
            locked => locked?,
        }
        let ours = file.metadata()?;
        // The one that was waited for has been renamed or removed since.
        if fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
            return Ok(file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("lipsyncd-atomic-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn the_name_appears_with_the_commit() {
        let dir = folder("commit");
        let path = dir.join("out.avi");
        fs::write(&path, b"old").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"neX").unwrap();
        file.seek(SeekFrom::Start(2)).unwrap();
        file.write_all(b"w").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        file.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn those_who_write_one_file_take_turns() {
        let dir = folder("turns");
        let path = dir.join("cache");
        let write = |letter: u8| -> io::Result<()> {
            let mut file = AtomicFile::create(&path)?;
            for _ in 0..40 {
                file.write_all(&[letter; 1000])?;
                file.flush()?;
            }
            if letter == b'd' { Ok(()) } else { file.commit() }
        };
        for _ in 0..20 {
            std::thread::scope(|scope| {
                let writers = [b'a', b'b', b'c', b'd'].map(|letter| {
                    scope.spawn({
                        let write = &write;
                        move || write(letter)
                    })
                });
                writers.into_iter().for_each(|writer| writer.join().unwrap().unwrap());
            });
            let written = fs::read(&path).unwrap();
            assert!(written.len() == 40_000 && written.iter().all(|letter| *letter == written[0]), "a mixture");
        }
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_drop_leaves_nothing() {
        let dir = folder("drop");
        let mut file = AtomicFile::create(&dir.join("out.avi")).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
        fs::remove_dir_all(dir).unwrap();
    }
}
