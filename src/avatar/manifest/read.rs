//! From the text of `avatar.toml` to a [`Manifest`], with everything that is wrong on the way.

use toml::Table;

use super::section::Section;
use super::{
    BUNDLE_FORMAT, CHANNELS, EncoderSettings, FrameSettings, GeneratorSettings, MANIFEST_FILE, Manifest, Mask, RESIZES,
};
use crate::audio::MelParams;
use crate::avatar::fault::Fault;
use crate::avatar::order::FrameOrder;
use crate::avatar::path::BundlePath;
use crate::avatar::{MAX_CONTEXT, MAX_MELS};

/// What could be read of a manifest: with faults in it, the rest of the bundle can still be checked
/// against the keys that are right.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub frames_dir: Option<BundlePath>,
    pub boxes: Option<BundlePath>,
    pub generator_model: Option<BundlePath>,
    pub encoder_model: Option<BundlePath>,
    pub size_px: Option<u32>,
    pub context: Option<usize>,
    pub mels: Option<usize>,
    /// Complete only when no fault was found.
    pub manifest: Option<Manifest>,
}

/// Reads `text`, noting each fault.
pub(crate) fn read_manifest(text: &str, faults: &mut Vec<Fault>) -> Draft {
    let root: Table = match text.parse() {
        Ok(root) => root,
        Err(error) => {
            faults.push(syntax_fault(text, &error));
            return Draft::default();
        }
    };
    let before = faults.len();
    let mut draft = Draft::default();
    let manifest = read_tables(&root, &mut draft, faults);
    draft.manifest = manifest.filter(|_| faults.len() == before);
    draft
}

fn syntax_fault(text: &str, error: &toml::de::Error) -> Fault {
    let line = error.span().and_then(|span| text.get(..span.start)).map(|before| before.matches('\n').count() + 1);
    let field = line.map_or_else(String::new, |line| format!("line {line}"));
    let what = format!("it is not valid TOML: {}", error.message());
    Fault::new(MANIFEST_FILE, field, what, "correct the line")
}

/// Every table is read before any `?`, so that one wrong key hides no other.
fn read_tables(root: &Table, draft: &mut Draft, faults: &mut Vec<Fault>) -> Option<Manifest> {
    let empty = Table::new();
    let mut top = Section::open("", root, &empty, faults);
    if let Some(other) = top.integer("format", 1..=u32::MAX).filter(|&format| format != BUNDLE_FORMAT) {
        let what = format!("this program reads format {BUNDLE_FORMAT}, not {other}");
        top.fault("format", what, "update lipsyncd, or make the bundle again");
    }
    let name = top.text("name").map(str::to_owned);
    let fps = top.integer("fps", 1..=120);
    let frames = read_frames(Section::open("frames", root, &empty, faults), draft);
    let generator = read_generator(Section::open("generator", root, &empty, faults), draft);
    let audio_encoder = read_encoder(Section::open("audio_encoder", root, &empty, faults), draft);
    let audio = read_audio(Section::open("audio", root, &empty, faults), draft);
    Some(Manifest {
        name: name?,
        fps: fps?,
        frames: frames?,
        generator: generator?,
        audio_encoder: audio_encoder?,
        audio: audio?,
    })
}

fn read_frames(mut frames: Section<'_>, draft: &mut Draft) -> Option<FrameSettings> {
    draft.frames_dir = frames.path("dir");
    draft.boxes = frames.path("boxes");
    let order = frames.choice("order", &[("ping-pong", FrameOrder::PingPong), ("loop", FrameOrder::Loop)]);
    Some(FrameSettings { dir: draft.frames_dir.clone()?, boxes: draft.boxes.clone()?, order: order? })
}

