//! The kernels' sources, as they are compiled where no image was built in.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// The unit that includes all others.
pub const UNIT: &str = "all.cu";

macro_rules! sources {
    ($($name:literal),* $(,)?) => {
        /// Each file by the name that `#include` says, and its text.
        pub const ALL: &[(&str, &str)] =
            &[$(($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/kernels/", $name)))),*];
    };
}

sources!(
    "all.cu",
    "gather_context.cu",
    "override_picture.cu",
    "paste_planes.cu",
    "picture_input.cu",
    "params.h",
    "pixel/base.h",
    "pixel/half.h",
    "pixel/patched.h",
    "pixel/quad.h",
    "pixel/resize.h",
    "pixel/unit.h",
);

/// 16 hexadecimal digits that change with any byte of any source, or with `more`.
pub fn fingerprint(more: &str) -> String {
    let mut digest = Sha256::new();
    for part in ALL.iter().flat_map(|(name, text)| [*name, *text]).chain([more]) {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    let mut hex = String::new();
    for byte in &digest.finalize()[..8] {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_source_but_the_hosts_is_here() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
        let mut files = Vec::new();
        for (folder, prefix) in [(root.clone(), ""), (root.join("pixel"), "pixel/")] {
            for entry in std::fs::read_dir(folder).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                if name.ends_with(".cu") || name.ends_with(".h") {
                    files.push(format!("{prefix}{name}"));
                }
            }
        }
        files.sort();
        let mut here: Vec<_> = ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
        here.sort();
        assert_eq!(here, files);
    }

    #[test]
    fn anything_changes_the_fingerprint() {
        assert_eq!(fingerprint("a").len(), 16);
        assert_ne!(fingerprint("a"), fingerprint("b"));
    }
}
