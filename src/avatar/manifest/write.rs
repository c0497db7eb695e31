//! From a [`Manifest`] to the text of `avatar.toml`.

use toml::Value;

use super::{BUNDLE_FORMAT, CHANNELS, Manifest, RESIZES};

/// The manifest as TOML, every key written out, in the order of the format's documentation.
pub(crate) fn to_toml(manifest: &Manifest) -> String {
    let quoted = |text: &str| Value::String(text.to_owned()).to_string();
    let Manifest { name, fps, frames, generator, audio_encoder, audio } = manifest;
    let mask = generator.mask;
    format!(
        "format = {BUNDLE_FORMAT}\nname = {}\nfps = {fps}\n\n\
         [frames]\ndir = {}\nboxes = {}\norder = {}\n\n\
         [generator]\nmodel = {}\nsize = {}\nborder = {}\n\
         mask = [{}, {}, {}, {}]    # x, y, width, height\nresize = {}\nchannels = {}\n\n\
         [audio_encoder]\nmodel = {}\ncontext = {}\n\n\
         [audio]\nsample_rate = {}\nn_fft = {}\nhop = {}\nwindow = {}\nmels = {}\n\
         fmin = {}\nfmax = {}\npre_emphasis = {}\n",
        quoted(name),
        quoted(frames.dir.as_str()),
        quoted(frames.boxes.as_str()),
        quoted(frames.order.as_str()),
        quoted(generator.model.as_str()),
        generator.size_px,
        generator.border_px,
        mask.x,
        mask.y,
        mask.width,
        mask.height,
        quoted(word(&RESIZES, generator.resize)),
        quoted(word(&CHANNELS, generator.channels)),
        quoted(audio_encoder.model.as_str()),
        audio_encoder.context,
        audio.sample_rate_hz,
        audio.n_fft,
        audio.hop_samples,
        audio.window_samples,
        audio.mels,
        audio.fmin_hz,
        audio.fmax_hz,
        audio.pre_emphasis,
    )
}

fn word<T: PartialEq>(words: &[(&'static str, T)], value: T) -> &'static str {
    words.iter().find(|(_, known)| *known == value).map_or("", |(word, _)| word)
}
