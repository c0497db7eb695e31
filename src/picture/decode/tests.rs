use proptest::prelude::*;

use super::*;
use crate::picture::{JpegEncoder, JpegSettings, encode_png};

fn sample() -> Image {
    Image::from_bgr(21, 13, (0..21 * 13 * 3).map(|i| (i * 5 % 256) as u8).collect()).unwrap()
}

fn jpeg() -> Vec<u8> {
    let mut out = Vec::new();
    JpegEncoder::new(JpegSettings::default()).unwrap().encode_to_vec(sample().view(), &mut out).unwrap();
    out
}

fn png() -> Vec<u8> {
    let mut out = Vec::new();
    encode_png(sample().view(), &mut out).unwrap();
    out
}

#[test]
fn png_is_lossless_and_jpeg_close() {
    assert_eq!(decode_bytes(&png()).unwrap(), sample());
    let image = decode_bytes(&jpeg()).unwrap();
    assert_eq!((image.width_px(), image.height_px()), (21, 13));
}

#[test]
fn other_bytes_are_refused() {
    for bytes in [&b""[..], b"GIF89a", b"\xFF\xD8", b"\x89PNG\r\n"] {
        assert!(matches!(decode_bytes(bytes), Err(DecodeError::UnknownFormat)));
    }
}

#[test]
fn truncated_pictures_are_errors_not_gray_ones() {
    for whole in [jpeg(), png()] {
        for len in [8, 20, whole.len() / 2, whole.len() - 20] {
            assert!(decode_bytes(&whole[..len]).is_err(), "{len} of {}", whole.len());
        }
    }
}

#[test]
fn absurd_sizes_are_refused_before_memory_is_taken() {
    let mut bytes = jpeg();
    let sof = bytes.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
    bytes[sof + 5..sof + 9].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0xFF]);
    let error = decode_bytes(&bytes).unwrap_err();
    assert!(
        matches!(error, DecodeError::Size { width_px: 65_535, height_px: 65_535 } | DecodeError::Jpeg(_)),
        "{error}"
    );
    // A PNG header for 20000 x 1 pixels, with its checksum.
    let mut bytes = PNG_MAGIC.to_vec();
    bytes.extend(b"\0\0\0\x0DIHDR\0\0\x4E\x20\0\0\0\x01\x08\x02\0\0\0");
    bytes.extend(0x1F79_EA3B_u32.to_be_bytes());
    let error = decode_bytes(&bytes).unwrap_err();
    assert!(matches!(error, DecodeError::Size { width_px: 20_000, .. } | DecodeError::Png(_)), "{error}");
}

#[test]
fn a_file_beyond_the_bound_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("000002.jpg");
    std::fs::write(&path, jpeg()).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(MAX_FILE_BYTES + 1).unwrap();
    let error = decode_file(&path).unwrap_err();
    assert!(matches!(error, DecodeError::Read { .. }), "{error}");
    assert!(error.to_string().ends_with("000002.jpg could not be read: longer than 268435456 bytes"), "{error}");
}

#[test]
fn errors_name_the_file() {
    let dir = std::env::temp_dir().join(format!("lipsyncd-decode-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("000007.jpg");
    std::fs::write(&path, b"not a picture").unwrap();
    let error = decode_file(&path).unwrap_err();
    assert!(error.to_string().contains("000007.jpg"), "{error}");
    assert!(error.to_string().contains("neither JPEG nor PNG"), "{error}");
    std::fs::remove_file(&path).unwrap();
    let error = decode_file(&path).unwrap_err();
    assert!(matches!(error, DecodeError::Read { .. }) && error.to_string().contains("000007.jpg"), "{error}");
    std::fs::remove_dir_all(&dir).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_bytes_never_panic(
        as_png: bool,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in any::<prop::sample::Index>(),
        cut_it in prop::bool::weighted(0.2),
    ) {
        let mut bytes = if as_png { png() } else { jpeg() };
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if cut_it {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(image) = decode_bytes(&bytes) {
            prop_assert_eq!(image.data().len(), image.width_px() * image.height_px() * 3);
        }
    }
}
