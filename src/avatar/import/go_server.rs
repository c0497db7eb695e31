//! From a model folder of the Go server.

use std::io;
use std::path::Path;

use super::crop_rects::{Rects, parse_rects};
use super::go_config::{ignored_warning, parse_config};
use super::plan::{NetworkFiles, Plan, Settings, manifest, source_frames, warn};
use crate::avatar::check::Report;
use crate::avatar::examine::read_text;
use crate::avatar::fault::{Fault, listed};
use crate::avatar::frames::Frame;

/// Plans a bundle; `None`, or faults in the report, when the source does not suffice.
pub(super) fn plan(model_dir: &Path, config: Option<&Path>, name: &str, report: &mut Report) -> Option<Plan> {
    let generator = NetworkFiles::of(&model_dir.join("model_best.onnx"), report);
    let audio_encoder = NetworkFiles::of(&model_dir.join("audio_encoder.onnx"), report);
    let settings = read_config(model_dir, config, report);
    let frames = source_frames(&model_dir.join("frames"), "frame_", report);
    let rects = read_rects(&model_dir.join("crop_rects.json"), report);
    let frames = frames?;
    let boxes = align(&model_dir.join("crop_rects.json"), rects?, &frames, report)?;
    let (generator, audio_encoder, settings) = (generator?, audio_encoder?, settings?);
    if let (Some(said), Some(found)) = (settings.size_px, generator.picture_px)
        && said != found
    {
        warn(
            report,
            &generator.model,
            format!("its picture is {found}x{found}, not {said} as configured; {found} is used"),
        );
    }
    let manifest = manifest(name, &settings, &generator, &audio_encoder).ok()?;
    Some(Plan { manifest, frames, boxes, generator, audio_encoder })
}

/// The configuration given, or the one in the folder; without either, the published recipe's values.
fn read_config(model_dir: &Path, config: Option<&Path>, report: &mut Report) -> Option<Settings> {
    let path = config.map_or_else(|| model_dir.join("config.yaml"), Path::to_owned);
    let text = match read_text(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && config.is_none() => {
            return Some(Settings::default());
        }
        Err(error) => {
            fault(report, &path, format!("it cannot be read ({error})"), "give the server's config.yaml");
            return None;
        }
    };
    let real = model_dir.canonicalize().unwrap_or_else(|_| model_dir.to_owned());
    let model = real.file_name().unwrap_or_default().to_string_lossy();
    match parse_config(&text, &model) {
        Ok((settings, ignored)) => {
            if let Some(what) = ignored_warning(&ignored) {
                warn(report, &path, what);
            }
            Some(settings)
        }
        Err(error) => {
            fault(report, &path, error.to_string(), "correct it, or import with a file of the right values only");
            None
        }
    }
}

fn read_rects(path: &Path, report: &mut Report) -> Option<Rects> {
    let rects = match read_text(path) {
        Ok(text) => parse_rects(&text).map_err(|error| error.to_string()),
        Err(error) => Err(format!("it cannot be read ({error})")),
    };
    rects.map_err(|what| fault(report, path, what, "give one rectangle [x0, y0, x1, y1] per frame")).ok()
}

/// One rectangle for each frame. Numbers that do not meet (frames from 1, rectangles from 0) are taken in
/// order, with a warning, when there are as many of both.
fn align(path: &Path, rects: Rects, frames: &[Frame], report: &mut Report) -> Option<Vec<[i64; 4]>> {
    let rects = match rects {
        Rects::Ordered(rects) => rects,
        Rects::Numbered(rects) => {
            let missing: Vec<u64> =
                frames.iter().map(|frame| frame.number).filter(|number| !rects.contains_key(number)).collect();
            if missing.is_empty() {
                return Some(frames.iter().filter_map(|frame| rects.get(&frame.number).copied()).collect());
            }
            if rects.len() != frames.len() {
                let names = listed(missing.iter().map(u64::to_string), missing.len());
                fault(report, path, format!("it has no rectangle for frame {names}"), "add one for each frame");
                return None;
            }
            warn(report, path, "its numbers are not the frames' numbers; both were taken in order".to_owned());
            rects.into_values().collect()
        }
    };
    if rects.len() == frames.len() {
        return Some(rects);
    }
    let what = format!("it has {} rectangles for {} frames", rects.len(), frames.len());
    fault(report, path, what, "give one rectangle for each frame");
    None
}

fn fault(report: &mut Report, path: &Path, what: String, fix: &str) {
    report.faults.push(Fault::new(path.display().to_string(), "", what, fix));
}
