use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::avatar::{Bundle, FrameOrder, Mask};
use crate::picture::{Interpolation, Rect};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn copy(from: &str, to: PathBuf) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(golden(from), to).unwrap();
}

/// A dataset of three frames, numbered from 0 without padding, faces at x 4..44, y 6.
fn synctalk(dir: &Path) -> ImportSource {
    for number in 0..3 {
        copy("bundle/frame_64x48.jpg", dir.join(format!("full_body_img/{number}.jpg")));
        let point = |index| match index {
            1 => "4.9 0",
            31 => "44.2 0",
            52 => "0 6.7",
            _ => "20 20",
        };
        let lines: Vec<_> = (0..68).map(point).collect();
        let path = dir.join(format!("landmarks/{number}.lms"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, lines.join("\n")).unwrap();
    }
    ImportSource::SyncTalk2d {
        dataset: dir.to_owned(),
        generator: golden("onnx/generator_one.onnx"),
        audio_encoder: golden("onnx/encoder_external.onnx"),
    }
}

/// A model folder of two frames, numbered from 1, rectangles from 0.
fn go_server(dir: &Path) -> ImportSource {
    for number in 1..3 {
        copy("bundle/frame_64x48.png", dir.join(format!("frames/frame_{number:04}.png")));
    }
    copy("onnx/generator_dynamic.onnx", dir.join("model_best.onnx"));
    copy("onnx/encoder_one.onnx", dir.join("audio_encoder.onnx"));
    fs::write(
        dir.join("crop_rects.json"),
        r#"{"0": [0, 0, 40, 40], "1": {"x": 2, "y": 3, "width": 30, "height": 30}}"#,
    )
    .unwrap();
    fs::write(
        dir.join("config.yaml"),
        "fps: 30\nsize: 328\nport: 1\nborder: 0\nmask: [1, 2, 3, 4]\nmode: loop\ninterpolation: linear\n",
    )
    .unwrap();
    ImportSource::GoServer { model_dir: dir.to_owned(), config: None }
}

fn to(dir: &TempDir) -> ImportOptions {
    ImportOptions { to: dir.path().join("avatars/anna"), name: None, force: false, link: false }
}

fn quiet(source: &ImportSource, options: &ImportOptions) -> Result<ImportSummary, ImportError> {
    import(source, options, &mut |_, _| {})
}

/// What is in the folder of bundles: nothing but the bundle, if any.
fn left(dir: &TempDir) -> Vec<String> {
    let Ok(entries) = dir.path().join("avatars").read_dir() else {
        return Vec::new();
    };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_dataset_becomes_a_bundle() {
    let dir = tempfile::tempdir().unwrap();
    let source = synctalk(&dir.path().join("data"));
    let mut heard = Vec::new();
    let summary = import(&source, &to(&dir), &mut |done, total| heard.push((done, total))).unwrap();
    assert_eq!(heard, (1..=6).map(|done| (done, 6)).collect::<Vec<_>>());
    assert_eq!(left(&dir), ["anna"]);
    let bundle = Bundle::open(&summary.bundle).unwrap();
    assert_eq!(bundle.manifest.name, "anna");
    assert_eq!(
        (bundle.manifest.fps, bundle.manifest.generator.size_px, bundle.manifest.generator.border_px),
        (25, 32, 4)
    );
    assert_eq!(bundle.manifest.generator.mask, Mask::published(32));
    assert!(bundle.frames[2].ends_with("frames/000002.jpg"));
    assert_eq!(bundle.boxes, [Rect::new(4, 6, 44, 46); 3]);
    assert!(bundle.audio_encoder.path.ends_with("audio_encoder/audio_encoder.onnx"));
    let report = summary.report;
    assert!(report.warnings.is_empty(), "{report}");
    assert!(report.summary.is_some(), "{report}");
}

#[test]
fn a_box_past_the_bottom_is_cut_as_in_training() {
    let dir = tempfile::tempdir().unwrap();
    let source = synctalk(&dir.path().join("data"));
    let path = dir.path().join("data/landmarks/1.lms");
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("6.7", "16.7")).unwrap();
    let summary = quiet(&source, &to(&dir)).unwrap();
    let bundle = Bundle::open(&summary.bundle).unwrap();
    assert_eq!(bundle.boxes[1], Rect::new(4, 16, 44, 48));
    assert!(summary.report.to_string().contains("1 boxes reached past the frame"), "{}", summary.report);
}

#[test]
fn everything_wrong_with_a_dataset_is_said_and_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    synctalk(&data);
    fs::remove_file(data.join("landmarks/0.lms")).unwrap();
    fs::write(data.join("landmarks/2.lms"), "1 2\nx y").unwrap();
    fs::rename(data.join("full_body_img/1.jpg"), data.join("full_body_img/4.jpg")).unwrap();
    let source =
        ImportSource::SyncTalk2d { dataset: data, generator: golden("onnx/make.py"), audio_encoder: "no.onnx".into() };
    let error = quiet(&source, &to(&dir)).unwrap_err().to_string();
    for part in [
        "make.py: this is text",
        "no.onnx: it cannot be read",
        "full_body_img: 2 frame(s) missing between the first and the last: 1, 3",
        "0.lms: it cannot be read",
        "2.lms: line 2 is not a point",
        "4.lms: it cannot be read",
    ] {
        assert!(error.contains(part), "{error} lacks {part}");
    }
    assert_eq!(left(&dir), Vec::<String>::new());
}

