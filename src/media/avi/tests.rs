use std::io::Cursor;

use super::*;

const SETTINGS: AviSettings = AviSettings { width_px: 48, height_px: 32, fps: 25, sample_rate_hz: 16_000 };

fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

/// Every chunk as `(path of list names and its own, content's start, content's length)`, by a walk of the RIFF tree.
fn walk(bytes: &[u8], start: usize, end: usize, path: &str, found: &mut Vec<(String, usize, usize)>) {
    let mut at = start;
    while at < end {
        let name = std::str::from_utf8(&bytes[at..at + 4]).unwrap();
        let len = u32_at(bytes, at + 4);
        assert!(at + 8 + len <= end, "{path}/{name} reaches past its list");
        if name == "RIFF" || name == "LIST" {
            let kind = std::str::from_utf8(&bytes[at + 8..at + 12]).unwrap();
            walk(bytes, at + 12, at + 8 + len, &format!("{path}/{kind}"), found);
        } else {
            found.push((format!("{path}/{name}"), at + 8, len));
        }
        at += 8 + len + len % 2;
    }
}

fn film(frames: usize) -> Vec<u8> {
    let mut writer = AviWriter::new(Cursor::new(Vec::new()), SETTINGS).unwrap();
    for i in 0..frames {
        writer.write_frame(&vec![i as u8; 5 + i]).unwrap();
        let due = writer.audio_due();
        writer.write_audio(&vec![i as i16; due]).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn the_tree_the_totals_and_the_index_agree() {
    let bytes = film(7);
    assert_eq!(u32_at(&bytes, 4) + 8, bytes.len());
    let mut chunks = Vec::new();
    walk(&bytes, 0, bytes.len(), "", &mut chunks);
    let find = |name: &str| chunks.iter().filter(|c| c.0 == name).copied_parts();
    let movi: Vec<_> = chunks.iter().filter(|c| c.0.starts_with("/AVI /movi/")).collect();
    assert_eq!(movi.len(), 14);
    for (i, pair) in movi.chunks(2).enumerate() {
        assert_eq!((pair[0].0.as_str(), pair[0].2), ("/AVI /movi/00dc", 5 + i));
        assert_eq!((pair[1].0.as_str(), pair[1].2), ("/AVI /movi/01wb", 640 * 2));
        assert!(bytes[pair[0].1..][..5 + i].iter().all(|&b| b == i as u8));
    }
    let (avih, _) = find("/AVI /hdrl/avih")[0];
    assert_eq!((u32_at(&bytes, avih), u32_at(&bytes, avih + 16), u32_at(&bytes, avih + 24)), (40_000, 7, 2));
    let headers = find("/AVI /hdrl/strl/strh");
    assert_eq!(u32_at(&bytes, headers[0].0 + 32), 7);
    assert_eq!(u32_at(&bytes, headers[1].0 + 32), 7 * 640);
    let (idx1, len) = find("/AVI /idx1")[0];
    assert_eq!(len, 14 * 16);
    let movi_name = movi[0].1 - 8 - 4;
    for (entry, chunk) in (idx1..).step_by(16).zip(&movi) {
        assert_eq!(movi_name + u32_at(&bytes, entry + 8) + 8, chunk.1);
        assert_eq!(u32_at(&bytes, entry + 12), chunk.2);
        assert!(chunk.0.as_bytes().ends_with(&bytes[entry..entry + 4]));
    }
}

trait Parts {
    fn copied_parts(self) -> Vec<(usize, usize)>;
}

impl<'a, I: Iterator<Item = &'a (String, usize, usize)>> Parts for I {
    fn copied_parts(self) -> Vec<(usize, usize)> {
        self.map(|c| (c.1, c.2)).collect()
    }
}

#[test]
fn sound_keeps_up_with_any_frame_rate() {
    let settings = AviSettings { fps: 29, sample_rate_hz: 44_100, ..SETTINGS };
    let mut writer = AviWriter::new(Cursor::new(Vec::new()), settings).unwrap();
    let mut samples = 0;
    for _ in 0..300 {
        writer.write_frame(&[1]).unwrap();
        let due = writer.audio_due();
        assert!((1_520..=1_521).contains(&due), "{due}");
        writer.write_audio(&vec![0; due]).unwrap();
        samples += due;
    }
    assert_eq!(samples, 300 * 44_100 / 29);
}

#[test]
fn an_unfinished_file_declares_nothing() {
    let mut out = Cursor::new(Vec::new());
    let mut writer = AviWriter::new(&mut out, SETTINGS).unwrap();
    writer.write_frame(&[1, 2, 3]).unwrap();
    drop(writer);
    let bytes = out.into_inner();
    assert_eq!(u32_at(&bytes, 4), 0);
    assert!(!bytes.windows(4).any(|w| w == b"idx1"));
}

#[test]
fn bad_input_is_an_error() {
    let new = |s| AviWriter::new(Cursor::new(Vec::new()), s);
    for bad in [
        AviSettings { width_px: 0, ..SETTINGS },
        AviSettings { height_px: 40_000, ..SETTINGS },
        AviSettings { fps: 0, ..SETTINGS },
        AviSettings { sample_rate_hz: 0, ..SETTINGS },
    ] {
        assert!(matches!(new(bad), Err(AviError::Settings(_))), "{bad:?}");
    }
    let mut writer = new(SETTINGS).unwrap();
    assert!(matches!(writer.write_frame(&[]), Err(AviError::EmptyFrame { index: 0 })));
}

/// Counts bytes without keeping them.
#[derive(Default)]
struct Void(u64);

impl Write for Void {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Seek for Void {
    fn seek(&mut self, _: SeekFrom) -> std::io::Result<u64> {
        Ok(0)
    }
}

#[test]
fn two_gib_are_the_end_and_the_file_can_still_be_finished() {
    let mut writer = AviWriter::new(Void::default(), SETTINGS).unwrap();
    let frame = vec![7; 16 << 20];
    let error = loop {
        if let Err(error) = writer.write_frame(&frame) {
            break error;
        }
    };
    assert!(matches!(error, AviError::TooLarge { frames: 127 }), "{error}");
    assert!(error.to_string().contains(".mp4"));
    let header_bytes = writer.header_bytes;
    let void = writer.finish().unwrap();
    assert!(void.0 - header_bytes <= MAX_FILE_BYTES);
}
