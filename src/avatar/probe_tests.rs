use std::io::Cursor;

use proptest::prelude::*;

use super::*;

/// A JPEG header: SOI, an APP1 segment, a DHT segment, SOF0; `w` x `h`, `components` of `bits` bits.
fn jpeg(w: u16, h: u16, bits: u8, components: u8) -> Vec<u8> {
    let mut bytes = vec![0xFF, 0xD8, 0xFF, 0xE1, 0x01, 0x00];
    bytes.extend([0xC0; 254]);
    bytes.extend([0xFF, 0xFF, 0xFF, 0xC4, 0, 4, 1, 2, 0xFF, 0xC0, 0, 8 + 3 * components, bits]);
    bytes.extend(h.to_be_bytes());
    bytes.extend(w.to_be_bytes());
    bytes.push(components);
    bytes.extend(vec![0x11; 3 * usize::from(components)]);
    bytes.extend([0xFF, 0xDA]);
    bytes
}

/// A 640x360 RGB PNG's signature and IHDR, written by Pillow 13.0.
const PNG: [u8; 33] = [
    0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0x00, 0x00, 0x00, 0x0D, 0x49, 0x48, 0x44, 0x52, 0x00, 0x00, 0x02,
    0x80, 0x00, 0x00, 0x01, 0x68, 0x08, 0x02, 0x00, 0x00, 0x00, 0x48, 0x50, 0xDD, 0x06,
];

fn probe_bytes(bytes: &[u8]) -> Result<PictureSize, ProbeError> {
    probe(Cursor::new(bytes))
}

#[test]
fn reads_jpeg_past_other_segments_and_fill_bytes() {
    for components in [1, 3] {
        let size = probe_bytes(&jpeg(1280, 720, 8, components)).unwrap();
        assert_eq!(size, PictureSize { width: 1280, height: 720 });
    }
}

#[test]
fn reads_png() {
    assert_eq!(probe_bytes(&PNG).unwrap(), PictureSize { width: 640, height: 360 });
}

#[test]
fn refuses_what_a_frame_cannot_be() {
    let text = |bytes: &[u8]| probe_bytes(bytes).unwrap_err().to_string();
    assert_eq!(text(b"<html>"), "it is neither a JPEG nor a PNG picture");
    assert_eq!(text(b""), "it ends in the middle of its header");
    assert_eq!(text(&jpeg(64, 64, 12, 3)), "it has 12 bits a sample; frames have 8");
    assert_eq!(text(&jpeg(64, 64, 8, 4)), "it has 4 colour components; frames have 1 or 3");
    assert_eq!(text(&jpeg(64, 0, 8, 3)), "it is 64x0 px; sides go from 1 to 8192 px");
    assert_eq!(text(&jpeg(8193, 64, 8, 3)), "it is 8193x64 px; sides go from 1 to 8192 px");
    assert_eq!(text(&[0xFF, 0xD8, 0xFF, 0xE0, 0, 1]), "its JPEG header is damaged");
    assert_eq!(text(&[0xFF, 0xD8, 0x00, 0x00]), "its JPEG header is damaged");
    assert_eq!(text(&[0xFF, 0xD8, 0xFF, 0xD9]), "its JPEG header is damaged");
    let mut wrong_crc = PNG;
    wrong_crc[20] ^= 1;
    assert_eq!(text(&wrong_crc), "its PNG header is damaged");
}

#[test]
fn a_file_of_a_length_that_no_frame_has_is_refused_by_its_length() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("000002.jpg");
    std::fs::write(&path, jpeg(64, 64, 8, 3)).unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    file.set_len(MAX_FILE_BYTES).unwrap();
    assert!(probe_file(&path).is_ok());
    file.set_len(3 << 30).unwrap();
    let error = probe_file(&path).unwrap_err().to_string();
    assert_eq!(error, "it has 3221225472 bytes; frames have at most 268435456");
}

/// Counts the calls of what it reads from.
struct Counted<'a>(Cursor<&'a [u8]>, &'a std::cell::Cell<usize>);

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1.set(self.1.get() + 1);
        self.0.read(buffer)
    }
}

impl Seek for Counted<'_> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.1.set(self.1.get() + 1);
        self.0.seek(to)
    }
}

#[test]
fn many_small_segments_are_read_a_block_at_a_time() {
    let mut bytes = vec![0xFF, 0xD8];
    bytes.extend([0xFF, 0xFE, 0, 2].repeat(100_000));
    bytes.extend_from_slice(&jpeg(64, 48, 8, 3)[2..]);
    let calls = std::cell::Cell::new(0);
    let size = probe(BufReader::with_capacity(1024, Counted(Cursor::new(&bytes), &calls))).unwrap();
    assert_eq!(size, PictureSize { width: 64, height: 48 });
    assert!(calls.get() <= bytes.len() / 1024 + 8, "{} calls", calls.get());
}

#[test]
fn every_cut_is_noticed() {
    let jpeg = jpeg(64, 64, 8, 3);
    let sof_fields_end = jpeg.len() - 2 - 9;
    for end in 0..sof_fields_end {
        assert!(matches!(probe_bytes(&jpeg[..end]), Err(ProbeError::Truncated)), "cut at {end}");
    }
    for end in 0..PNG.len() {
        assert!(matches!(probe_bytes(&PNG[..end]), Err(ProbeError::Truncated)), "cut at {end}");
    }
}

proptest! {
    #[test]
    fn mutated_headers_never_panic(png: bool, edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut bytes = if png { PNG.to_vec() } else { jpeg(640, 360, 8, 3) };
        for (index, byte) in edits {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(size) = probe_bytes(&bytes) {
            prop_assert!(size.width.max(size.height) <= MAX_FRAME_SIDE_PX);
        }
    }

    #[test]
    fn random_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 2..200)) {
        bytes[..2].copy_from_slice(&[0xFF, 0xD8]);
        let _ = probe_bytes(&bytes);
    }
}
