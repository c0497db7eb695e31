use super::*;
use crate::picture::{Image, Rect, decode_bytes};

fn noise(width: usize, height: usize) -> Image {
    let mut state = 7u32;
    let bytes = (0..width * height * 3).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    Image::from_bgr(width, height, bytes.collect()).unwrap()
}

fn encoder(quality: u32, restart_interval_mcus: u16) -> JpegEncoder {
    JpegEncoder::new(JpegSettings { quality: Quality::new(quality).unwrap(), restart_interval_mcus }).unwrap()
}

fn encode(encoder: &mut JpegEncoder, picture: View<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    encoder.encode_to_vec(picture, &mut out).unwrap();
    out
}

const fn assert_send<T: Send>() {}
const _: () = assert_send::<JpegEncoder>();

#[test]
fn bad_qualities_are_errors() {
    assert!(Quality::new(1).is_ok() && Quality::new(100).is_ok());
    for got in [0, 101, 300, u32::MAX] {
        assert_eq!(Quality::new(got), Err(JpegError::Quality { got }));
    }
}

#[test]
fn the_worst_picture_fits_in_max_len() {
    for (w, h) in [(1, 1), (16, 16), (17, 33), (255, 64)] {
        for restart in [0, 1, 3] {
            let bytes = encode(&mut encoder(100, restart), noise(w, h).view());
            assert!(bytes.len() <= JpegEncoder::max_len(w, h), "{w}x{h} R={restart}: {}", bytes.len());
        }
    }
}

#[test]
fn the_same_pixels_give_the_same_bytes_whatever_came_before() {
    let (a, b) = (noise(75, 40), noise(33, 90));
    let mut used = encoder(80, 2);
    let first = encode(&mut used, a.view());
    encode(&mut used, b.view());
    assert_eq!(encode(&mut used, a.view()), first);
    assert_eq!(encode(&mut encoder(80, 2), a.view()), first);
}

#[test]
fn a_compressor_that_is_told_another_quality_writes_what_one_made_for_it_does() {
    let picture = noise(75, 40);
    let mut told = encoder(80, 2);
    for quality in [1, 100, 37, 80] {
        told.set_quality(Quality::new(quality).unwrap()).unwrap();
        let made = encode(&mut encoder(quality, 2), picture.view());
        assert_eq!(encode(&mut told, picture.view()), made, "quality {quality}");
    }
}

#[test]
fn rows_apart_encode_as_rows_together() {
    let wide = noise(60, 40);
    let area = Rect::new(7, 3, 44, 36);
    let mut packed = Image::black(37, 33).unwrap();
    packed.view_mut().copy_from(wide.view().part(area).unwrap()).unwrap();
    let mut e = encoder(75, 0);
    assert_eq!(encode(&mut e, wide.view().part(area).unwrap()), encode(&mut e, packed.view()));
}

#[test]
fn restart_markers_come_at_the_interval_and_change_no_pixel() {
    let picture = noise(64, 48);
    let plain = encode(&mut encoder(75, 0), picture.view());
    let marked = encode(&mut encoder(75, 2), picture.view());
    let markers = |bytes: &[u8]| bytes.windows(2).filter(|w| w[0] == 0xFF && (0xD0..=0xD7).contains(&w[1])).count();
    assert_eq!(markers(&plain), 0);
    assert_eq!(markers(&marked), 4 * 3 / 2 - 1);
    assert!(marked.windows(6).any(|w| w == [0xFF, 0xDD, 0, 4, 0, 2]));
    assert_eq!(decode_bytes(&plain).unwrap(), decode_bytes(&marked).unwrap());
}

#[test]
fn planes_of_a_gray_picture_encode_as_its_pixels() {
    // With equal channels luma is the value and chroma 128, so the planes are known without colour arithmetic.
    let (w, h) = (37, 21);
    let level = |x: usize, y: usize| ((x.min(w - 1) * 5 + y.min(h - 1) * 3) % 256) as u8;
    let bgr = (0..h).flat_map(|y| (0..w).flat_map(move |x| [level(x, y); 3]));
    let picture = Image::from_bgr(w, h, bgr.collect()).unwrap();
    let y_plane: Vec<u8> = (0..22).flat_map(|y| (0..40).map(move |x| level(x, y))).collect();
    let chroma = vec![128; 20 * 11];
    let planes = YuvPlanes::new((w, h), (40, 20), [&y_plane, &chroma, &chroma]).unwrap();
    let mut e = encoder(90, 1);
    let mut out = vec![0; JpegEncoder::max_len(w, h)];
    let len = e.encode_yuv(planes, &mut out).unwrap();
    assert_eq!(out[..len], encode(&mut e, picture.view()));
}

#[test]
fn short_planes_and_buffers_are_errors() {
    let (y, c) = ([0; 16 * 16], [0; 64]);
    assert!(YuvPlanes::new((16, 16), (16, 8), [&y, &c, &c]).is_ok());
    let short = YuvPlanes::new((16, 16), (16, 8), [&y, &c, &c[1..]]).unwrap_err();
    assert_eq!(short, JpegError::Plane { plane: 'v', expected: 64, got: 63 });
    assert!(YuvPlanes::new((16, 17), (16, 8), [&y, &c, &c]).is_err());
    assert!(YuvPlanes::new((16, 16), (15, 8), [&y, &c, &c]).is_err());
    assert!(YuvPlanes::new((0, 16), (16, 8), [&y, &c, &c]).is_err());
    let mut buffer = vec![0; JpegEncoder::max_len(20, 20) - 1];
    let error = encoder(75, 0).encode(noise(20, 20).view(), &mut buffer).unwrap_err();
    assert!(matches!(error, JpegError::Buffer { .. }), "{error}");
    let tall = vec![0; 65_501 * 3];
    let tall = View::packed(1, 65_501, &tall).unwrap();
    assert!(matches!(encoder(75, 0).encode_to_vec(tall, &mut Vec::new()), Err(JpegError::Size { .. })));
}