#[test]
fn a_bundle_that_would_be_faulty_is_not_put_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let source = synctalk(&dir.path().join("data"));
    let path = dir.path().join("data/landmarks/1.lms");
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("4.9", "-4.9")).unwrap();
    let error = quiet(&source, &to(&dir)).unwrap_err();
    assert!(matches!(error, ImportError::Bundle(_)), "{error}");
    assert!(error.to_string().contains("boxes.json: box 1: [-4, 6, 44, 48] reaches outside the frame"), "{error}");
    assert_eq!(left(&dir), Vec::<String>::new());
}

#[test]
fn a_model_folder_becomes_a_bundle_with_the_values_of_its_config() {
    let dir = tempfile::tempdir().unwrap();
    let source = go_server(&dir.path().join("model"));
    let options = ImportOptions { name: Some("Anna \"A\"".to_owned()), link: true, ..to(&dir) };
    let summary = quiet(&source, &options).unwrap();
    let Bundle { manifest, frames, boxes, .. } = Bundle::open(&summary.bundle).unwrap();
    assert_eq!((manifest.name.as_str(), manifest.fps, manifest.frames.order), ("Anna \"A\"", 30, FrameOrder::Loop));
    assert_eq!((manifest.generator.border_px, manifest.generator.resize), (0, Interpolation::Linear));
    assert_eq!(manifest.generator.mask, Mask { x: 1, y: 2, width: 3, height: 4 });
    assert!(frames[0].ends_with("000000.png") && frames.len() == 2);
    assert_eq!(boxes[1], Rect::new(2, 3, 32, 33));
    let warnings = summary.report.to_string();
    assert!(
        warnings.contains("ignored: port")
            && warnings.contains("32x32, not 328 as configured")
            && warnings.contains("both were taken in order"),
        "{warnings}"
    );
}

#[cfg(unix)]
#[test]
fn frames_are_linked_when_asked_and_copied_when_not() {
    use std::os::unix::fs::MetadataExt;
    for (link, names) in [(true, 2), (false, 1)] {
        let dir = tempfile::tempdir().unwrap();
        let source = go_server(&dir.path().join("model"));
        let summary = quiet(&source, &ImportOptions { link, ..to(&dir) }).unwrap();
        let frame = fs::metadata(summary.bundle.join("frames/000000.png")).unwrap();
        assert_eq!(frame.nlink(), names);
    }
}

