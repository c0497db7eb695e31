//! A network file of a bundle: found, read, and given its role.

use std::path::{Path, PathBuf};

use super::bundle::Network;
use super::check::Report;
use super::fault::{Fault, Warning, excerpt};
use super::onnx::{ExternalData, GraphInfo, RoleError, read_graph};
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
        .map_err(|error| faults.push(Fault::new(file, "", error.to_string(), error.fix())))
        .ok()?;
    let graph =
        read_graph(&path).map_err(|error| faults.push(Fault::new(file, "", error.to_string(), error.fix()))).ok()?;
    let mut weights = Vec::new();
    for data in &graph.external {
        match check_external(root, &path, file, data) {
            Ok(file) => weights.push(file),
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
    if let Some(data) = graph.external.first() {
        let location = excerpt(&data.location);
        let what = format!(
            "its weights are in \"{location}\": it runs on the CPU only; for a GPU, save it with its weights inside"
        );
        report.warnings.push(Warning::new(file, what));
    }
    (faults.len() == before).then_some(Network { path, weights, shape, opset: graph.opset })
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
        Fault::new(file, field.clone(), error.to_string(), fix)
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
