//! The one walk through a bundle behind both checking and opening it.

use std::io;
use std::path::{Path, PathBuf};

use super::boxes::read_boxes;
use super::bundle::Bundle;
use super::check::{Report, Summary};
use super::fault::{Fault, Listed};
use super::frames::list_frames;
use super::manifest::{Draft, MANIFEST_FILE, read_manifest};
use super::network::load_network;
use super::onnx::{recognise_encoder, recognise_generator};
use super::path::{BundlePath, Kind, PathError, resolve_inside};
use super::probe::{PictureSize, ProbeError, probe_file};
use super::recipe::Recipe;
use crate::bounded;
use crate::picture::Rect;

/// Longest manifest or boxes file that is read: a million boxes fit.
const MAX_TEXT_BYTES: u64 = 64 << 20;

/// Walks the bundle in `dir`; the bundle comes back only when the report has no fault.
pub(super) fn examine(dir: &Path) -> (Report, Option<Bundle>) {
    let mut walk = Walk::default();
    let bundle = walk.bundle(dir).filter(|_| walk.report.faults.is_empty());
    walk.report.summary = bundle.as_ref().map(Summary::of);
    (walk.report, bundle)
}

#[derive(Default)]
struct Walk {
    report: Report,
}

/// The frames of a bundle.
struct Frames {
    paths: Vec<PathBuf>,
    size: Option<PictureSize>,
}

impl Walk {
    /// Notes it: there is nothing then.
    fn add<T>(&mut self, fault: Fault) -> Option<T> {
        self.report.faults.push(fault);
        None
    }

    fn unusable<T>(&mut self, label: &str, error: &PathError) -> Option<T> {
        self.add(Fault::of(label, "", error, error.fix()))
    }

    /// Each part is walked before any `?`, so that faults in one hide none in another.
    fn bundle(&mut self, dir: &Path) -> Option<Bundle> {
        let label = dir.display().to_string();
        let fix = "give the bundle's folder";
        let root = match dir.canonicalize().and_then(|root| Ok((root.metadata()?, root))) {
            Ok((data, root)) if data.is_dir() => root,
            Ok(_) => return self.add(Fault::new(label, "", "it is not a folder", fix)),
            Err(error) => {
                let what = format!("it cannot be opened ({error})");
                return self.add(Fault { what, ..Fault::of(label, "", &error, fix) });
            }
        };
        let draft = self.manifest(&root)?;
        let frames = self.frames(&root, draft.frames_dir.as_ref());
        let boxes = self.boxes(&root, draft.boxes.as_ref(), frames.as_ref());
        let report = &mut self.report;
        let generator = draft.generator_model.as_ref().and_then(|name| {
            let known = draft.size_px.zip(draft.context);
            load_network(
                &root,
                name,
                |graph| known.map(|(size, context)| recognise_generator(graph, size, context)),
                report,
            )
        });
        let audio_encoder = draft.encoder_model.as_ref().and_then(|name| {
            load_network(&root, name, |graph| draft.mels.map(|mels| recognise_encoder(graph, mels)), report)
        });
        let (frames, manifest) = (frames?, draft.manifest?);
        let impossible = |error| Fault::of(MANIFEST_FILE, "", &error, "correct that value");
        let recipe = Recipe::of(&manifest).map_or_else(|error| self.add(impossible(error)), Some)?;
        Some(Bundle {
            dir: root,
            manifest,
            recipe,
            frame_size: frames.size?,
            frames: frames.paths,
            boxes: boxes?,
            generator: generator?,
            audio_encoder: audio_encoder?,
        })
    }

    fn manifest(&mut self, root: &Path) -> Option<Draft> {
        let path = match resolve_inside(root, &root.join(MANIFEST_FILE), Kind::File) {
            Ok(path) => path,
            Err(error @ PathError::Missing) => {
                return self.add(Fault::of(MANIFEST_FILE, "", &error, "write it, or import a bundle"));
            }
            Err(error) => return self.unusable(MANIFEST_FILE, &error),
        };
        let text = self.text(&path, MANIFEST_FILE)?;
        Some(read_manifest(&text, &mut self.report.faults))
    }

    fn frames(&mut self, root: &Path, name: Option<&BundlePath>) -> Option<Frames> {
        let name = name?;
        let dir = self.resolve(root, name, Kind::Folder)?;
        let list = match list_frames(Some(root), &dir, name.as_str(), "") {
            Ok(list) => list,
            Err(error) => return self.unusable(name.as_str(), &PathError::Io(error)),
        };
        self.report.faults.extend(list.faults);
        self.report.warnings.extend(list.warnings);
        let paths: Vec<PathBuf> = list.frames.into_iter().map(|frame| frame.path).collect();
        let size = self.frame_size(root, name.as_str(), &paths);
        Some(Frames { paths, size })
    }

    /// The size all frames have; those without a usable header, and those of another size than the first,
    /// are faults, up to 20 and then a count.
    fn frame_size(&mut self, root: &Path, label: &str, paths: &[PathBuf]) -> Option<PictureSize> {
        let mut common: Option<(PictureSize, String)> = None;
        let mut wrong = Listed::default();
        for path in paths {
            let file = path.strip_prefix(root).unwrap_or(path).display().to_string();
            wrong.push(match (probe_file(path), &common) {
                (Ok(size), None) => {
                    common = Some((size, file));
                    continue;
                }
                (Ok(size), Some((first, _))) if size == *first => continue,
                (Ok(size), Some((first, first_file))) => {
                    let what = format!("it is {size}, but {first_file} is {first}");
                    Fault::new(file, "", what, "give all frames one size")
                }
                (Err(error @ ProbeError::Io(_)), _) => {
                    Fault::of(file, "", &error, "check the file and its permissions")
                }
                (Err(error), _) => Fault::of(file, "", &error, "write it again as an 8-bit JPEG or PNG picture"),
            });
        }
        self.report.faults.extend(wrong.end(label, "frames"));
        common.map(|(size, _)| size)
    }

    fn boxes(&mut self, root: &Path, name: Option<&BundlePath>, frames: Option<&Frames>) -> Option<Vec<Rect>> {
        let name = name?;
        let path = self.resolve(root, name, Kind::File)?;
        let json = self.text(&path, name.as_str())?;
        let count = frames.map(|frames| frames.paths.len());
        let size = frames.and_then(|frames| frames.size);
        read_boxes(&json, name.as_str(), count, size, &mut self.report)
    }

    fn resolve(&mut self, root: &Path, name: &BundlePath, kind: Kind) -> Option<PathBuf> {
        name.resolve(root, root, kind).map_or_else(|error| self.unusable(name.as_str(), &error), Some)
    }

    fn text(&mut self, path: &Path, label: &str) -> Option<String> {
        let wrong = |error| Fault::of(label, "", &PathError::Io(error), "give a UTF-8 text file");
        read_text(path).map_or_else(|error| self.add(wrong(error)), Some)
    }
}

/// A text file of bounded length.
pub(super) fn read_text(path: &Path) -> io::Result<String> {
    let text = bounded::read(path, MAX_TEXT_BYTES)?;
    String::from_utf8(text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))
}
