//! Whole bundles: checked, opened, and said to be wrong in every part at once.

use std::fs;
use std::path::{Path, PathBuf};

use lipsyncd::avatar::onnx::{Batch, Edges, GraphInfo};
use lipsyncd::avatar::{Bundle, PictureSize, check};
use lipsyncd::backend::cuda::plan::Precision;
use lipsyncd::backend::cuda::prepare::prepare;
use lipsyncd::picture::Rect;
use tempfile::TempDir;

const MANIFEST: &str = r#"
format = 1
name = "test"
fps = 25
[frames]
dir = "frames"
boxes = "boxes.json"
[generator]
model = "generator.onnx"
size = 32
mask = [5, 5, 22, 17]
[audio_encoder]
model = "audio_encoder.onnx"
"#;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// A sound bundle of three frames.
fn bundle() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("frames")).unwrap();
    for (name, from) in [("7.jpg", "jpg"), ("08.png", "png"), ("009.jpeg", "jpg")] {
        fs::copy(golden(&format!("bundle/frame_64x48.{from}")), at("frames").join(name)).unwrap();
    }
    fs::copy(golden("onnx/generator_dynamic.onnx"), at("generator.onnx")).unwrap();
    fs::copy(golden("onnx/encoder_one.onnx"), at("audio_encoder.onnx")).unwrap();
    fs::write(at("boxes.json"), "[[0, 0, 48, 48], [1, 2, 41.0, 42], [24, 8, 64, 48]]").unwrap();
    fs::write(at("avatar.toml"), MANIFEST).unwrap();
    dir
}

#[test]
fn a_sound_bundle_opens_with_everything_in_it() {
    let dir = bundle();
    let bundle = Bundle::open(dir.path()).unwrap();
    let names: Vec<_> = bundle.frames.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["7.jpg", "08.png", "009.jpeg"]);
    assert_eq!(bundle.frame_size, PictureSize { width: 64, height: 48 });
    assert_eq!(bundle.boxes[1], Rect::new(1, 2, 41, 42));
    assert_eq!(bundle.generator.shape.batch, Batch::Dynamic);
    assert_eq!((bundle.generator.shape.picture.index, bundle.generator.shape.audio.index), (1, 0));
    assert_eq!(bundle.audio_encoder.shape.feature_len, 512);
    assert_eq!(bundle.audio_encoder.opset, Some(17));
    assert!(bundle.generator.path.is_absolute());
    let report = check(dir.path());
    assert_eq!(
        report.to_string(),
        "\"test\": 3 frames of 64x48 px at 25 fps, ping-pong; generator 32x32, any batch; audio encoder, batch 1"
    );
}

#[test]
fn every_part_that_is_wrong_is_reported_at_once() {
    let dir = bundle();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("avatar.toml"), MANIFEST.replace("fps = 25", "fsp = 25")).unwrap();
    fs::write(at("frames/11.jpg"), b"\xFF\xD8\xFF\xD9").unwrap();
    fs::write(at("frames/notes.txt"), b"").unwrap();
    fs::write(at("boxes.json"), "[[0, 0, 48, 49], [5, 5, 5, 5], [24, 8, 64, 48]]").unwrap();
    fs::write(at("generator.onnx"), "<html>").unwrap();
    fs::copy(golden("onnx/generator_one.onnx"), at("audio_encoder.onnx")).unwrap();
    let report = check(dir.path());
    let lines: Vec<String> = report.to_string().lines().map(str::to_owned).collect();
    let expected = [
        "avatar.toml: fsp: there is no such key; did you mean \"fps\"?",
        "avatar.toml: fps: it is missing; add it: a number from 1 to 120",
        "frames: 1 frame(s) missing between the first and the last: 10; add them, or renumber the frames without gaps",
        "frames/11.jpg: its JPEG header is damaged; write it again as an 8-bit JPEG or PNG picture",
        "boxes.json: it has 3 boxes for 4 frames; give one box for each frame",
        "boxes.json: box 0: [0, 0, 48, 49] reaches outside the frame of 64x48 px; move or shrink the box into the frame",
        "boxes.json: box 1: [5, 5, 5, 5] is empty: x0 < x1 and y0 < y1 must hold; give the left, top, right and bottom \
         edges in this order",
        "generator.onnx: this is text, not an ONNX file; put the exported .onnx file there",
        "audio_encoder.onnx: it takes [1, 6, 32, 32] and [1, 32, 16, 16], not one mel window [N, 1, 80, 16]; export the network of the published recipe, or correct the sizes \
         in avatar.toml",
        "warning: frames: not frames, ignored: notes.txt",
    ];
    assert_eq!(lines, expected);
    assert!(report.summary.is_none());
    let error = Bundle::open(dir.path()).unwrap_err();
    assert_eq!(*error.report, report);
    assert!(error.to_string().contains("cannot be used"));
}

