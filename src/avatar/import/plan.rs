//! What a bundle will be made of, whatever the source.

use std::path::{Path, PathBuf};

use crate::audio::MelParams;
use crate::avatar::check::Report;
use crate::avatar::fault::{Fault, Warning};
use crate::avatar::frames::{Frame, list_frames};
use crate::avatar::manifest::{EncoderSettings, FrameSettings, GeneratorSettings, Manifest, Mask};
use crate::avatar::network::external_files;
use crate::avatar::onnx::{picture_size, read_graph};
use crate::avatar::order::FrameOrder;
use crate::avatar::path::{BundlePath, PathError};
use crate::picture::{ChannelOrder, Interpolation};

/// Side of the published generator's picture, in pixels.
const PUBLISHED_SIZE_PX: u32 = 320;

/// Everything a bundle needs, still at its source.
#[derive(Debug)]
pub(super) struct Plan {
    pub manifest: Manifest,
    /// Existing pictures, in order.
    pub frames: Vec<Frame>,
    /// `[x0, y0, x1, y1]` for each frame, as the source has them.
    pub boxes: Vec<[i64; 4]>,
    pub generator: NetworkFiles,
    pub audio_encoder: NetworkFiles,
}

/// A network and the files with its weights, relative to its folder.
#[derive(Debug)]
pub(super) struct NetworkFiles {
    pub model: PathBuf,
    pub external: Vec<PathBuf>,
    /// Side of the picture input, when there is one and it is fixed.
    pub picture_px: Option<u32>,
}

/// What a source may say otherwise than the published recipe.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    pub fps: Option<u32>,
    pub size_px: Option<u32>,
    pub border_px: Option<u32>,
    pub mask: Option<[u32; 4]>,
    pub order: Option<FrameOrder>,
    pub resize: Option<Interpolation>,
}

/// The published recipe's manifest with the source's settings; the size is the network's own where it is fixed.
pub(super) fn manifest(
    name: &str,
    settings: &Settings,
    generator: &NetworkFiles,
    audio_encoder: &NetworkFiles,
) -> Result<Manifest, PathError> {
    let size_px = generator.picture_px.or(settings.size_px).unwrap_or(PUBLISHED_SIZE_PX);
    let mask = match settings.mask {
        Some([x, y, width, height]) => Mask { x, y, width, height },
        None => Mask::published(size_px),
    };
    Ok(Manifest {
        name: name.to_owned(),
        fps: settings.fps.unwrap_or(25),
        frames: FrameSettings {
            dir: BundlePath::parse("frames")?,
            boxes: BundlePath::parse("boxes.json")?,
            order: settings.order.unwrap_or_default(),
        },
        generator: GeneratorSettings {
            model: BundlePath::parse(&generator.name_in_bundle("generator"))?,
            size_px,
            border_px: settings.border_px.unwrap_or(4),
            mask,
            resize: settings.resize.unwrap_or_default(),
            channels: ChannelOrder::Bgr,
        },
        audio_encoder: EncoderSettings {
            model: BundlePath::parse(&audio_encoder.name_in_bundle("audio_encoder"))?,
            context: 16,
        },
        audio: MelParams::default(),
    })
}

impl NetworkFiles {
    /// Reads what a network needs; what is wrong goes to the report.
    pub fn of(model: &Path, report: &mut Report) -> Option<Self> {
        let label = model.display().to_string();
        let graph = match read_graph(model) {
            Ok(graph) => graph,
            Err(error) => {
                report.faults.push(Fault::new(label, "", error.to_string(), error.fix()));
                return None;
            }
        };
        let external = external_files(&graph, &label).map_err(|fault| report.faults.push(fault)).ok()?;
        let picture_px = picture_size(&graph).and_then(|size| u32::try_from(size).ok());
        Some(Self { model: model.to_owned(), external, picture_px })
    }

    /// Where the network goes: a folder of its own when it has further files, whose names might clash.
    fn name_in_bundle(&self, role: &str) -> String {
        if self.external.is_empty() { format!("{role}.onnx") } else { format!("{role}/{role}.onnx") }
    }
}

/// The pictures in `dir`, links to anywhere allowed, since they are copied.
pub(super) fn source_frames(dir: &Path, prefix: &str, report: &mut Report) -> Option<Vec<Frame>> {
    let label = dir.display().to_string();
    match list_frames(None, dir, &label, prefix) {
        Ok(list) => {
            report.faults.extend(list.faults);
            report.warnings.extend(list.warnings);
            Some(list.frames)
        }
        Err(error) => {
            let what = format!("it cannot be read ({error})");
            report.faults.push(Fault::new(label, "", what, "give the folder that holds it"));
            None
        }
    }
}

/// Notes something about the source that works but may not be meant.
pub(super) fn warn(report: &mut Report, file: &Path, what: String) {
    report.warnings.push(Warning::new(file.display().to_string(), what));
}
