//! SyncTalk_2D's landmark files: one `x y` per line, in pixels of the frame.

use thiserror::Error;

/// Points that the box is made from, counted from 0: left cheek, nose bridge, right cheek.
const LEFT: usize = 1;
const TOP: usize = 52;
const RIGHT: usize = 31;

/// Why a landmark file gives no box.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum LmsError {
    #[error("it has {points} points; the box needs {}", TOP + 1)]
    Short { points: usize },
    #[error("line {line} is not a point in pixels")]
    Line { line: usize },
}

/// The face's box `[x0, y0, x1, y1]` as the published training code cuts it: the coordinates truncated to
/// integers, `x0` of point 1, `y0` of point 52, `x1` of point 31, and as high as wide.
///
/// # Errors
/// A line that is no point, or too few points.
pub(super) fn box_of_landmarks(text: &str) -> Result<[i64; 4], LmsError> {
    let mut points = Vec::new();
    for (index, line) in text.trim_end().lines().enumerate() {
        points.push(parse_point(line).ok_or(LmsError::Line { line: index + 1 })?);
    }
    let (Some(left), Some(top), Some(right)) = (points.get(LEFT), points.get(TOP), points.get(RIGHT)) else {
        return Err(LmsError::Short { points: points.len() });
    };
    let (x0, y0, x1) = (left[0], top[1], right[0]);
    Ok([x0, y0, x1, y0 + (x1 - x0)])
}

/// The first two numbers of a line; detectors in 3-D add a third.
fn parse_point(line: &str) -> Option<[i64; 2]> {
    let mut numbers = line.split_whitespace().map(|word| {
        let number: f64 = word.parse().ok()?;
        // No picture is wider, and sums of such numbers cannot overflow.
        (number.abs() < 1e6).then_some(number as i64)
    });
    Some([numbers.next()??, numbers.next()??])
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use proptest::prelude::*;

    use super::*;

    fn face() -> String {
        let mut text = String::new();
        for i in 0..68 {
            writeln!(text, "{}.9 {}.25", 100 + i, 200 + i).unwrap();
        }
        text
    }

    #[test]
    fn the_box_comes_from_three_points_truncated() {
        assert_eq!(box_of_landmarks(&face()), Ok([101, 252, 131, 282]));
        assert_eq!(box_of_landmarks(&face().replace('\n', " 0.5\r\n")), Ok([101, 252, 131, 282]));
        assert_eq!(box_of_landmarks(&face().replace("101.9", "-1.9")), Ok([-1, 252, 131, 384]));
    }

    #[test]
    fn faults_name_the_line_or_the_count() {
        let short: String = face().lines().take(52).collect::<Vec<_>>().join("\n");
        assert_eq!(box_of_landmarks(&short), Err(LmsError::Short { points: 52 }));
        assert_eq!(box_of_landmarks(""), Err(LmsError::Short { points: 0 }));
        for bad in ["nan", "1e9", "x", "inf", ""] {
            let text = face().replacen("102.9 ", &format!("{bad} "), 1);
            assert_eq!(box_of_landmarks(&text), Err(LmsError::Line { line: 3 }), "{bad}");
        }
        assert_eq!(box_of_landmarks("1 2\n\n3 4"), Err(LmsError::Line { line: 2 }));
    }

    proptest! {
        #[test]
        fn any_text_is_a_box_or_an_error(text in "([-+0-9.eEinfa]{0,12}[ \t\n]){0,160}") {
            if let Ok([x0, y0, x1, y1]) = box_of_landmarks(&text) {
                prop_assert_eq!(y1 - y0, x1 - x0);
            }
        }

        #[test]
        fn damaged_landmarks_never_panic(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
            let mut bytes = face().into_bytes();
            for (index, byte) in edits {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
            let _ = box_of_landmarks(&String::from_utf8_lossy(&bytes));
        }
    }
}
