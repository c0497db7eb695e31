//! Cache files that nobody has used for long are removed when a new one is written.
//!
//! A file's time of modification is the time of its last use: reading does not always leave a trace in the file system. A file that
//! is removed while another process has it mapped stays whole for that process.

use std::fs::{self, File, Metadata};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// What cache files end in.
pub(super) const EXTENSION: &str = "templates";

/// An avatar that was not loaded for so long is built again in seconds.
const UNUSED: Duration = Duration::from_secs(30 * 24 * 3600);

/// Notes that the file is in use. A folder that cannot be written keeps its times, which costs a rebuild some day.
pub(super) fn touch(path: &Path) {
    let _ = File::options().append(true).open(path).and_then(|file| file.set_modified(SystemTime::now()));
}

/// Removes the cache files beside `written` that were not used for a month, and parts of files whose writer died.
pub(super) fn sweep(written: &Path) {
    let Some(entries) = written.parent().and_then(|folder| fs::read_dir(folder).ok()) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let ours = name.ends_with(".templates") || name.ends_with(".templates.part");
        if ours && path != written && entry.metadata().is_ok_and(|metadata| is_old(&metadata)) {
            // Another process may have been quicker.
            let _ = fs::remove_file(&path);
        }
    }
}

fn is_old(metadata: &Metadata) -> bool {
    let age = metadata.modified().ok().and_then(|time| SystemTime::now().duration_since(time).ok());
    metadata.is_file() && age.is_some_and(|age| age > UNUSED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_old_cache_files_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let old = SystemTime::now() - UNUSED - Duration::from_secs(60);
        for name in ["old.templates", "old.templates.part", "used.templates", "written.templates", "notes.txt"] {
            fs::write(path(name), b"x").unwrap();
            File::options().append(true).open(path(name)).unwrap().set_modified(old).unwrap();
        }
        touch(&path("used.templates"));
        sweep(&path("written.templates"));
        let mut left: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["notes.txt", "used.templates", "written.templates"]);
    }
}
