//! The avatar's pictures on disk: `000000.jpg`, `000001.jpg`, ...

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::fault::{Fault, Listed, Warning, excerpt, listed};
use super::path::{Kind, resolve_anywhere, resolve_inside};

/// A picture of a folder.
#[derive(Debug)]
pub(crate) struct Frame {
    /// The number in its name.
    pub number: u64,
    /// Its name in the folder, which says what it is.
    pub name: String,
    /// Where it is; when its name is a link, that of the file itself says nothing.
    pub path: PathBuf,
}

/// The pictures found in a folder.
#[derive(Debug, Default)]
pub(crate) struct FrameList {
    /// In order of their numbers, each number once.
    pub frames: Vec<Frame>,
    pub faults: Vec<Fault>,
    pub warnings: Vec<Warning>,
}

/// Lists the pictures of `dir`: names that are a number (any zero padding, any first number) and end
/// in `jpg`, `jpeg` or `png`, after `prefix` where they have it.
///
/// `label` names the folder in messages; `root` (canonical), when given, is what links must not leave. Reported as
/// faults: gaps, numbers used twice, links outside, no picture at all. Other files are warned of, once.
///
/// # Errors
/// The folder cannot be read.
pub(crate) fn list_frames(root: Option<&Path>, dir: &Path, label: &str, prefix: &str) -> io::Result<FrameList> {
    let mut list = FrameList::default();
    let mut by_number: BTreeMap<u64, Vec<(String, PathBuf)>> = BTreeMap::new();
    let mut foreign = Vec::new();
    let mut wrong = Vec::new();
    for entry in dir.read_dir()? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(number) = frame_number(&name, prefix) else {
            foreign.push(name);
            continue;
        };
        let resolved = match root {
            Some(root) => resolve_inside(root, &entry.path(), Kind::File),
            None => resolve_anywhere(&entry.path(), Kind::File),
        };
        match resolved {
            Ok(path) => by_number.entry(number).or_default().push((name, path)),
            Err(error) => {
                let file = format!("{label}/{name}");
                wrong.push(Fault::of(file, "", &error, error.fix()));
            }
        }
    }
    wrong.sort_by(|a, b| a.file.cmp(&b.file));
    let mut first = Listed::default();
    wrong.into_iter().for_each(|fault| first.push(fault));
    list.faults.extend(first.end(label, "files"));
    if !foreign.is_empty() {
        foreign.sort();
        let names = listed(foreign.iter().map(|name| excerpt(name)), foreign.len());
        list.warnings.push(Warning::new(label, format!("not frames, ignored: {names}")));
    }
    report_numbers(&by_number, label, &mut list.faults);
    let first =
        |(number, files): (u64, Vec<_>)| files.into_iter().next().map(|(name, path)| Frame { number, name, path });
    list.frames = by_number.into_iter().filter_map(first).collect();
    Ok(list)
}

