//! Frames and sound in one file: `.avi` by ourselves, `.mp4` through ffmpeg.

mod atomic_file;
mod avi;
mod avi_header;
mod mp4;
mod stderr_tail;

pub use atomic_file::AtomicFile;
pub(crate) use atomic_file::{part_of, temporary_part_of};
pub use avi::{AviError, AviWriter};
pub use avi_header::AviSettings;
pub use mp4::{Mp4Error, Mp4Writer};
#[cfg(any(feature = "tensorrt", feature = "tensorrt-rtx"))]
pub(crate) use stderr_tail::StderrTail;
