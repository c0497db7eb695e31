//! Writes a bundle beside its target, checks it, and moves it into place.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::plan::{NetworkFiles, Plan};
use super::{ImportError, ImportOptions, ImportSummary};
use crate::avatar::check::check;
use crate::avatar::fault::Warning;
use crate::avatar::manifest::{MANIFEST_FILE, to_toml};

/// A folder that may be made or replaced.
pub(super) struct Target<'a> {
    options: &'a ImportOptions,
    name: String,
    parent: PathBuf,
}

impl<'a> Target<'a> {
    /// Makes sure that a bundle may be put at the target.
    pub fn claim(options: &'a ImportOptions) -> Result<Self, ImportError> {
        let to = &options.to;
        let folder = to.file_name().ok_or_else(|| ImportError::Target { to: to.clone() })?;
        let name = options.name.clone().unwrap_or_else(|| folder.to_string_lossy().into_owned());
        let parent = match to.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        // A link that leads nowhere is in the way, too.
        if fs::symlink_metadata(to).is_ok() {
            if !options.force {
                return Err(ImportError::Exists { to: to.clone() });
            }
            // A mistyped target must not cost somebody's folder.
            if !is_bundle_or_empty(to) {
                return Err(ImportError::NotABundle { to: to.clone() });
            }
        }
        Ok(Self { options, name, parent })
    }

    /// The avatar's name for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes the bundle; whatever fails, the target stays as it was.
    pub fn write(
        &self,
        plan: &Plan,
        warnings: Vec<Warning>,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<ImportSummary, ImportError> {
        fs::create_dir_all(&self.parent).map_err(at(&self.parent))?;
        // Beside the target, since only a move within one file system is atomic.
        let workshop =
            tempfile::Builder::new().prefix(".lipsyncd-import-").tempdir_in(&self.parent).map_err(at(&self.parent))?;
        let draft = workshop.path().join("bundle");
        self.fill(&draft, plan, progress)?;
        let mut report = check(&draft);
        report.warnings.extend(warnings);
        if !report.is_usable() {
            return Err(ImportError::Bundle(report));
        }
        self.place(&workshop, &draft).map_err(at(&self.options.to))?;
        Ok(ImportSummary { bundle: self.options.to.clone(), report })
    }

    fn fill(&self, draft: &Path, plan: &Plan, progress: &mut dyn FnMut(usize, usize)) -> Result<(), ImportError> {
        let manifest = &plan.manifest;
        let networks =
            [(&plan.generator, &manifest.generator.model), (&plan.audio_encoder, &manifest.audio_encoder.model)];
        let network_files: usize = networks.iter().map(|(network, _)| 1 + network.external.len()).sum();
        let total = plan.frames.len() + network_files;
        let mut done = 0;
        let mut step = || {
            done += 1;
            progress(done, total);
        };
        let frames_dir = draft.join(manifest.frames.dir.as_str());
        fs::create_dir_all(&frames_dir).map_err(at(&frames_dir))?;
        for (index, frame) in plan.frames.iter().enumerate() {
            let extension = Path::new(&frame.name).extension().unwrap_or_default().to_ascii_lowercase();
            let to = frames_dir.join(format!("{index:06}")).with_extension(extension);
            self.bring(&frame.path, &to)?;
            step();
        }
        for (network, name) in networks {
            copy_network(network, &draft.join(name.as_str()), &mut step)?;
        }
        write_text(&draft.join(manifest.frames.boxes.as_str()), &boxes_json(&plan.boxes))?;
        write_text(&draft.join(MANIFEST_FILE), &to_toml(manifest))
    }

    /// Links where asked and possible; another file system, or one without links, gets a copy.
    fn bring(&self, from: &Path, to: &Path) -> Result<(), ImportError> {
        if self.options.link && fs::hard_link(from, to).is_ok() {
            return Ok(());
        }
        copy(from, to)
    }

    fn place(&self, workshop: &TempDir, draft: &Path) -> io::Result<()> {
        let to = &self.options.to;
        if fs::symlink_metadata(to).is_err() {
            return fs::rename(draft, to);
        }
        let replaced = workshop.path().join("replaced");
        fs::rename(to, &replaced)?;
        fs::rename(draft, to).inspect_err(|_| {
            // The move that failed is the error to report; if the old bundle cannot go back, it is gone with
            // the workshop, which is as close as two moves come to one.
            let _ = fs::rename(&replaced, to);
        })
    }
}

fn is_bundle_or_empty(to: &Path) -> bool {
    let empty = || to.read_dir().is_ok_and(|mut entries| entries.next().is_none());
    to.is_dir() && (to.join(MANIFEST_FILE).is_file() || empty())
}

fn copy_network(network: &NetworkFiles, to: &Path, step: &mut dyn FnMut()) -> Result<(), ImportError> {
    let (Some(from_dir), Some(to_dir)) = (network.model.parent(), to.parent()) else {
        return Err(ImportError::Target { to: to.to_owned() });
    };
    fs::create_dir_all(to_dir).map_err(at(to_dir))?;
    copy(&network.model, to)?;
    step();
    for name in &network.external {
        let to = to_dir.join(name);
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).map_err(at(folder))?;
        }
        copy(&from_dir.join(name), &to)?;
        step();
    }
    Ok(())
}

/// One box per line: people correct them by hand.
fn boxes_json(boxes: &[[i64; 4]]) -> String {
    let lines: Vec<_> = boxes.iter().map(|[x0, y0, x1, y1]| format!("  [{x0}, {y0}, {x1}, {y1}]")).collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

fn copy(from: &Path, to: &Path) -> Result<(), ImportError> {
    fs::copy(from, to).map(|_| ()).map_err(|source| ImportError::Copy {
        from: from.to_owned(),
        to: to.to_owned(),
        source,
    })
}

fn write_text(path: &Path, text: &str) -> Result<(), ImportError> {
    fs::write(path, text).map_err(at(path))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> ImportError {
    let path = path.to_owned();
    move |source| ImportError::Write { path, source }
}
