//! The file that a command writes.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::CommandError;
use crate::media::part_of;

/// What writing to `out` would fill: where a link leads to, so that whoever replaces the file leaves the link.
///
/// # Errors
/// Bad input when that is the sound itself, which would be lost, or would be until it is complete.
pub(super) fn written(out: &Path, audio: &Path) -> Result<PathBuf, CommandError> {
    // Nothing there yet, or nothing with a name, such as a pipe.
    let target = out.canonicalize().unwrap_or_else(|_| out.to_owned());
    if is_same_file(out, audio) {
        return Err(CommandError::input(format!("{}: this is the sound itself; name another file", out.display())));
    }
    let part = part_of(&target);
    if is_same_file(&part, audio) {
        let (part, out) = (part.display(), out.display());
        return Err(CommandError::input(format!(
            "{part}: this is the sound itself, and {out} is written there until it is complete; name another file"
        )));
    }
    Ok(target)
}

fn is_same_file(a: &Path, b: &Path) -> bool {
    match (a.metadata(), b.metadata()) {
        (Ok(a), Ok(b)) => a.is_file() && (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// Whether what is written to the folder `out` would lie inside the folder `bundle`.
pub(super) fn is_inside(out: &Path, bundle: &Path) -> bool {
    let Ok(bundle) = bundle.canonicalize() else { return false };
    let Ok(out) = std::path::absolute(out) else { return false };
    // It may be that it is still to be made.
    out.ancestors().find_map(|there| there.canonicalize().ok()).is_some_and(|there| there.starts_with(bundle))
}

/// Whether `path` may get its name when it is complete; what is there and no file is written as it stands.
pub(super) fn is_replaceable(path: &Path) -> bool {
    path.symlink_metadata().map_or(true, |there| there.is_file())
}
