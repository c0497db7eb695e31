//! Where the face is on each frame: `boxes.json`.

use serde_json::Value;

use super::check::Report;
use super::fault::{Fault, Listed, Warning, excerpt};
use super::probe::PictureSize;
use crate::picture::Rect;

/// Shortest side a box may have, in pixels.
pub const MIN_BOX_SIDE_PX: usize = 8;

/// Reads `[[x0, y0, x1, y1], ...]`, one box for each of `frames` frames of `size`: inside them, and at least [`MIN_BOX_SIDE_PX`] a side.
///
/// `label` names the file in messages. Every wrong box is a fault with its index and values, up to 20,
/// then a count. With `frames` or `size` unknown, what depends on them is not checked.
pub(crate) fn read_boxes(
    json: &str,
    label: &str,
    frames: Option<usize>,
    size: Option<PictureSize>,
    report: &mut Report,
) -> Option<Vec<Rect>> {
    let Report { faults, warnings, .. } = report;
    let values: Vec<Value> = match serde_json::from_str(json) {
        Ok(values) => values,
        Err(error) => {
            let what = format!("it is not a JSON list ({error})");
            faults.push(Fault::new(label, "", what, "write [[x0, y0, x1, y1], ...], one box per frame"));
            return None;
        }
    };
    let before = faults.len();
    if let Some(frames) = frames.filter(|&frames| frames != values.len()) {
        let what = format!("it has {} boxes for {frames} frames", values.len());
        faults.push(Fault::new(label, "", what, "give one box for each frame"));
    }
    let mut wrong = Listed::default();
    let mut boxes = Vec::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        match parse_box(value).and_then(|corners| check_box(corners, size)) {
            Ok(face) => boxes.push(face),
            Err((what, fix)) => wrong.push(Fault::new(label, format!("box {index}"), what, fix)),
        }
    }
    faults.extend(wrong.end(label, "boxes"));
    warn_of_stretch(&boxes, label, warnings);
    (faults.len() == before).then_some(boxes)
}

