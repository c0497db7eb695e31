//! The file that a command writes.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::CommandError;

/// What writing to `out` would fill: where a link leads to, so that whoever replaces the file leaves the link.
///
/// # Errors
/// Bad input when that is the sound itself, which would be lost.
pub(super) fn written(out: &Path, audio: &Path) -> Result<PathBuf, CommandError> {
    if let (Ok(to), Ok(from)) = (out.metadata(), audio.metadata())
        && to.is_file()
        && (to.dev(), to.ino()) == (from.dev(), from.ino())
    {
        return Err(CommandError::input(format!("{}: this is the sound itself; name another file", out.display())));
    }
    // Nothing there yet, or nothing with a name, such as a pipe.
    Ok(out.canonicalize().unwrap_or_else(|_| out.to_owned()))
}

/// Whether `path` may get its name when it is complete; what is there and no file is written as it stands.
pub(super) fn is_replaceable(path: &Path) -> bool {
    path.symlink_metadata().map_or(true, |there| there.is_file())
}
