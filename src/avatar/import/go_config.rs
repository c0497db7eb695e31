//! The Go server's `config.yaml`: the few values that concern a bundle, wherever they stand in it.

use serde_json::{Map, Value};
use thiserror::Error;

use super::plan::Settings;
use crate::avatar::boxes::whole_number;
use crate::avatar::fault::{excerpt, listed};
use crate::avatar::order::FrameOrder;
use crate::picture::Interpolation;

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
pub(super) enum ConfigError {
    #[error("it is not valid YAML ({0})")]
    Yaml(Box<serde_saphyr::Error>),
    #[error("it is not a map of keys and values")]
    Form,
    #[error("{key} is {found}, which cannot be used")]
    Value { key: String, found: String },
    #[error("{key} is {mode}, a sound encoder other than \"ave\"")]
    Encoder { key: String, mode: String },
    #[error("{key} says something else than an earlier key")]
    Twice { key: String },
}

/// The settings in `yaml` that concern `model`, and the keys that were not understood.
///
/// # Errors
/// No YAML map, or a known key with a value that cannot be used.
pub(super) fn parse_config(yaml: &str, model: &str) -> Result<(Settings, Vec<String>), ConfigError> {
    let root: Value = serde_saphyr::from_str(yaml).map_err(|error| ConfigError::Yaml(Box::new(error)))?;
    let mut reader = Reader { model, settings: Settings::default(), ignored: Vec::new() };
    match &root {
        Value::Object(map) => reader.read(map, "")?,
        Value::Null => {}
        _ => return Err(ConfigError::Form),
    }
    Ok((reader.settings, reader.ignored))
}

/// The warning about keys that were not understood, if any.
pub(super) fn ignored_warning(ignored: &[String]) -> Option<String> {
    let names = listed(ignored.iter().map(|key| excerpt(key)), ignored.len());
    (!ignored.is_empty()).then(|| format!("these keys say nothing about a bundle and were ignored: {names}"))
}

struct Reader<'a> {
    model: &'a str,
    settings: Settings,
    ignored: Vec<String>,
}

impl Reader<'_> {
    /// Reads a map and, the depth being bounded by the YAML reader, the maps in it.
    fn read(&mut self, map: &Map<String, Value>, path: &str) -> Result<(), ConfigError> {
        for (name, value) in map {
            let key = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let word = name.to_ascii_lowercase().replace('-', "_");
            let wrong = || ConfigError::Value { key: excerpt(&key), found: excerpt(&value.to_string()) };
            let number = || whole_number(value).and_then(|number| u32::try_from(number).ok()).ok_or_else(wrong);
            let settings = &mut self.settings;
            match (word.as_str(), value) {
                ("fps" | "frame_rate" | "framerate" | "video_fps", _) => set(&mut settings.fps, number()?, &key)?,
                ("size" | "img_size" | "image_size" | "model_size", _) => set(&mut settings.size_px, number()?, &key)?,
                ("border" | "crop_border" | "border_px", _) => set(&mut settings.border_px, number()?, &key)?,
                ("mask" | "mask_rect" | "mask_region", _) => {
                    set(&mut settings.mask, parse_mask(value).ok_or_else(wrong)?, &key)?;
                }
                (
                    "mode" | "resize_mode" | "interpolation" | "order" | "frame_order" | "loop_mode",
                    Value::String(mode),
                ) => {
                    self.read_mode(&key, mode)?;
                }
                // A server's configuration lists all its models; only this one's values count.
                ("models", Value::Object(models)) => match models.get(self.model) {
                    Some(Value::Object(model)) => self.read(model, &format!("{key}.{}", self.model))?,
                    _ => self.ignored.push(key),
                },
                (_, Value::Object(inner)) => self.read(inner, &key)?,
                _ => self.ignored.push(key),
            }
        }
        Ok(())
    }

    /// "mode" means the frames' order, the interpolation or the sound encoder, told apart by its value.
    fn read_mode(&mut self, key: &str, mode: &str) -> Result<(), ConfigError> {
        let settings = &mut self.settings;
        match mode.to_ascii_lowercase().replace(['_', ' '], "-").as_str() {
            "ping-pong" | "pingpong" | "bounce" => set(&mut settings.order, FrameOrder::PingPong, key),
            "loop" | "wrap" | "repeat" => set(&mut settings.order, FrameOrder::Loop, key),
            "bicubic" | "cubic" => set(&mut settings.resize, Interpolation::Cubic, key),
            "bilinear" | "linear" => set(&mut settings.resize, Interpolation::Linear, key),
            "ave" => Ok(()),
            "hubert" | "wenet" | "deepspeech" => Err(ConfigError::Encoder { key: excerpt(key), mode: excerpt(mode) }),
            _ => {
                self.ignored.push(key.to_owned());
                Ok(())
            }
        }
    }
}

