//! The Go server's `crop_rects.json`, in any of the forms its tools are known to write.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use thiserror::Error;

use crate::avatar::fault::excerpt;

/// Names under which a list or map of rectangles may be wrapped.
const WRAPPERS: [&str; 5] = ["crop_rects", "rects", "crops", "boxes", "frames"];
/// Names under which one rectangle may be wrapped.
const INNER: [&str; 5] = ["rect", "crop_rect", "crop", "box", "bbox"];
/// Names of left, top, right, bottom.
const CORNERS: [[&str; 4]; 4] = [
    ["x0", "y0", "x1", "y1"],
    ["x1", "y1", "x2", "y2"],
    ["xmin", "ymin", "xmax", "ymax"],
    ["left", "top", "right", "bottom"],
];
/// Names of left, top, width, height.
const SIDES: [[&str; 4]; 2] = [["x", "y", "width", "height"], ["x", "y", "w", "h"]];

/// Rectangles `[x0, y0, x1, y1]`, half-open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rects {
    /// In the frames' order.
    Ordered(Vec<[i64; 4]>),
    /// By the number in the frame's name.
    Numbered(BTreeMap<u64, [i64; 4]>),
}

/// Why the rectangles cannot be read.
#[derive(Debug, Error)]
pub(super) enum RectsError {
    #[error("it is not valid JSON ({0})")]
    Json(serde_json::Error),
    #[error("it is neither a list of rectangles nor a map from frame to rectangle")]
    Form,
    #[error("{entry} is {found}, which is no rectangle")]
    Rect { entry: String, found: String },
    #[error("the key \"{key}\" holds no frame number")]
    Key { key: String },
    #[error("two keys mean frame {number}")]
    Twice { number: u64 },
}

/// Reads a list of rectangles, or a map from frame name or number to rectangle; each rectangle four numbers
/// (left, top, right, bottom) or an object with corners or sides. Fractions are truncated.
///
/// # Errors
/// The first entry that fits none of this.
pub(super) fn parse_rects(json: &str) -> Result<Rects, RectsError> {
    let root: Value = serde_json::from_str(json).map_err(RectsError::Json)?;
    let wrapped = root.as_object().and_then(|map| WRAPPERS.iter().find_map(|name| map.get(*name)));
    match wrapped.unwrap_or(&root) {
        Value::Array(items) => {
            let rects = items.iter().enumerate().map(|(index, item)| rect_of(item, || format!("entry {index}")));
            rects.collect::<Result<_, _>>().map(Rects::Ordered)
        }
        Value::Object(map) => numbered(map).map(Rects::Numbered),
        _ => Err(RectsError::Form),
    }
}

fn numbered(map: &Map<String, Value>) -> Result<BTreeMap<u64, [i64; 4]>, RectsError> {
    let mut rects = BTreeMap::new();
    for (key, value) in map {
        let number = number_in(key).ok_or_else(|| RectsError::Key { key: excerpt(key) })?;
        let rect = rect_of(value, || format!("\"{}\"", excerpt(key)))?;
        if rects.insert(number, rect).is_some() {
            return Err(RectsError::Twice { number });
        }
    }
    Ok(rects)
}

/// The last run of digits before the ending: `12`, `frame_0012`, `frames/frame_0012.png`.
fn number_in(key: &str) -> Option<u64> {
    let name = key.rsplit('/').next()?;
    let stem = name.split_once('.').map_or(name, |(stem, _)| stem);
    let before = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    stem.strip_prefix(before)?.parse().ok()
}

fn rect_of(value: &Value, entry: impl FnOnce() -> String) -> Result<[i64; 4], RectsError> {
    parse_rect(value).ok_or_else(|| RectsError::Rect { entry: entry(), found: excerpt(&value.to_string()) })
}

fn parse_rect(value: &Value) -> Option<[i64; 4]> {
    if let Some(items) = value.as_array() {
        let items: &[Value; 4] = items.as_slice().try_into().ok()?;
        return all([&items[0], &items[1], &items[2], &items[3]].map(pixel));
    }
    let map: Map<String, Value> =
        value.as_object()?.iter().map(|(key, value)| (key.to_ascii_lowercase(), value.clone())).collect();
    if let Some(inner) = INNER.iter().find_map(|name| map.get(*name)) {
        // One level only, so that nesting cannot run deep.
        return if inner.is_array() || !contains_inner(inner) { parse_rect(inner) } else { None };
    }
    let four = |names: [&str; 4]| all(names.map(|name| map.get(name).and_then(pixel)));
    if let Some([x, y, width, height]) = SIDES.into_iter().find_map(four) {
        return Some([x, y, x + width, y + height]);
    }
    CORNERS.into_iter().find_map(four).or_else(|| go_rectangle(&map))
}

