//! What commands say on stdout.

use std::fmt::Display;
use std::io::{self, Write};

use super::CommandError;
use super::error::FileError;

/// Writes `text` and the end of its line. Whoever closes the pipe has heard enough, which is no failure.
///
/// # Errors
/// When it cannot be written, as on a full disk.
pub(super) fn say(text: impl Display) -> Result<(), CommandError> {
    write(format!("{text}\n").as_bytes())
}

/// As [`say`], of bytes as they are.
pub(super) fn write(bytes: &[u8]) -> Result<(), CommandError> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(CommandError::failed(FileError::at("stdout")(error)))
        }
        _ => Ok(()),
    }
}
