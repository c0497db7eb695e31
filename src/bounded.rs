//! Files that are read whole, up to a bound: what a folder from elsewhere holds may be of any length.

use std::error;
use std::fs::File;
use std::io::{Error, ErrorKind, Read as _, Result};
use std::path::Path;

/// The content of the file at `path`.
///
/// # Errors
/// [`ErrorKind::FileTooLarge`] when it has more than `most` bytes, [`ErrorKind::OutOfMemory`] when there is no memory for it, and
/// those of reading.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let file = File::open(path)?;
    let too_large = || Error::new(ErrorKind::FileTooLarge, format!("longer than {most} bytes"));
    let bytes = file.metadata()?.len();
    if bytes > most {
        return Err(too_large());
    }
    let mut content = Vec::new();
    // Those of a file are at most as many as an address counts, or there is no memory for them.
    content.try_reserve_exact(usize::try_from(bytes).unwrap_or(usize::MAX))?;
    // It may grow while it is read.
    file.take(most.saturating_add(1)).read_to_end(&mut content)?;
    if content.len() as u64 > most { Err(too_large()) } else { Ok(content) }
}

/// What to do about a file that could not be read.
pub(crate) fn fix(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::OutOfMemory => "free memory, and try again",
        _ if is_passing(error) => "try again, and look to the disk and to the process's limits",
        _ => "check the file and its permissions",
    }
}

/// The failure of the system that `error` came of, where it did of one.
pub(crate) fn passing_cause<'e>(error: &'e (dyn error::Error + 'static)) -> Option<&'e Error> {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.filter_map(|cause| cause.downcast_ref::<Error>()).find(|cause| is_passing(cause))
}

/// Whether the system failed, so that the same file may be read at the next try.
pub(crate) fn is_passing(error: &Error) -> bool {
    use ErrorKind as Kind;
    // Links that lead in a circle have no stable kind.
    let is_circle = error.raw_os_error() == Some(libc::ELOOP);
    !is_circle
        && !matches!(
            error.kind(),
            Kind::NotFound
                | Kind::PermissionDenied
                | Kind::NotADirectory
                | Kind::IsADirectory
                | Kind::InvalidData
                | Kind::InvalidInput
                | Kind::InvalidFilename
                | Kind::UnexpectedEof
                | Kind::FileTooLarge
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_beyond_the_bound_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, b"four").unwrap();
        assert_eq!(read(&path, 4).unwrap(), b"four");
        assert_eq!(read(&path, 3).unwrap_err().kind(), ErrorKind::FileTooLarge);
        File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(read(&path, 1 << 20).unwrap_err().kind(), ErrorKind::FileTooLarge);
    }

    #[test]
    fn a_name_that_can_lead_nowhere_is_no_failure_of_the_system() {
        let dir = tempfile::tempdir().unwrap();
        let circle = dir.path().join("circle");
        std::os::unix::fs::symlink("circle", &circle).unwrap();
        std::fs::write(dir.path().join("file"), b"").unwrap();
        for path in [circle, dir.path().join("n".repeat(300)), dir.path().join("file/file"), dir.path().into()] {
            let error = read(&path, 4).unwrap_err();
            assert!(!is_passing(&error), "{error}");
        }
    }

    #[test]
    fn what_has_no_length_is_bounded_all_the_same() {
        assert_eq!(read(Path::new("/dev/zero"), 1000).unwrap_err().kind(), ErrorKind::FileTooLarge);
    }
}
