//! The stand-in for the driver: compiled once, and told by each test what to do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::common::c::compile;

/// The names by which the driver is looked for: where there are development files of CUDA, the first is found before the second.
const NAMES: [&str; 2] = ["libcuda.so", "libcuda.so.1"];

/// The folder that holds the stand-ins.
fn libraries() -> &'static Path {
    static FOLDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    FOLDER.get_or_init(build).as_deref().unwrap_or_else(|said| panic!("{said}"))
}

fn build() -> Result<PathBuf, String> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/driver");
    let made = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = made.join("stand-ins");
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    for (source, name) in [("driver.c", NAMES[0]), ("driver.c", NAMES[1]), ("nvrtc.c", "libnvrtc.so.13")] {
        // Moved there when it is whole: another run of these tests may be using the one before.
        let whole = tempfile::NamedTempFile::new_in(made).map_err(|error| error.to_string())?;
        compile(&sources.join(source), whole.path(), &[])?;
        whole.persist(folder.join(name)).map_err(|error| error.to_string())?;
    }
    Ok(folder)
}

/// What a call that does not return is told.
pub const HANGS: i32 = -1;

/// How often each function of the driver has been called.
pub type Calls = BTreeMap<String, u64>;

/// A driver of one GPU for one daemon, which does what it is told.
pub struct StandIn {
    folder: TempDir,
    library_path: PathBuf,
}

impl StandIn {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), library_path: libraries().to_owned() }
    }

    /// One that cannot be loaded, in place of what the machine may have: where a file is no library, the loader looks no further.
    pub fn unloadable() -> Self {
        let folder = tempfile::tempdir().unwrap();
        NAMES.iter().for_each(|name| std::fs::write(folder.path().join(name), "not a library").unwrap());
        let library_path = folder.path().to_owned();
        Self { folder, library_path }
    }

    /// What a program that is to use it is started with: everything by which it could find something else, too.
    pub fn environment<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let path = |path: &'a Path| path.to_str().unwrap();
        let mut environment = vec![
            ("LD_LIBRARY_PATH", path(&self.library_path)),
            ("DRIVER_FOLDER", path(self.folder.path())),
            ("XDG_CACHE_HOME", path(self.folder.path())),
            ("LIPSYNCD_NVRTC", path(libraries())),
            ("LIPSYNCD_GPU_ENGINE", "native"),
            ("LIPSYNCD_JPEG", "splice"),
            ("LIPSYNCD_BACKEND", "cuda"),
            ("LIPSYNCD_SLOTS", "2"),
            ("LIPSYNCD_MAX_BATCH", "4"),
        ];
        environment.extend(more);
        environment
    }

    /// From now on, `function` answers `number`, or does not return for [`HANGS`]. Whatever works on the GPU does so for `"lost"`, and what waits
    /// for it for `"hangs"`; that of one GPU for `"lost.1"` or `"hangs.1"`.
    pub fn tell(&self, function: &str, number: i32) {
        let whole = self.folder.path().join("being written");
        std::fs::write(&whole, number.to_string()).unwrap();
        std::fs::rename(whole, self.folder.path().join(function)).unwrap();
    }

    /// Takes that back.
    pub fn take_back(&self, function: &str) {
        std::fs::remove_file(self.folder.path().join(function)).unwrap();
    }

    /// The calls so far.
    pub fn calls(&self) -> Calls {
        let records = std::fs::read(self.folder.path().join("calls")).unwrap();
        let (records, rest) = records.as_chunks::<64>();
        assert!(rest.is_empty());
        let calls = records.iter().filter(|record| record[0] != 0).map(|record| {
            let (name, count) = record.split_at(56);
            let name = name.split(|&byte| byte == 0).next().unwrap();
            (String::from_utf8(name.to_vec()).unwrap(), u64::from_ne_bytes(count.try_into().unwrap()))
        });
        calls.collect()
    }
}
