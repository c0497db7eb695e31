//! From a SyncTalk_2D dataset folder: `full_body_img/N.jpg` and `landmarks/N.lms`.

use std::path::Path;

use super::lms::box_of_landmarks;
use super::plan::{NetworkFiles, Plan, Settings, manifest, source_frames, warn};
use crate::avatar::check::Report;
use crate::avatar::examine::read_text;
use crate::avatar::fault::{Fault, Listed};
use crate::avatar::frames::Frame;
use crate::avatar::probe::{PictureSize, probe_file};

/// Plans a bundle; `None`, or faults in the report, when the source does not suffice.
pub(super) fn plan(
    dataset: &Path,
    generator: &Path,
    audio_encoder: &Path,
    name: &str,
    report: &mut Report,
) -> Option<Plan> {
    let generator = NetworkFiles::of(generator, report);
    let audio_encoder = NetworkFiles::of(audio_encoder, report);
    let frames = source_frames(&dataset.join("full_body_img"), "", report)?;
    let boxes = read_landmarks(&dataset.join("landmarks"), &frames, report);
    let (generator, audio_encoder) = (generator?, audio_encoder?);
    let manifest = manifest(name, &Settings::default(), &generator, &audio_encoder).ok()?;
    Some(Plan { manifest, frames, boxes, generator, audio_encoder })
}

/// One box for each frame; frames without usable landmarks are faults, up to 20 and then a count.
fn read_landmarks(dir: &Path, frames: &[Frame], report: &mut Report) -> Vec<[i64; 4]> {
    let size = frames.first().and_then(|frame| probe_file(&frame.path).ok());
    let mut boxes = Vec::with_capacity(frames.len());
    let (mut wrong, mut clipped) = (Listed::default(), 0);
    for frame in frames {
        let path = dir.join(&frame.name).with_extension("lms");
        let face = match read_text(&path) {
            Ok(text) => box_of_landmarks(&text).map_err(|error| error.to_string()),
            Err(error) => Err(format!("it cannot be read ({error})")),
        };
        match face {
            Ok(face) => {
                let inside = clip(face, size);
                clipped += usize::from(inside != face);
                boxes.push(inside);
            }
            Err(what) => {
                let fix = "run the dataset's landmark detection for this frame again";
                wrong.push(Fault::new(path.display().to_string(), "", what, fix));
            }
        }
    }
    report.faults.extend(wrong.end(&dir.display().to_string(), "landmark files"));
    if clipped > 0 {
        warn(report, dir, format!("{clipped} boxes reached past the frame and were cut at its edge, as in training"));
    }
    boxes
}

/// The box cut at the right and bottom edge: array slicing in the training code does the same. Past the left
/// or top edge it would give another picture, so that stays a fault for the check.
fn clip([x0, y0, x1, y1]: [i64; 4], size: Option<PictureSize>) -> [i64; 4] {
    match size {
        Some(size) => [x0, y0, x1.min(size.width.into()), y1.min(size.height.into())],
        None => [x0, y0, x1, y1],
    }
}
