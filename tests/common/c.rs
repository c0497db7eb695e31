//! Shared libraries that tests make of C.

use std::path::Path;
use std::process::Command;

/// Compiles `source` to `library`; `options` go before it. A warning is an error.
pub fn compile(source: &Path, library: &Path, options: &[&str]) -> Result<(), String> {
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let mut command = Command::new(compiler);
    command.args(["-std=c99", "-O1", "-fPIC", "-shared", "-Wall", "-Wextra"]).args(options).arg(source);
    let built = command.arg("-o").args([library, Path::new("-lm")]).output();
    let built = built.map_err(|error| format!("no C compiler ({error}): set CC, or install gcc"))?;
    let said = String::from_utf8_lossy(&built.stderr).into_owned();
    if built.status.success() && said.is_empty() { Ok(()) } else { Err(said) }
}
