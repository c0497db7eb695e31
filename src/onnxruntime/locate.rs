//! Where ONNX Runtime's shared library may lie.

use std::path::{Path, PathBuf};

use super::OnnxError;
use crate::paths::cache_folder;

/// What a library's name says of its version: nothing in `libonnxruntime.so`, `[1, 32, 0]` in the wheel's `libonnxruntime.so.1.32.0`.
/// `None` for other files.
fn version(name: &str) -> Option<Vec<u32>> {
    let rest = name.strip_prefix("libonnxruntime.so")?;
    if rest.is_empty() {
        return Some(Vec::new());
    }
    let numbers: Vec<u32> = rest.strip_prefix('.')?.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    numbers.starts_with(&[1]).then_some(numbers)
}

/// The library to load, from the first of: `explicit` (configuration or `LIPSYNCD_ONNXRUNTIME`), the
/// folder of this executable, the user's cache (`$XDG_CACHE_HOME/lipsyncd`, `~/.cache/lipsyncd`, and
/// `/var/cache/lipsyncd`), the system's library folders.
///
/// # Errors
/// [`OnnxError::NotThere`] when `explicit` does not exist (a wrong setting is never papered over), and
/// [`OnnxError::NotFound`] with every place looked in.
pub fn locate(explicit: Option<&Path>) -> Result<PathBuf, OnnxError> {
    if let Some(path) = explicit {
        let found = if path.is_dir() { newest_in(path) } else { path.is_file().then(|| path.to_owned()) };
        return found.ok_or_else(|| OnnxError::NotThere { path: path.to_owned() });
    }
    let folders = folders();
    folders.iter().find_map(|folder| newest_in(folder)).ok_or_else(|| OnnxError::NotFound {
        looked_in: folders.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(", "),
    })
}

fn folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    if let Some(beside) = std::env::current_exe().ok().as_deref().and_then(Path::parent) {
        folders.push(beside.to_owned());
    }
    let version = format!("onnxruntime-{}", super::TESTED_VERSION);
    let system = PathBuf::from("/var/cache/lipsyncd");
    folders.extend(cache_folder().into_iter().chain([system]).map(|cache| cache.join(&version)));
    folders.extend(
        [
            "/usr/local/lib",
            "/usr/lib/x86_64-linux-gnu",
            "/usr/lib/aarch64-linux-gnu",
            "/usr/lib64",
            "/usr/lib",
            "/opt/onnxruntime/lib",
        ]
        .map(PathBuf::from),
    );
    folders
}

/// The library of the newest version in `folder`, and of several names for it the most exact: `libonnxruntime.so.1.32.0` before
/// `libonnxruntime.so.1.9.0` and `libonnxruntime.so`.
fn newest_in(folder: &Path) -> Option<PathBuf> {
    let versions = std::fs::read_dir(folder).ok()?.filter_map(|entry| {
        let entry = entry.ok()?;
        Some((version(entry.file_name().to_str()?)?, entry.path()))
    });
    versions.max().map(|(_, path)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explicit_path_that_is_missing_is_an_error_not_a_search() {
        let error = locate(Some(Path::new("/nowhere/libonnxruntime.so"))).unwrap_err();
        assert!(error.to_string().contains("/nowhere/libonnxruntime.so"), "{error}");
    }

    #[test]
    fn a_folder_gives_its_most_exactly_named_library() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["libonnxruntime.so", "libonnxruntime.so.1.32.0", "libonnxruntime_providers_shared.so", "x.txt"] {
            std::fs::write(folder.path().join(name), b"").unwrap();
        }
        let found = locate(Some(folder.path())).unwrap();
        assert_eq!(found.file_name().unwrap(), "libonnxruntime.so.1.32.0");
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["so.1.9.0", "so.1.32.0", "so.1", "so.1.4.9", "so.1.40.0.bak", "so.2.0.0"] {
            std::fs::write(folder.path().join(format!("libonnxruntime.{name}")), b"").unwrap();
        }
        let found = locate(Some(folder.path())).unwrap();
        assert_eq!(found.file_name().unwrap(), "libonnxruntime.so.1.32.0");
    }
}