type Wrong = (String, &'static str);

fn parse_box(value: &Value) -> Result<[i64; 4], Wrong> {
    let shape = || {
        let what = format!("{} is not a box", excerpt(&value.to_string()));
        (what, "write four numbers: x0, y0, x1, y1")
    };
    let items = value.as_array().ok_or_else(shape)?;
    let items: &[Value; 4] = items.as_slice().try_into().map_err(|_| shape())?;
    let mut corners = [0; 4];
    for (corner, item) in corners.iter_mut().zip(items) {
        *corner = whole_number(item).ok_or_else(|| {
            let what = format!("{} is not a whole number of pixels", excerpt(&item.to_string()));
            (what, "round it to an integer")
        })?;
    }
    Ok(corners)
}

/// An integer, or a float without a fraction: some tools write `12.0`.
pub(crate) fn whole_number(value: &Value) -> Option<i64> {
    if let Some(integer) = value.as_i64() {
        return Some(integer);
    }
    let float = value.as_f64()?;
    // Within +-2^53 every whole float is exact, and no picture is larger.
    (float.fract() == 0.0 && float.abs() <= 9_007_199_254_740_992.0).then_some(float as i64)
}

fn check_box([x0, y0, x1, y1]: [i64; 4], size: Option<PictureSize>) -> Result<Rect, Wrong> {
    let text = format!("[{x0}, {y0}, {x1}, {y1}]");
    if x0 >= x1 || y0 >= y1 {
        let what = format!("{text} is empty: x0 < x1 and y0 < y1 must hold");
        return Err((what, "give the left, top, right and bottom edges in this order"));
    }
    let corners = [x0, y0, x1, y1].map(usize::try_from);
    let [Ok(x0), Ok(y0), Ok(x1), Ok(y1)] = corners else {
        let what = format!("{text} reaches outside the frame");
        return Err((what, "move or shrink the box into the frame"));
    };
    let face = Rect::new(x0, y0, x1, y1);
    if let Some(size) = size.filter(|size| !face.fits(size.width as usize, size.height as usize)) {
        let what = format!("{text} reaches outside the frame of {size}");
        return Err((what, "move or shrink the box into the frame"));
    }
    if face.width_px().min(face.height_px()) < MIN_BOX_SIDE_PX {
        let what = format!("{text} is smaller than {MIN_BOX_SIDE_PX} px a side");
        return Err((what, "give the box that holds the whole face"));
    }
    Ok(face)
}

/// The generator's picture is square, so a box that is not is stretched; a pixel or two do not show.
fn warn_of_stretch(boxes: &[Rect], label: &str, warnings: &mut Vec<Warning>) {
    let stretched = |face: &Rect| {
        let (width, height) = (face.width_px(), face.height_px());
        width.abs_diff(height) > width.max(height) / 50
    };
    let mut found = boxes.iter().enumerate().filter(|(_, face)| stretched(face));
    if let Some((index, face)) = found.next() {
        let what = format!(
            "{} of {} boxes are not square (box {index} is {}x{} px); the face is stretched there",
            1 + found.count(),
            boxes.len(),
            face.width_px(),
            face.height_px(),
        );
        warnings.push(Warning::new(label, what));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: PictureSize = PictureSize { width: 100, height: 80 };

    fn read(json: &str, frames: usize) -> (Option<Vec<Rect>>, Vec<String>, Vec<Warning>) {
        let mut report = Report::default();
        let boxes = read_boxes(json, "boxes.json", Some(frames), Some(SIZE), &mut report);
        (boxes, report.faults.iter().map(Fault::to_string).collect(), report.warnings)
    }

    #[test]
    fn reads_integers_and_whole_floats_up_to_the_frames_edge() {
        let (boxes, faults, warnings) = read("[[0, 0, 8, 8], [20.0, 0, 100, 80]]", 2);
        assert_eq!(faults, Vec::<String>::new());
        assert!(warnings.is_empty());
        let boxes = boxes.unwrap();
        assert_eq!(boxes[0], Rect::new(0, 0, 8, 8));
        assert_eq!((boxes[1].width_px(), boxes[1].height_px()), (80, 80));
    }

    #[test]
    fn each_wrong_box_is_named_with_its_values() {
        for (json, expected) in [
            ("[1, 2, 3]", "box 0: [1,2,3] is not a box; "),
            ("{\"x\": 1}", "box 0: {\"x\":1} is not a box; "),
            ("[1, 2, 3.5, 40]", "box 0: 3.5 is not a whole number of pixels; "),
            ("[1, 2, \"3\", 40]", "box 0: \"3\" is not a whole number"),
            ("[1, 2, 1e300, 40]", "is not a whole number"),
            ("[10, 10, 10, 20]", "box 0: [10, 10, 10, 20] is empty"),
            ("[10, 30, 20, 20]", "box 0: [10, 30, 20, 20] is empty"),
            ("[-1, 0, 20, 21]", "box 0: [-1, 0, 20, 21] reaches outside the frame; "),
            ("[81, 0, 101, 20]", "box 0: [81, 0, 101, 20] reaches outside the frame of 100x80 px"),
            ("[0, 61, 20, 81]", "box 0: [0, 61, 20, 81] reaches outside the frame of 100x80 px"),
            ("[0, 0, 7, 8]", "box 0: [0, 0, 7, 8] is smaller than 8 px a side"),
            ("[0, 0, 9223372036854775807, 9]", "reaches outside the frame"),
        ] {
            let (boxes, faults, _) = read(&format!("[{json}]"), 1);
            assert!(boxes.is_none());
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert!(faults[0].contains(expected), "{} lacks {expected}", faults[0]);
        }
    }

    #[test]
    fn the_count_must_fit_and_the_file_be_a_list() {
        assert!(read("[[0, 0, 8, 8]]", 2).1[0].contains("1 boxes for 2 frames"));
        assert!(read("{}", 2).1[0].contains("not a JSON list"));
        assert!(read("[[0, 0", 2).1[0].contains("not a JSON list"));
    }

    #[test]
    fn after_twenty_wrong_boxes_only_a_count() {
        let json = format!("[{}]", vec!["[5, 5, 5, 5]"; 50].join(","));
        let (_, faults, _) = read(&json, 50);
        assert_eq!(faults.len(), 21);
        assert!(faults[20].contains("and 30 more boxes are wrong"));
    }

    #[test]
    fn a_stretched_face_is_a_warning() {
        let (boxes, _, warnings) = read("[[0, 0, 60, 60], [0, 0, 60, 50], [0, 0, 60, 40]]", 3);
        assert!(boxes.is_some());
        assert!(warnings[0].what.starts_with("2 of 3 boxes are not square (box 1 is 60x50 px)"));
    }
}