/// Moves `picture` to `blob`, which a link in its place leads to.
#[cfg(unix)]
fn link_to_blob(picture: &Path, blob: &Path) {
    fs::create_dir_all(blob.parent().unwrap()).unwrap();
    fs::rename(picture, blob).unwrap();
    std::os::unix::fs::symlink(blob, picture).unwrap();
}

#[cfg(unix)]
#[test]
fn what_a_link_leads_to_plays_no_part_in_the_landmarks_and_endings() {
    for link in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let source = synctalk(&data);
        for (picture, blob) in [("0.jpg", "orig/1.jpg"), ("1.jpg", "orig/8d9f"), ("2.jpg", "orig/2.PNG.old")] {
            link_to_blob(&data.join("full_body_img").join(picture), &data.join(blob));
        }
        let path = data.join("landmarks/0.lms");
        fs::write(&path, fs::read_to_string(&path).unwrap().replace("6.7", "2.7")).unwrap();
        let summary = quiet(&source, &ImportOptions { link, ..to(&dir) }).unwrap();
        let bundle = Bundle::open(&summary.bundle).unwrap();
        let tops: Vec<_> = bundle.boxes.iter().map(|face| face.y0).collect();
        assert_eq!(tops, [2, 6, 6]);
        let names: Vec<_> = bundle.frames.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["000000.jpg", "000001.jpg", "000002.jpg"]);
    }
}

#[cfg(unix)]
#[test]
fn links_in_a_model_folder_keep_their_endings() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("model");
    let source = go_server(&model);
    link_to_blob(&model.join("frames/frame_0001.png"), &model.join("blobs/8d9f"));
    let summary = quiet(&source, &to(&dir)).unwrap();
    assert!(Bundle::open(&summary.bundle).unwrap().frames[0].ends_with("000000.png"));
}

#[test]
fn a_model_folder_without_what_is_needed_says_all() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("model");
    let source = go_server(&model);
    fs::write(model.join("crop_rects.json"), "[[0, 0, 40, 40]]").unwrap();
    fs::write(model.join("config.yaml"), "fps: fast").unwrap();
    fs::remove_file(model.join("audio_encoder.onnx")).unwrap();
    let error = quiet(&source, &to(&dir)).unwrap_err().to_string();
    for part in ["audio_encoder.onnx: it cannot be read", "fps is \"fast\"", "it has 1 rectangles for 2 frames"] {
        assert!(error.contains(part), "{error} lacks {part}");
    }
    fs::remove_file(model.join("config.yaml")).unwrap();
    fs::write(model.join("crop_rects.json"), r#"{"1": [0, 0, 40, 40]}"#).unwrap();
    let error = quiet(&source, &to(&dir)).unwrap_err().to_string();
    assert!(error.contains("no rectangle for frame 2") && !error.contains("config.yaml"), "{error}");
}

#[test]
fn only_force_replaces_and_only_a_bundle() {
    let dir = tempfile::tempdir().unwrap();
    let source = go_server(&dir.path().join("model"));
    let options = to(&dir);
    let forced = ImportOptions { force: true, ..options.clone() };
    quiet(&source, &options).unwrap();
    fs::write(options.to.join("old"), b"").unwrap();
    assert!(matches!(quiet(&source, &options), Err(ImportError::Exists { .. })));
    assert!(options.to.join("old").exists());
    quiet(&source, &forced).unwrap();
    assert!(!options.to.join("old").exists());
    assert_eq!(left(&dir), ["anna"]);
    fs::remove_file(options.to.join("avatar.toml")).unwrap();
    assert!(matches!(quiet(&source, &forced), Err(ImportError::NotABundle { .. })));
    assert!(options.to.join("boxes.json").exists());
    let nameless = ImportOptions { to: PathBuf::from("/"), ..forced };
    assert!(matches!(quiet(&source, &nameless), Err(ImportError::Target { .. })));
}
