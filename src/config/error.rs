//! What can be wrong with a configuration.

use std::fmt;
use std::path::PathBuf;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In this file.
    File(PathBuf),
    /// In the environment.
    Environment,
}

/// The place and key of a value, as its writer knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// File or environment.
    pub origin: Origin,
    /// The key, in lower case.
    pub key: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::File(path) => write!(f, "{}: {}", path.display(), self.key),
            Origin::Environment => write!(f, "LIPSYNCD_{}", self.key.to_uppercase()),
        }
    }
}

/// The key that may have been meant, as it is written there.
fn hint(place: &Place, key: &str) -> String {
    match &place.origin {
        Origin::File(_) => format!("; did you mean `{key}`?"),
        Origin::Environment => {
            format!("; did you mean {}?", Place { origin: Origin::Environment, key: key.to_owned() })
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {source}; name a readable file with --config")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{path}: not valid TOML: {what}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The parser's words, with line and column.
        what: String,
    },
    /// No such key.
    #[error("{place}: there is no such key{}", nearest.map(|key| hint(place, key)).unwrap_or_default())]
    Unknown {
        /// Where it stands.
        place: Place,
        /// The known key most like it.
        nearest: Option<&'static str>,
    },
    /// The value is of the wrong kind or out of range.
    #[error("{place}: {got} is not allowed; write {expected}")]
    Value {
        /// Where it stands.
        place: Place,
        /// What stands there.
        got: String,
        /// What may stand there.
        expected: String,
    },
}