fn contains_inner(value: &Value) -> bool {
    value.as_object().is_some_and(|map| map.keys().any(|key| INNER.contains(&key.to_ascii_lowercase().as_str())))
}

/// Go's `image.Rectangle` as its JSON encoder writes it: `{"Min": {"X", "Y"}, "Max": {"X", "Y"}}`.
fn go_rectangle(map: &Map<String, Value>) -> Option<[i64; 4]> {
    let corner = |name: &str, axis: &str| map.get(name)?.get(axis).and_then(pixel);
    all([corner("min", "X"), corner("min", "Y"), corner("max", "X"), corner("max", "Y")])
}

fn all([a, b, c, d]: [Option<i64>; 4]) -> Option<[i64; 4]> {
    Some([a?, b?, c?, d?])
}

/// A coordinate, truncated; bounded, so that sums cannot overflow.
fn pixel(value: &Value) -> Option<i64> {
    let number = value.as_f64()?;
    (number.abs() < 1e6).then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_rectangle() {
        for form in [
            "[1, 2, 31, 42]",
            "[1.9, 2.0, 31.5, 42]",
            r#"{"x1": 1, "y1": 2, "x2": 31, "y2": 42}"#,
            r#"{"x0": 1, "y0": 2, "x1": 31, "y1": 42}"#,
            r#"{"x": 1, "y": 2, "width": 30, "height": 40}"#,
            r#"{"X": 1, "Y": 2, "W": 30, "H": 40}"#,
            r#"{"xmin": 1, "ymin": 2, "xmax": 31, "ymax": 42}"#,
            r#"{"left": 1, "top": 2, "right": 31, "bottom": 42}"#,
            r#"{"frame": 7, "rect": [1, 2, 31, 42]}"#,
            r#"{"rect": {"x": 1, "y": 2, "width": 30, "height": 40}}"#,
            r#"{"Min": {"X": 1, "Y": 2}, "Max": {"X": 31, "Y": 42}}"#,
        ] {
            let rects = parse_rects(&format!("[{form}]")).unwrap();
            assert_eq!(rects, Rects::Ordered(vec![[1, 2, 31, 42]]), "{form}");
        }
    }

    #[test]
    fn maps_go_by_the_number_in_the_key() {
        for key in ["12", "0012", "bildé12", "frame_0012", "frame_0012.png", "frames/frame_12.tar.png"] {
            let rects = parse_rects(&format!("{{\"{key}\": [1, 2, 3, 4]}}")).unwrap();
            assert_eq!(rects, Rects::Numbered(BTreeMap::from([(12, [1, 2, 3, 4])])), "{key}");
        }
        let wrapped = parse_rects(r#"{"version": 1, "crop_rects": {"3": [1, 2, 3, 4]}}"#).unwrap();
        assert_eq!(wrapped, Rects::Numbered(BTreeMap::from([(3, [1, 2, 3, 4])])));
    }

    #[test]
    fn what_fits_no_form_is_named() {
        let text = |json: &str| parse_rects(json).unwrap_err().to_string();
        assert!(text("[[1, 2").starts_with("it is not valid JSON"));
        assert_eq!(text("7"), "it is neither a list of rectangles nor a map from frame to rectangle");
        assert_eq!(text("[[1, 2, 3]]"), "entry 0 is [1,2,3], which is no rectangle");
        assert_eq!(text("[[1, 2, 3, 1e300]]"), "entry 0 is [1,2,3,1e+300], which is no rectangle");
        assert_eq!(text(r#"{"1": null}"#), "\"1\" is null, which is no rectangle");
        assert_eq!(text(r#"{"fé": [1, 2, 3, 4]}"#), "the key \"fé\" holds no frame number");
        assert_eq!(text(r#"{"1": [1,2,3,4], "01": [1,2,3,4]}"#), "two keys mean frame 1");
        assert!(text(r#"[{"rect": {"rect": {"rect": 1}}}]"#).contains("no rectangle"));
    }
}
