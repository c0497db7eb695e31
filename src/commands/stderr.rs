//! What commands say on stderr beside their result.

use std::fmt::Display;
use std::io::{self, Write as _};

/// Writes `text` and the end of its line, if somebody reads: the command's result does not depend on it.
pub(super) fn say(text: impl Display) {
    let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
}
