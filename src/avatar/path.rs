//! Names of files inside a bundle, which must stay inside it.

use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};

use thiserror::Error;

use crate::bounded;

/// A relative path inside a bundle: `/` between names, no `..`, no root, no backslash.
///
/// Links are followed when it is resolved, and the target must lie inside the bundle too; a bundle is
/// then a unit that can be copied, and a bundle from elsewhere cannot make the daemon read other files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundlePath(String);

/// Why a name cannot be used as a path inside a bundle.
#[derive(Debug, Error)]
pub enum PathError {
    #[error("the path is empty")]
    Empty,
    #[error("the path is absolute")]
    Absolute,
    #[error("the path leaves the bundle with \"..\"")]
    Parent,
    #[error("the path holds a backslash or a NUL")]
    Character,
    #[error("there is no such file")]
    Missing,
    #[error("it is a link to {target}, outside the bundle")]
    LinkOutside { target: PathBuf },
    #[error("it is not a {expected}")]
    WrongKind { expected: &'static str },
    #[error("it cannot be read ({0})")]
    Io(#[source] io::Error),
}

impl PathError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Empty | Self::Absolute | Self::Parent => {
                "give a path relative to the bundle's folder, such as \"frames\""
            }
            Self::Character => "write the path with \"/\" between names",
            Self::Missing => "put the file there, or correct the name in avatar.toml",
            Self::LinkOutside { .. } => "copy or hard-link the file into the bundle",
            Self::WrongKind { .. } => "correct the name in avatar.toml",
            Self::Io(error) => bounded::fix(error),
        }
    }
}

/// What a bundle path must lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
}

impl BundlePath {
    /// Takes `text` as a path inside a bundle; looks at no disk.
    ///
    /// # Errors
    /// Empty, absolute, with `..`, or with a backslash or NUL.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if text.contains(['\\', '\0']) {
            return Err(PathError::Character);
        }
        let mut names = Vec::new();
        for component in Path::new(text).components() {
            match component {
                Component::Normal(name) => names.push(name.to_string_lossy()),
                Component::CurDir => {}
                Component::ParentDir => return Err(PathError::Parent),
                Component::RootDir | Component::Prefix(_) => return Err(PathError::Absolute),
            }
        }
        if names.is_empty() {
            return Err(PathError::Empty);
        }
        Ok(Self(names.join("/")))
    }

    /// The path as written in messages and in `avatar.toml`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The real file or folder under `base`, which lies in the bundle `root` (canonical).
    pub(crate) fn resolve(&self, root: &Path, base: &Path, kind: Kind) -> Result<PathBuf, PathError> {
        resolve_inside(root, &base.join(&self.0), kind)
    }
}

impl fmt::Display for BundlePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// As [`resolve_anywhere`], and inside `root` (canonical).
pub(crate) fn resolve_inside(root: &Path, path: &Path, kind: Kind) -> Result<PathBuf, PathError> {
    let real = resolve_anywhere(path, kind)?;
    if real.starts_with(root) { Ok(real) } else { Err(PathError::LinkOutside { target: real }) }
}

/// `path` with links followed, when it is of the right kind.
///
/// Only plain files count as files: opening a FIFO would wait for ever.
pub(crate) fn resolve_anywhere(path: &Path, kind: Kind) -> Result<PathBuf, PathError> {
    let real = path.canonicalize().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => PathError::Missing,
        _ => PathError::Io(error),
    })?;
    let meta = real.metadata().map_err(PathError::Io)?;
    match kind {
        Kind::File if !meta.is_file() => Err(PathError::WrongKind { expected: "plain file" }),
        Kind::Folder if !meta.is_dir() => Err(PathError::WrongKind { expected: "folder" }),
        _ => Ok(real),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_plain_relative_names_and_drops_dots() {
        for (text, kept) in [("frames", "frames"), ("./a/b.onnx", "a/b.onnx"), ("a//b/", "a/b"), ("..x", "..x")] {
            assert_eq!(BundlePath::parse(text).unwrap().as_str(), kept);
        }
    }

    #[test]
    fn refuses_names_that_leave_the_bundle() {
        assert!(matches!(BundlePath::parse(""), Err(PathError::Empty)));
        assert!(matches!(BundlePath::parse("."), Err(PathError::Empty)));
        assert!(matches!(BundlePath::parse("/etc/passwd"), Err(PathError::Absolute)));
        assert!(matches!(BundlePath::parse("a/../../b"), Err(PathError::Parent)));
        assert!(matches!(BundlePath::parse("a\\b"), Err(PathError::Character)));
        assert!(matches!(BundlePath::parse("a\0b"), Err(PathError::Character)));
    }

    #[cfg(unix)]
    #[test]
    fn links_may_point_inside_only() {
        let root = tempfile::tempdir().unwrap();
        let outside = tempfile::NamedTempFile::new().unwrap();
        let root_real = root.path().canonicalize().unwrap();
        std::fs::write(root_real.join("real"), b"x").unwrap();
        std::os::unix::fs::symlink("real", root_real.join("inside")).unwrap();
        std::os::unix::fs::symlink(outside.path(), root_real.join("outside")).unwrap();
        let resolve = |name: &str| BundlePath::parse(name).unwrap().resolve(&root_real, &root_real, Kind::File);
        assert_eq!(resolve("inside").unwrap(), root_real.join("real"));
        assert!(matches!(resolve("outside"), Err(PathError::LinkOutside { .. })));
        assert!(matches!(resolve("absent"), Err(PathError::Missing)));
    }

    #[test]
    fn the_kind_must_fit() {
        let root = tempfile::tempdir().unwrap();
        let root_real = root.path().canonicalize().unwrap();
        std::fs::create_dir(root_real.join("frames")).unwrap();
        let path = BundlePath::parse("frames").unwrap();
        assert!(path.resolve(&root_real, &root_real, Kind::Folder).is_ok());
        let error = path.resolve(&root_real, &root_real, Kind::File).unwrap_err();
        assert_eq!(error.to_string(), "it is not a plain file");
    }
}
