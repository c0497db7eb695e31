//! Whether a frame is a whole JPEG of the right size, without decoding it.

/// Whether `jpeg` begins and ends as a JPEG file does (ITU-T T.81, B.1.1) and says the size `size_px`.
pub(super) fn is_sound(jpeg: &[u8], size_px: (usize, usize)) -> bool {
    jpeg.starts_with(&[0xff, 0xd8]) && jpeg.ends_with(&[0xff, 0xd9]) && frame_size_px(jpeg) == Some(size_px)
}

/// Width and height from the frame header, B.2.2.
fn frame_size_px(jpeg: &[u8]) -> Option<(usize, usize)> {
    let mut rest = jpeg.get(2..)?;
    loop {
        let [0xff, marker, high, low, body @ ..] = rest else { return None };
        // SOF0..SOF15 but for DHT, JPG and DAC, which share the row.
        if (0xc0..=0xcf).contains(marker) && ![0xc4, 0xc8, 0xcc].contains(marker) {
            let [_, h1, h0, w1, w0, ..] = *body else { return None };
            return Some((usize::from(u16::from_be_bytes([w1, w0])), usize::from(u16::from_be_bytes([h1, h0]))));
        }
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        rest = rest.get(2 + length.max(2)..)?;
    }
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