fn read_generator(mut generator: Section<'_>, draft: &mut Draft) -> Option<GeneratorSettings> {
    draft.generator_model = generator.path("model");
    let size = generator.integer("size", 16..=2048);
    if let Some(size) = size.filter(|size| size % 16 != 0) {
        generator.fault(
            "size",
            format!("{size} is not a multiple of 16"),
            "give the side of the generator's picture input",
        );
    }
    draft.size_px = size.filter(|size| size % 16 == 0);
    let border_px = generator.integer_or("border", 0..=256, 4);
    if let (Some(size), Some(border)) = (size, border_px)
        && border >= size
    {
        generator.fault(
            "border",
            format!("{border} is not below size = {size}"),
            "give the width of the rim that the generator does not see",
        );
    }
    let mask = read_mask(&mut generator, draft.size_px);
    let resize = generator.choice("resize", &RESIZES);
    let channels = generator.choice("channels", &CHANNELS);
    Some(GeneratorSettings {
        model: draft.generator_model.clone()?,
        size_px: draft.size_px?,
        border_px: border_px?,
        mask: mask?,
        resize: resize?,
        channels: channels?,
    })
}

fn read_mask(generator: &mut Section<'_>, size_px: Option<u32>) -> Option<Mask> {
    let [x, y, width, height] = generator.four("mask", "[x, y, width, height], whole numbers from 0 up")?;
    let size = size_px?;
    let inside = |from: u32, length: u32| length >= 1 && from.checked_add(length).is_some_and(|end| end <= size);
    if inside(x, width) && inside(y, height) {
        return Some(Mask { x, y, width, height });
    }
    generator.fault(
        "mask",
        format!("[{x}, {y}, {width}, {height}] is empty or reaches outside the {size}x{size} picture"),
        "give x, y, width and height, not the right and bottom edges",
    );
    None
}

fn read_encoder(mut encoder: Section<'_>, draft: &mut Draft) -> Option<EncoderSettings> {
    draft.encoder_model = encoder.path("model");
    let context = encoder.integer_or("context", 2..=MAX_CONTEXT as u32, 16);
    if let Some(odd) = context.filter(|context| context % 2 != 0) {
        encoder.fault("context", format!("{odd} is odd"), "give an even number: half lies before the frame");
    }
    draft.context = context.filter(|context| context % 2 == 0).map(|context| context as usize);
    Some(EncoderSettings { model: draft.encoder_model.clone()?, context: draft.context? })
}

fn read_audio(mut audio: Section<'_>, draft: &mut Draft) -> Option<MelParams> {
    let published = MelParams::default();
    let sample_rate_hz = audio.integer_or("sample_rate", 8000..=48_000, published.sample_rate_hz);
    let n_fft = audio.integer_or("n_fft", 64..=8192, published.n_fft as u32);
    if let Some(odd) = n_fft.filter(|n_fft| n_fft % 2 != 0) {
        audio.fault("n_fft", format!("{odd} is odd"), "give an even number: a transform's middle is a sample");
    }
    let hop = audio.integer_or("hop", 1..=8192, published.hop_samples as u32);
    let window = audio.integer_or("window", 1..=8192, published.window_samples as u32);
    let mels = audio.integer_or("mels", 1..=MAX_MELS as u32, published.mels as u32);
    let fmin_hz = audio.number_or("fmin", 0.0..=24_000.0, published.fmin_hz);
    let fmax_hz = audio.number_or("fmax", 1.0..=24_000.0, published.fmax_hz);
    let pre_emphasis = audio.number_or("pre_emphasis", 0.0..=1.0, published.pre_emphasis);
    draft.mels = mels.map(|mels| mels as usize);
    for (key, value) in [("hop", hop), ("window", window)] {
        if let (Some(n_fft), Some(value)) = (n_fft, value)
            && value > n_fft
        {
            audio.fault(key, format!("{value} is longer than n_fft = {n_fft}"), "give at most n_fft");
        }
    }
    if let (Some(low), Some(high)) = (fmin_hz, fmax_hz)
        && low >= high
    {
        audio.fault("fmax", format!("{high} Hz is not above fmin = {low} Hz"), "give a higher frequency");
    }
    if let (Some(rate), Some(high)) = (sample_rate_hz, fmax_hz)
        && high > f64::from(rate) / 2.0
    {
        let what = format!("{high} Hz is above half of sample_rate = {rate} Hz");
        audio.fault("fmax", what, "give at most half the sample rate");
    }
    Some(MelParams {
        sample_rate_hz: sample_rate_hz?,
        n_fft: n_fft? as usize,
        hop_samples: hop? as usize,
        window_samples: window? as usize,
        mels: mels? as usize,
        fmin_hz: fmin_hz?,
        fmax_hz: fmax_hz?,
        pre_emphasis: pre_emphasis?,
    })
}
