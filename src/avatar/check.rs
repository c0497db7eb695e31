//! Everything that is wrong with a bundle, at once.

use std::fmt;
use std::path::Path;

use super::bundle::Bundle;
use super::examine::examine;
use super::fault::{Fault, Warning};
use super::onnx::Batch;
use super::order::FrameOrder;
use super::probe::PictureSize;

/// What a check found; one line each when displayed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// What must be corrected before the bundle can be used.
    pub faults: Vec<Fault>,
    /// What works, but is probably not meant.
    pub warnings: Vec<Warning>,
    /// What the bundle is; only without faults.
    pub summary: Option<Summary>,
}

/// A bundle in a line.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    pub name: String,
    pub frames: usize,
    pub frame_size: PictureSize,
    pub fps: u32,
    pub order: FrameOrder,
    /// Side of the generator's picture, in pixels.
    pub size_px: u32,
    pub generator_batch: Batch,
    pub encoder_batch: Batch,
}

/// Checks the bundle in `dir`: manifest, frames' headers, boxes, networks' shapes and external data.
///
/// No picture is decoded and no network is run.
pub fn check(dir: &Path) -> Report {
    examine(dir).0
}

impl Report {
    /// Whether the bundle can be used.
    pub fn is_usable(&self) -> bool {
        self.faults.is_empty()
    }

    /// Whether the system failed, so that a fault may be gone at the next try.
    pub fn is_passing(&self) -> bool {
        self.faults.iter().any(|fault| fault.passing)
    }
}

impl Summary {
    pub(super) fn of(bundle: &Bundle) -> Self {
        let manifest = &bundle.manifest;
        Self {
            name: manifest.name.clone(),
            frames: bundle.frames.len(),
            frame_size: bundle.frame_size,
            fps: manifest.fps,
            order: manifest.frames.order,
            size_px: manifest.generator.size_px,
            generator_batch: bundle.generator.shape.batch,
            encoder_batch: bundle.audio_encoder.shape.batch,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let batch = |batch| match batch {
            Batch::One => "batch 1",
            Batch::Dynamic => "any batch",
        };
        write!(
            f,
            "{:?}: {} frames of {} at {} fps, {}; generator {}x{}, {}; audio encoder, {}",
            self.name,
            self.frames,
            self.frame_size,
            self.fps,
            self.order.as_str(),
            self.size_px,
            self.size_px,
            batch(self.generator_batch),
            batch(self.encoder_batch),
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines: Vec<String> = self.faults.iter().map(Fault::to_string).collect();
        lines.extend(self.warnings.iter().map(|warning| format!("warning: {warning}")));
        lines.extend(self.summary.as_ref().map(Summary::to_string));
        f.write_str(&lines.join("\n"))
    }
}
