use super::*;
use crate::avatar::fault::Fault;

/// The manifest of the format's documentation.
const DOCUMENTED: &str = r#"
format = 1
name = "demo"
fps = 25

[frames]
dir = "frames"
boxes = "boxes.json"
order = "ping-pong"

[generator]
model = "generator.onnx"
size = 320
border = 4
mask = [5, 5, 310, 305]
channels = "bgr"

[audio_encoder]
model = "audio_encoder.onnx"
context = 16

[audio]
sample_rate = 16000
n_fft = 800
hop = 200
window = 800
mels = 80
fmin = 55
fmax = 7600
pre_emphasis = 0.97
"#;

fn read(text: &str) -> (Option<Manifest>, Vec<String>) {
    let mut faults = Vec::new();
    let draft = read_manifest(text, &mut faults);
    (draft.manifest, faults.iter().map(Fault::to_string).collect())
}

#[test]
fn reads_the_documented_manifest() {
    let (manifest, faults) = read(DOCUMENTED);
    assert_eq!(faults, Vec::<String>::new());
    let manifest = manifest.unwrap();
    assert_eq!((manifest.name.as_str(), manifest.fps), ("demo", 25));
    assert_eq!(manifest.frames.order, FrameOrder::PingPong);
    assert_eq!((manifest.generator.size_px, manifest.generator.border_px), (320, 4));
    assert_eq!(manifest.generator.mask, Mask::published(320));
    assert_eq!(manifest.generator.resize, Interpolation::Cubic);
    assert_eq!(manifest.audio, MelParams::default());
}

#[test]
fn optional_keys_have_the_documented_defaults() {
    let short = r#"
        format = 1
        name = "demo"
        fps = 25
        frames = { dir = "frames", boxes = "boxes.json" }
        generator = { model = "generator.onnx", size = 320, mask = [5, 5, 310, 305] }
        audio_encoder = { model = "audio_encoder.onnx" }
    "#;
    assert_eq!(read(short), read(DOCUMENTED));
}

#[test]
fn other_choices_are_read() {
    let text = DOCUMENTED
        .replace("\"ping-pong\"", "\"loop\"")
        .replace("\"bgr\"", "\"rgb\"\nresize = \"bilinear\"")
        .replace("border = 4", "border = 0");
    let manifest = read(&text).0.unwrap();
    assert_eq!(manifest.frames.order, FrameOrder::Loop);
    assert_eq!(manifest.generator.channels, ChannelOrder::Rgb);
    assert_eq!(manifest.generator.resize, Interpolation::Linear);
    assert_eq!(manifest.generator.border_px, 0);
}

#[test]
fn writing_and_reading_gives_the_same_manifest() {
    let mut manifest = read(DOCUMENTED).0.unwrap();
    manifest.name = "a \"quoted\"\nname é".to_owned();
    manifest.audio.fmin_hz = 55.5;
    manifest.generator.resize = Interpolation::Linear;
    assert_eq!(read(&to_toml(&manifest)), (Some(manifest), Vec::new()));
}

