//! The kernels' sources, as they are compiled where no image was built in.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// What is compiled together and loaded as one module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// The kernels around the networks.
    Frames,
    /// The native engine's.
    Native,
}

macro_rules! sources {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/kernels/", $name)))),*]
    };
}

/// Each file by the name that `#include` says, and its text; the first includes all others.
const FRAMES: &[(&str, &str)] = sources!(
    "all.cu",
    "gather_context.cu",
    "override_picture.cu",
    "paste_planes.cu",
    "patch_crop.cu",
    "picture_input.cu",
    "params.h",
    "pixel/base.h",
    "pixel/half.h",
    "pixel/quad.h",
    "pixel/resize.h",
    "pixel/unit.h",
);

const NATIVE: &[(&str, &str)] = sources!(
    "native/all.cu",
    "native/block.cu",
    "native/conv.cu",
    "native/depthwise.cu",
    "native/planes.cu",
    "native/pointwise.cu",
    "native/upsample.cu",
    "native/block_input.h",
    "native/block_output.h",
    "native/block_sums.h",
    "native/device.h",
    "native/params.h",
    "pixel/base.h",
    "pixel/half.h",
);

impl Unit {
    /// Its files, the one that includes all others first.
    pub fn sources(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Frames => FRAMES,
            Self::Native => NATIVE,
        }
    }

    /// Its part in the names of files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Frames => "frames",
            Self::Native => "native",
        }
    }
}

/// 16 hexadecimal digits that change with any byte of any of the unit's sources, or with `more`.
pub fn fingerprint(unit: Unit, more: &str) -> String {
    let mut digest = Sha256::new();
    for part in unit.sources().iter().flat_map(|(name, text)| [*name, *text]).chain([more]) {
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
        for prefix in ["", "pixel/", "native/"] {
            for entry in std::fs::read_dir(root.join(prefix)).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                if (name.ends_with(".cu") || name.ends_with(".h")) && !name.starts_with("emulate") {
                    files.push(format!("{prefix}{name}"));
                }
            }
        }
        files.sort();
        let mut here: Vec<_> = [FRAMES, NATIVE].concat().iter().map(|(name, _)| (*name).to_owned()).collect();
        here.sort();
        here.dedup();
        assert_eq!(here, files);
    }

    #[test]
    fn anything_changes_the_fingerprint() {
        assert_eq!(fingerprint(Unit::Frames, "a").len(), 16);
        assert_ne!(fingerprint(Unit::Frames, "a"), fingerprint(Unit::Frames, "b"));
        assert_ne!(fingerprint(Unit::Frames, "a"), fingerprint(Unit::Native, "a"));
    }
}