/// Breaks one thing of the bundle in a folder.
type Spoil = fn(&Path);

/// Breaks one thing of a sound bundle and returns the only line of the report.
fn only_fault(spoil: impl FnOnce(&Path)) -> String {
    let dir = bundle();
    spoil(dir.path());
    let report = check(dir.path());
    assert_eq!(report.faults.len(), 1, "{report}");
    report.to_string()
}

#[test]
fn single_faults() {
    let table: [(&str, Spoil); 11] = [
        ("avatar.toml: there is no such file", |dir| fs::remove_file(dir.join("avatar.toml")).unwrap()),
        ("avatar.toml: it cannot be read", |dir| fs::write(dir.join("avatar.toml"), b"\xFF").unwrap()),
        ("boxes.json: there is no such file", |dir| fs::remove_file(dir.join("boxes.json")).unwrap()),
        ("boxes.json: it is not a plain file", |dir| {
            fs::remove_file(dir.join("boxes.json")).unwrap();
            fs::create_dir(dir.join("boxes.json")).unwrap();
        }),
        ("generator.onnx: there is no such file", |dir| fs::remove_file(dir.join("generator.onnx")).unwrap()),
        ("frames/08.png: it is 32x48 px, but frames/7.jpg is 64x48 px", |dir| {
            let mut jpeg = fs::read(golden("bundle/frame_64x48.jpg")).unwrap();
            let sof = jpeg.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
            jpeg[sof + 8] = 32;
            fs::write(dir.join("frames/08.png"), jpeg).unwrap();
        }),
        ("generator.onnx: its picture input is 32x32, but generator.size is 64; set generator.size = 32", |dir| {
            fs::write(dir.join("avatar.toml"), MANIFEST.replace("size = 32", "size = 64")).unwrap();
        }),
        ("audio_encoder.onnx: external data \"encoder_external.data\": there is no such file", |dir| {
            fs::copy(golden("onnx/encoder_external.onnx"), dir.join("audio_encoder.onnx")).unwrap();
        }),
        ("audio_encoder.onnx: external data \"encoder_external.data\": it has 5 bytes, the network needs", |dir| {
            fs::copy(golden("onnx/encoder_external.onnx"), dir.join("audio_encoder.onnx")).unwrap();
            fs::write(dir.join("encoder_external.data"), b"short").unwrap();
        }),
        ("generator.onnx: it has a Loop, of which nobody can tell whether it ends; export the network", |dir| {
            let mut model = fs::read(dir.join("generator.onnx")).unwrap();
            // functions = 25 { node = 7 { op_type = 4: "Loop", attribute = 5 { g = 6 {} } } }
            model.extend(b"\xCA\x01\x0C\x3A\x0A\x22\x04Loop\x2A\x02\x32\x00");
            fs::write(dir.join("generator.onnx"), model).unwrap();
        }),
        ("frames/009.jpeg: it has 3221225472 bytes; frames have at most 268435456; write it again", |dir| {
            let frame = fs::File::options().write(true).open(dir.join("frames/009.jpeg")).unwrap();
            frame.set_len(3 << 30).unwrap();
        }),
    ];
    for (expected, spoil) in table {
        let found = only_fault(spoil);
        assert!(found.starts_with(expected), "{found} is not {expected}");
    }
}

#[test]
fn external_weights_inside_the_bundle_are_fine_for_every_engine() {
    let dir = bundle();
    for (from, to) in
        [("onnx/encoder_external.onnx", "audio_encoder.onnx"), ("onnx/encoder_external.data", "encoder_external.data")]
    {
        fs::copy(golden(from), dir.path().join(to)).unwrap();
    }
    let report = check(dir.path());
    assert!(report.is_usable() && report.warnings.is_empty(), "{report}");
    let content = Bundle::open(dir.path()).unwrap().audio_encoder.read().unwrap();
    for precision in [Precision::Fp32, Precision::Fp16] {
        let prepared = prepare(&content, precision, Edges::Single).unwrap();
        assert!(GraphInfo::parse(&prepared.model).unwrap().external.is_empty(), "{precision:?}");
    }
}

#[test]
fn a_folder_that_is_not_there_is_a_fault() {
    let report = check(Path::new("no/such/bundle"));
    assert!(report.to_string().starts_with("no/such/bundle: it cannot be opened"), "{report}");
}

#[cfg(unix)]
#[test]
fn a_network_outside_the_bundle_is_refused_even_behind_a_link() {
    let found = only_fault(|dir| {
        fs::remove_file(dir.join("generator.onnx")).unwrap();
        std::os::unix::fs::symlink(golden("onnx/generator_one.onnx"), dir.join("generator.onnx")).unwrap();
    });
    assert!(found.contains("outside the bundle; copy or hard-link the file into the bundle"), "{found}");
}
