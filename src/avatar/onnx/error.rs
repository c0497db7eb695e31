//! Why a file is not an ONNX network.

use std::io;

use thiserror::Error;

use crate::bounded;

/// Why a file cannot be read as an ONNX network.
#[derive(Debug, Error)]
pub enum OnnxError {
    #[error("it is empty")]
    Empty,
    #[error("it is a Git LFS pointer, not the network itself")]
    LfsPointer,
    #[error("this is text, not an ONNX file")]
    Text,
    #[error("it has {bytes} bytes; a network has at most 2 GiB, its weights included")]
    TooLarge { bytes: u64 },
    #[error("it is cut short or damaged: a field is longer than what holds it")]
    Truncated,
    #[error("it is no ONNX file, or damaged: a number does not end")]
    Varint,
    #[error("it is no ONNX file, or damaged: {tag} starts no field")]
    Tag { tag: u64 },
    #[error("it is no ONNX file, or damaged: field {field} has the wrong type")]
    WireType { field: u32 },
    #[error("it is damaged: the text in field {field} is not UTF-8")]
    NotUtf8 { field: u32 },
    #[error("it has no graph")]
    NoGraph,
    #[error("it has more than one graph")]
    ManyGraphs,
    #[error("it has graphs within graphs, more than 40 deep")]
    Depth,
    #[error("its weights in {location:?} cannot be read ({source})")]
    Weights { location: String, source: io::Error },
    #[error("it cannot be read ({0})")]
    Io(#[source] io::Error),
}

impl OnnxError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::LfsPointer => "run `git lfs pull` where it came from, and copy the file again",
            Self::TooLarge { .. } => "export a smaller one: weights in files of their own count, too",
            Self::Weights { source, .. } if bounded::is_passing(source) => bounded::fix(source),
            Self::Weights { .. } => "copy the network and its weights' files again",
            Self::Truncated => "copy it again, and compare sizes",
            Self::NoGraph | Self::ManyGraphs | Self::Depth => "export the network to ONNX again",
            Self::Io(error) => bounded::fix(error),
            Self::Empty
            | Self::Text
            | Self::Varint
            | Self::Tag { .. }
            | Self::WireType { .. }
            | Self::NotUtf8 { .. } => "put the exported .onnx file there",
        }
    }
}