/// The number in `prefix` + digits + `.jpg|.jpeg|.png` (any case), `None` for other names.
pub(crate) fn frame_number(name: &str, prefix: &str) -> Option<u64> {
    let (stem, extension) = name.rsplit_once('.')?;
    if !["jpg", "jpeg", "png"].iter().any(|known| extension.eq_ignore_ascii_case(known)) {
        return None;
    }
    let digits = stem.strip_prefix(prefix).unwrap_or(stem);
    // `parse` alone would take "+7".
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

fn report_numbers(by_number: &BTreeMap<u64, Vec<(String, PathBuf)>>, label: &str, faults: &mut Vec<Fault>) {
    if by_number.is_empty() {
        faults.push(Fault::new(
            label,
            "",
            "it holds no frame",
            "add pictures named 000000.jpg, 000001.jpg, ... (or .png)",
        ));
        return;
    }
    let twice: Vec<String> = by_number
        .values()
        .filter(|files| files.len() > 1)
        .map(|files| {
            let mut names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
            names.sort_unstable();
            names.join(" = ")
        })
        .collect();
    if !twice.is_empty() {
        let what = format!("these files have the same number: {}", listed(twice.iter().cloned(), twice.len()));
        faults.push(Fault::new(label, "", what, "keep one file for each number"));
    }
    let gaps = gaps(by_number.keys().copied());
    if !gaps.is_empty() {
        let missing: u64 = gaps.iter().map(|(first, last)| last - first + 1).sum();
        let ranges = listed(gaps.iter().map(|&(first, last)| range(first, last)), gaps.len());
        let what = format!("{missing} frame(s) missing between the first and the last: {ranges}");
        faults.push(Fault::new(label, "", what, "add them, or renumber the frames without gaps"));
    }
}

fn range(first: u64, last: u64) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

/// The numbers missing from an ascending sequence, as inclusive ranges.
pub(crate) fn gaps(ascending: impl Iterator<Item = u64>) -> Vec<(u64, u64)> {
    let mut gaps = Vec::new();
    let mut previous: Option<u64> = None;
    for number in ascending {
        if let Some(before) = previous
            && number - before > 1
        {
            gaps.push((before + 1, number - 1));
        }
        previous = Some(number);
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> FrameList {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for name in names {
            std::fs::write(root.join(name), b"").unwrap();
        }
        list_frames(Some(&root), &root, "frames", "frame_").unwrap()
    }

    fn names(list: &FrameList) -> Vec<String> {
        list.frames.iter().map(|frame| frame.path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn orders_by_number_with_any_padding_and_any_start() {
        let list = list(&["0010.jpg", "9.png", "011.JPEG", "8.jpg"]);
        assert_eq!(names(&list), ["8.jpg", "9.png", "0010.jpg", "011.JPEG"]);
        assert!(list.faults.is_empty() && list.warnings.is_empty());
    }

    #[test]
    fn reports_every_gap_as_a_range() {
        let list = list(&["1.jpg", "3.jpg", "7.jpg", "8.jpg", "1000000000000.jpg"]);
        assert_eq!(
            list.faults[0].what,
            "999999999995 frame(s) missing between the first and the last: 2, 4-6, 9-999999999999"
        );
    }

    #[test]
    fn the_widest_gap_does_not_overflow() {
        assert_eq!(gaps([0, u64::MAX].into_iter()), [(1, u64::MAX - 1)]);
        let list = list(&["0.jpg", "18446744073709551615.jpg"]);
        assert_eq!(list.faults.len(), 1);
    }

    #[test]
    fn reports_numbers_used_twice() {
        let list = list(&["7.jpg", "007.png", "8.jpg"]);
        assert_eq!(list.faults.len(), 1);
        assert_eq!(list.faults[0].what, "these files have the same number: 007.png = 7.jpg");
        assert_eq!(list.frames.len(), 2);
    }

    #[test]
    fn warns_of_foreign_files_once() {
        let list = list(&["0.jpg", "Thumbs.db", "+1.jpg", "2.webp", ".jpg", "99999999999999999999.jpg"]);
        assert!(list.faults.is_empty(), "{:?}", list.faults);
        assert_eq!(list.warnings.len(), 1);
        assert_eq!(
            list.warnings[0].what,
            "not frames, ignored: +1.jpg, .jpg, 2.webp, 99999999999999999999.jpg, Thumbs.db"
        );
    }

    #[test]
    fn an_empty_folder_is_a_fault() {
        assert_eq!(list(&["readme.txt"]).faults[0].what, "it holds no frame");
    }

    #[test]
    fn a_prefix_is_optional() {
        assert_eq!(frame_number("frame_0012.png", "frame_"), Some(12));
        assert_eq!(frame_number("0012.png", "frame_"), Some(12));
        assert_eq!(frame_number("frame_0012.png", ""), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_out_of_the_bundle_is_a_fault() {
        let outside = tempfile::NamedTempFile::new().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::os::unix::fs::symlink(outside.path(), root.join("0.jpg")).unwrap();
        let list = list_frames(Some(&root), &root, "frames", "").unwrap();
        assert!(list.faults[0].what.contains("outside the bundle"), "{}", list.faults[0]);
    }
}
