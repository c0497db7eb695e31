//! Checks of bundles, kept for as long as their files stay as they are.

use std::collections::HashMap;
use std::fs::Metadata;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{AvatarId, Registry, RegistryError, Report, check};

/// Beyond so many, those of bundles that are gone are dropped before one more is kept.
const MANY: usize = 1024;

/// What [`check`] found in each bundle that was asked for.
#[derive(Default)]
pub struct Checks {
    kept: Mutex<HashMap<AvatarId, Kept>>,
}

struct Kept {
    files: Stamp,
    report: Arc<Report>,
}

impl Checks {
    /// The report on the bundle of `id`. Looks at the age and size of each file in its folder; reads them when one has changed since the last
    /// time. Blocks.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`].
    pub fn of(&self, registry: &Registry, id: &AvatarId) -> Result<Arc<Report>, RegistryError> {
        let dir = registry.bundle_dir(id).inspect_err(|_| drop(self.lock().remove(id)))?;
        // From before they are read: what changes meanwhile is read again the next time.
        let files = Stamp::of(&dir);
        if let Some(kept) = self.lock().get(id).filter(|kept| kept.files == files) {
            return Ok(Arc::clone(&kept.report));
        }
        let report = Arc::new(check(&dir));
        // A fault of the system goes without a change of the files.
        if !report.is_passing() {
            let mut kept = self.lock();
            if kept.len() >= MANY {
                kept.retain(|id, _| registry.bundle_dir(id).is_ok());
            }
            kept.insert(id.clone(), Kept { files, report: Arc::clone(&report) });
        }
        Ok(report)
    }

    /// Drops the reports on all but `ids`, which are sorted.
    pub fn keep_only(&self, ids: &[AvatarId]) {
        self.lock().retain(|id, _| ids.binary_search(id).is_ok());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AvatarId, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is another number when a file in a folder, or in one within it, is written, replaced, added or taken away: a sum, since folders tell
/// their files in any order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp(u64);

impl Stamp {
    fn of(dir: &Path) -> Self {
        let mut sum = 0_u64;
        let mut dirs = vec![dir.to_owned()];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(&dir).into_iter().flatten() {
                let found = entry.and_then(|entry| Ok((entry.metadata()?, entry)));
                let Ok((link, entry)) = found else {
                    sum = sum.wrapping_add(1);
                    continue;
                };
                let path = dir.join(entry.file_name());
                sum = sum.wrapping_add(of_file(&path, &link));
                if link.is_dir() {
                    dirs.push(path);
                } else if link.is_symlink() {
                    // What it leads to; a folder of the bundle is come upon by its own name.
                    sum = sum.wrapping_add(std::fs::metadata(&path).map_or(1, |file| of_file(&path, &file)));
                }
            }
        }
        Self(sum)
    }
}

fn of_file(path: &Path, file: &Metadata) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    let changed = [file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()];
    (file.dev(), file.ino(), file.mode(), file.len(), changed).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::{fs, io};

    use super::*;
    use crate::avatar::{EvictPolicy, Keep, ResidencyLimits};

    fn registry(dir: &Path) -> Registry {
        let limits = ResidencyLimits { max_resident_bytes: None, evict: EvictPolicy::default() };
        Registry::new(dir.to_owned(), [], limits, Keep::Pixels)
    }

    /// Copies the golden bundle to `to`, hidden files too.
    fn copy(from: &Path, to: &Path) -> io::Result<()> {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry?.file_name()));
            if from.is_dir() { copy(&from, &to) } else { fs::copy(from, to).map(|_| ()) }?;
        }
        Ok(())
    }

    fn avatars() -> (tempfile::TempDir, PathBuf, AvatarId) {
        let dir = tempfile::tempdir().unwrap();
        let bundle = dir.path().join("one");
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tiny-avatar"), &bundle).unwrap();
        (dir, bundle, "one".parse().unwrap())
    }

    #[test]
    fn a_bundle_is_read_again_when_one_of_its_files_has_changed_and_not_before() {
        let (dir, bundle, id) = avatars();
        let (registry, checks) = (registry(dir.path()), Checks::default());
        let first = checks.of(&registry, &id).unwrap();
        assert!(first.is_usable(), "{first}");
        assert!(Arc::ptr_eq(&first, &checks.of(&registry, &id).unwrap()), "it was read again");
        // In place and of the same length: neither a name nor a size tells.
        let frame = fs::read_dir(bundle.join("frames")).unwrap().next().unwrap().unwrap().path();
        fs::write(&frame, vec![0; fs::metadata(&frame).unwrap().len() as usize]).unwrap();
        let second = checks.of(&registry, &id).unwrap();
        assert!(!second.is_usable());
        assert!(Arc::ptr_eq(&second, &checks.of(&registry, &id).unwrap()), "a faulty one was read again");
        fs::remove_file(&frame).unwrap();
        assert!(!Arc::ptr_eq(&second, &checks.of(&registry, &id).unwrap()), "a file is gone");
    }

    #[test]
    fn reports_on_bundles_that_are_gone_are_dropped() {
        let (dir, bundle, id) = avatars();
        let (registry, checks) = (registry(dir.path()), Checks::default());
        checks.of(&registry, &id).unwrap();
        checks.keep_only(&registry.ids());
        assert_eq!(checks.lock().len(), 1);
        fs::rename(&bundle, dir.path().join("two")).unwrap();
        checks.of(&registry, &"two".parse().unwrap()).unwrap();
        checks.keep_only(&registry.ids());
        assert_eq!(checks.lock().len(), 1, "the one that went is kept");
        fs::remove_dir_all(dir.path().join("two")).unwrap();
        assert!(checks.of(&registry, &"two".parse().unwrap()).is_err());
        assert_eq!(checks.lock().len(), 0);
    }
}