#[test]
fn each_fault_names_its_key_and_the_remedy() {
    for (from, to, expected) in [
        ("format = 1", "format = 2", "avatar.toml: format: this program reads format 1, not 2; update lipsyncd"),
        ("format = 1", "", "format: it is missing"),
        ("format = 1", "format = 0", "format: 0 is not allowed"),
        ("\"demo\"", "\" \"", "name: \" \" is not a name"),
        ("\"demo\"", "7", "name: 7 is not a name"),
        ("fps = 25", "fps = 0", "fps: 0 is not allowed; give a whole number from 1 to 120"),
        ("fps = 25", "fps = 121", "fps: 121 is not allowed"),
        ("fps = 25", "fps = 25.0", "fps: 25.0 is not allowed"),
        ("fps = 25", "fsp = 25", "fsp: there is no such key; did you mean \"fps\"?"),
        ("border = 4", "boarder = 4", "generator.boarder: there is no such key; did you mean \"generator.border\"?"),
        ("border = 4", "fps = 4", "generator.fps: there is no such key; did you mean \"fps\"?"),
        ("dir = \"frames\"", "dir = \"/frames\"", "frames.dir: \"/frames\": the path is absolute"),
        ("\"boxes.json\"", "\"../boxes.json\"", "frames.boxes: \"../boxes.json\": the path leaves the bundle"),
        ("\"ping-pong\"", "\"pingpong\"", "frames.order: \"pingpong\" is not known; write \"ping-pong\" or \"loop\""),
        ("size = 320", "size = 328", "generator.size: 328 is not a multiple of 16"),
        ("size = 320", "size = 8", "generator.size: 8 is not allowed; give a whole number from 16 to 2048"),
        ("size = 320", "size = -320", "generator.size: -320 is not allowed"),
        ("border = 4", "border = 257", "generator.border: 257 is not allowed"),
        ("size = 320\nborder = 4", "size = 64\nborder = 64", "generator.border: 64 is not below size = 64"),
        (
            "[5, 5, 310, 305]",
            "[5, 5, 316, 305]",
            "generator.mask: [5, 5, 316, 305] is empty or reaches outside the 320x320",
        ),
        ("[5, 5, 310, 305]", "[5, 5, 0, 305]", "generator.mask: [5, 5, 0, 305] is empty"),
        ("[5, 5, 310, 305]", "[5, 5, 4294967295, 5]", "generator.mask: [5, 5, 4294967295, 5] is empty or reaches"),
        ("[5, 5, 310, 305]", "[5, 5, 310]", "generator.mask: [5, 5, 310] is not [x, y, width, height]"),
        ("\"bgr\"", "\"BGR\"", "generator.channels: \"BGR\" is not known; write \"bgr\" or \"rgb\""),
        ("context = 16", "context = 15", "audio_encoder.context: 15 is odd"),
        ("context = 16", "context = 66", "audio_encoder.context: 66 is not allowed"),
        ("n_fft = 800", "n_fft = 801", "audio.n_fft: 801 is odd; give an even number"),
        ("mels = 80", "mels = 129", "audio.mels: 129 is not allowed; give a whole number from 1 to 128"),
        ("hop = 200", "hop = 900", "audio.hop: 900 is longer than n_fft = 800"),
        ("window = 800", "window = 1024", "audio.window: 1024 is longer than n_fft = 800"),
        ("fmin = 55", "fmin = 7600", "audio.fmax: 7600 Hz is not above fmin = 7600 Hz"),
        ("fmax = 7600", "fmax = 8001", "audio.fmax: 8001 Hz is above half of sample_rate = 16000 Hz"),
        ("fmin = 55", "fmin = nan", "audio.fmin: nan is not allowed"),
        ("= 0.97", "= 1.5", "audio.pre_emphasis: 1.5 is not allowed"),
        ("= 0.97", "= \"x\"", "audio.pre_emphasis: \"x\" is not allowed"),
    ] {
        let text = DOCUMENTED.replacen(from, to, 1);
        assert_ne!(text, DOCUMENTED, "{from}");
        let (manifest, faults) = read(&text);
        assert!(manifest.is_none(), "{to}");
        assert!(faults.iter().any(|fault| fault.contains(expected)), "{to}: {faults:?} lacks {expected}");
    }
}

#[test]
fn all_faults_come_at_once_and_right_keys_stay_readable() {
    let text =
        DOCUMENTED.replace("fps = 25", "fps = 0").replace("border = 4", "border = -1").replace("hop = 200", "hop = 0");
    let mut faults = Vec::new();
    let draft = read_manifest(&text, &mut faults);
    assert_eq!(
        faults.iter().map(|fault| fault.field.as_str()).collect::<Vec<_>>(),
        ["fps", "generator.border", "audio.hop"]
    );
    assert!(draft.manifest.is_none());
    assert_eq!((draft.size_px, draft.context, draft.mels), (Some(320), Some(16), Some(80)));
}

#[test]
fn an_empty_file_names_every_required_key() {
    let faults = read("").1;
    let keys = [
        "format",
        "name",
        "fps",
        "frames.dir",
        "frames.boxes",
        "generator.model",
        "generator.size",
        "generator.mask",
        "audio_encoder.model",
    ];
    assert_eq!(faults.len(), keys.len(), "{faults:?}");
    for (fault, key) in faults.iter().zip(keys) {
        assert!(fault.starts_with(&format!("avatar.toml: {key}: it is missing; add it")), "{fault}");
    }
}

#[test]
fn a_syntax_fault_names_its_line_and_a_table_must_be_one() {
    let fault = &read("format = 1\nname = demo\n").1[0];
    assert!(fault.starts_with("avatar.toml: line 2: it is not valid TOML"), "{fault}");
    let faults = read(&DOCUMENTED.replace("[audio]\n", "").replace("format = 1", "format = 1\naudio = 3")).1;
    assert!(faults.iter().any(|fault| fault.contains("audio: it is a number, not a table")), "{faults:?}");
}
