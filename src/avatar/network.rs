//! A network file of a bundle: found, read, and given its role.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::bundle::{Network, WeightsFile};
use super::check::Report;
use super::fault::{Fault, excerpt};
use super::onnx::{
    ExternalData, GraphInfo, MAX_MODEL_BYTES, OnnxError, Outside, RoleError, read_model, repeated, with_weights,
};
use super::path::{BundlePath, Kind, PathError};

/// Reads the network at `name` in the bundle `root` (canonical) and recognises its role; what is wrong with it goes to `report`.
pub(super) fn load_network<S>(
    root: &Path,
    name: &BundlePath,
    recognise: impl FnOnce(&GraphInfo) -> Option<Result<S, RoleError>>,
    report: &mut Report,
) -> Option<Network<S>> {
    let faults = &mut report.faults;
    let before = faults.len();
    let file = name.as_str();
    let path = name
        .resolve(root, root, Kind::File)
        .map_err(|error| faults.push(Fault::of(file, "", &error, error.fix())))
        .ok()?;
    let content = match Content::read(&path) {
        Ok(content) => content,
        Err(error) => {
            faults.push(Fault::of(file, "", &error, error.fix()));
            return None;
        }
    };
    faults.extend(content.faults(file));
    let graph = content.graph;
    let mut weights = Vec::new();
    for data in &graph.external {
        match check_external(root, &path, file, data) {
            Ok(path) => weights.push(WeightsFile { location: data.location.clone(), path }),
            Err(fault) => faults.push(fault),
        }
    }
    let shape = match recognise(&graph)? {
        Ok(shape) => shape,
        Err(error) => {
            faults.push(Fault::new(file, "", error.to_string(), error.fix()));
            return None;
        }
    };
    (faults.len() == before).then_some(Network { path, weights, shape, opset: graph.opset })
}

/// Of a file with weights that the check of the bundle did not come upon.
const UNCHECKED: &str = "it is none of those that were checked";

/// What a network's file says of itself.
struct Content {
    graph: GraphInfo,
    /// An operator that may go on for ever.
    repeats: Option<String>,
    bytes: u64,
}

impl Content {
    fn read(path: &Path) -> Result<Self, OnnxError> {
        let content = read_model(path)?;
        Ok(Self { graph: GraphInfo::parse(&content)?, repeats: repeated(&content)?, bytes: content.len() as u64 })
    }

    /// What is wrong with any network that is so, called `file`.
    fn faults(&self, file: &str) -> impl Iterator<Item = Fault> {
        let weights = self.graph.external.iter().map(|data| data.min_bytes);
        let bytes = weights.fold(self.bytes, u64::saturating_add);
        let too_large = (bytes > MAX_MODEL_BYTES).then(|| {
            let error = OnnxError::TooLarge { bytes };
            Fault::new(file, "", error.to_string(), error.fix())
        });
        let repeats = self.repeats.as_ref().map(|op| {
            let what = format!("it has a {}, of which nobody can tell whether it ends", excerpt(op));
            Fault::new(file, "", what, "export the network of the published recipe")
        });
        too_large.into_iter().chain(repeats)
    }
}

impl<S> Network<S> {
    /// The network's content, with everything inside that it has in other files.
    ///
    /// # Errors
    /// [`OnnxError`]: a file cannot be read, or is not what it was when the bundle was checked.
    pub fn read(&self) -> Result<Vec<u8>, OnnxError> {
        let content = read_model(&self.path)?;
        let mut open: Option<(&str, File)> = None;
        let mut read = |outside: Outside<'_>, out: &mut Vec<u8>| {
            let file = match &open {
                Some((location, file)) if *location == outside.location => file,
                _ => {
                    let known = self.weights.iter().find(|file| file.location == outside.location);
                    let known = known.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, UNCHECKED))?;
                    &open.insert((&known.location, File::open(&known.path)?)).1
                }
            };
            let start = out.len();
            // Asked before there is memory for what is not there.
            if outside.offset.saturating_add(outside.bytes as u64) > file.metadata()?.len() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            out.try_reserve(outside.bytes)?;
            out.resize(start + outside.bytes, 0);
            file.read_exact_at(&mut out[start..], outside.offset)
        };
        Ok(with_weights(&content, &mut read)?.unwrap_or(content))
    }
}

/// The file with weights must be inside the bundle and as long as the network says.
fn check_external(root: &Path, model: &Path, file: &str, data: &ExternalData) -> Result<PathBuf, Fault> {
    let field = format!("external data \"{}\"", excerpt(&data.location));
    let wrong = |error: PathError| {
        let fix = match error {
            PathError::Missing => "put the weights' file beside the network",
            PathError::LinkOutside { .. } => error.fix(),
            _ => "export it again with the weights' file beside it",
        };
        Fault::of(file, field.clone(), &error, fix)
    };
    let base = model.parent().unwrap_or(root);
    let path =
        BundlePath::parse(&data.location).and_then(|name| name.resolve(root, base, Kind::File)).map_err(wrong)?;
    let bytes = path.metadata().map_err(|error| wrong(PathError::Io(error)))?.len();
    if bytes >= data.min_bytes {
        return Ok(path);
    }
    let what = format!("it has {bytes} bytes, the network needs {}", data.min_bytes);
    Err(Fault::new(file, field.clone(), what, "copy the weights' file again"))
}

/// Files with weights that the network called `label` needs, as paths relative to its folder.
///
/// # Errors
/// It names a file outside its own folder.
pub(super) fn external_files(graph: &GraphInfo, label: &str) -> Result<Vec<PathBuf>, Fault> {
    let relative = |data: &ExternalData| {
        BundlePath::parse(&data.location).map(|name| PathBuf::from(name.as_str())).map_err(|error| {
            let field = format!("external data \"{}\"", excerpt(&data.location));
            Fault::new(label, field, error.to_string(), "export it again with the weights' file beside it")
        })
    };
    graph.external.iter().map(relative).collect()
}
