//! Whether a frame is a whole JPEG of the right size, without decoding it.

use std::io::Cursor;

use crate::avatar::probe;

/// Whether `jpeg` begins and ends as a JPEG file does (ITU-T T.81, B.1.1) and says the size `size_px`.
pub(super) fn is_sound(jpeg: &[u8], size_px: (usize, usize)) -> bool {
    let is_whole = jpeg.starts_with(&[0xff, 0xd8]) && jpeg.ends_with(&[0xff, 0xd9]);
    is_whole && probe(Cursor::new(jpeg)).is_ok_and(|size| size.px() == size_px)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_frame_is_sound_and_a_spoilt_one_is_not() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/avatars/demo/frames/000000.jpg");
        let jpeg = std::fs::read(path).unwrap();
        assert!(is_sound(&jpeg, (1280, 720)));
        assert!(!is_sound(&jpeg, (720, 1280)));
        assert!(!is_sound(&jpeg[..jpeg.len() - 1], (1280, 720)), "cut off");
        assert!(!is_sound(&jpeg[1..], (1280, 720)), "does not begin as one");
        for end in 0..200 {
            assert!(!is_sound(&jpeg[..end], (1280, 720)), "{end} bytes");
        }
    }
}