fn set<T: PartialEq>(slot: &mut Option<T>, value: T, key: &str) -> Result<(), ConfigError> {
    match slot {
        Some(known) if *known != value => Err(ConfigError::Twice { key: excerpt(key) }),
        _ => {
            *slot = Some(value);
            Ok(())
        }
    }
}

/// `[x, y, width, height]`, or a map with these names.
fn parse_mask(value: &Value) -> Option<[u32; 4]> {
    let number = |value: &Value| whole_number(value).and_then(|number| u32::try_from(number).ok());
    let four = match value {
        Value::Array(items) => items.iter().map(number).collect::<Option<Vec<_>>>()?,
        Value::Object(map) => {
            let names = ["x", "y", "width", "height"];
            names.iter().map(|name| map.get(*name).and_then(number)).collect::<Option<Vec<_>>>()?
        }
        _ => return None,
    };
    four.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_values_wherever_they_stand() {
        let yaml = "
server:
  port: 50053
  fps: 30
models:
  anna: {size: 160, border: 0, mask: [5, 5, 150, 145], mode: ping_pong}
  other: {size: 320}
interpolation: bilinear
mode: ave
";
        let (settings, ignored) = parse_config(yaml, "anna").unwrap();
        assert_eq!(
            settings,
            Settings {
                fps: Some(30),
                size_px: Some(160),
                border_px: Some(0),
                mask: Some([5, 5, 150, 145]),
                order: Some(FrameOrder::PingPong),
                resize: Some(Interpolation::Linear),
            }
        );
        assert_eq!(ignored, ["server.port"]);
        assert!(ignored_warning(&ignored).unwrap().ends_with("ignored: server.port"));
        assert_eq!(ignored_warning(&[]), None);
    }

    #[test]
    fn other_models_and_empty_files_say_nothing() {
        let (settings, ignored) = parse_config("models: {other: {fps: 30}}", "anna").unwrap();
        assert_eq!((settings, ignored), (Settings::default(), vec!["models".to_owned()]));
        assert_eq!(parse_config("", "anna").unwrap().0, Settings::default());
    }

    #[test]
    fn a_mask_may_be_a_map_and_numbers_may_be_keys() {
        let yaml = "mask_rect: {x: 5, y: 6, width: 7, height: 8}\n50051: port\n";
        assert_eq!(parse_config(yaml, "").unwrap().0.mask, Some([5, 6, 7, 8]));
    }

    #[test]
    fn deep_nesting_and_aliases_are_refused_or_read_without_harm() {
        assert!(parse_config(&format!("a: {}", "[".repeat(100_000)), "").is_err());
        assert!(parse_config(&format!("a: {}{}", "{b: ".repeat(50_000), "}".repeat(50_000)), "").is_err());
        let mut bomb = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
        for i in 1..12 {
            bomb += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(", "));
        }
        assert!(parse_config(&bomb, "").is_err());
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let text = |yaml: &str| parse_config(yaml, "anna").unwrap_err().to_string();
        assert!(text("a: [").starts_with("it is not valid YAML"));
        assert_eq!(text("[1, 2]"), "it is not a map of keys and values");
        assert_eq!(text("video: {fps: fast}"), "video.fps is \"fast\", which cannot be used");
        assert_eq!(text("fps: 29.97"), "fps is 29.97, which cannot be used");
        assert_eq!(text("mask: [1, 2, 3]"), "mask is [1,2,3], which cannot be used");
        assert_eq!(text("mode: hubert"), "mode is hubert, a sound encoder other than \"ave\"");
        assert_eq!(text("fps: 25\nvideo: {fps: 30}"), "video.fps says something else than an earlier key");
    }
}
