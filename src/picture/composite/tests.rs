use super::*;
use crate::picture::{ChannelOrder, Image, Interpolation};

fn geometry(channels: ChannelOrder, border_px: usize) -> GeneratorGeometry {
    GeneratorGeometry::new(6, border_px, channels, Interpolation::Cubic).unwrap()
}

#[test]
fn every_way_between_two_bytes_is_cut_down() {
    for i in 0..=255 * 64 {
        let value = i as f32 / (255.0 * 64.0);
        assert_eq!(to_byte(value), (value * 255.0) as u8, "{value}");
    }
    for bits in (0..u32::MAX - 9973).step_by(9973) {
        let value = f32::from_bits(bits);
        assert_eq!(to_byte(value), (value * 255.0) as u8, "{value}");
    }
}

#[test]
fn values_are_cut_and_clamped() {
    let cases = [
        (0.0, 0),
        (1.0, 255),
        (0.5, 127),
        (254.999 / 255.0, 254),
        (1.0001, 255),
        (900.0, 255),
        (f32::INFINITY, 255),
        (-0.2, 0),
        (f32::NEG_INFINITY, 0),
        (f32::NAN, 0),
    ];
    for (value, byte) in cases {
        assert_eq!(to_byte(value), byte, "{value}");
    }
}

/// A box as large as the crop makes the resize an identity, so every byte of the result is known.
#[test]
fn output_border_and_frame_end_where_they_should() {
    for (channels, order) in [(ChannelOrder::Bgr, [0, 1, 2]), (ChannelOrder::Rgb, [2, 1, 0])] {
        let g = geometry(channels, 2);
        let area = Rect::new(3, 1, 13, 11);
        let compositor = Compositor::new(g, &[area]).unwrap();
        let mut scratch = CompositeScratch::new();
        scratch.fit(&compositor);
        let output: Vec<f32> = (0..3 * 36).map(|i| i as f32 / 120.0).collect();
        let crop: Vec<u8> = (0..10 * 10 * 3).map(|i| (i % 199) as u8).collect();
        let mut frame = Image::from_bgr(15, 12, vec![201; 15 * 12 * 3]).unwrap();
        // Twice, so that dirty scratch shows.
        for _ in 0..2 {
            compositor.paste(&output, Surround::Crop(&crop), area, frame.view_mut(), &mut scratch).unwrap();
        }
        for (i, &got) in frame.data().iter().enumerate() {
            let (y, x, c) = (i / 45, i / 3 % 15, i % 3);
            let expected = if !(3..13).contains(&x) || !(1..11).contains(&y) {
                201
            } else if (5..11).contains(&x) && (3..9).contains(&y) {
                (output[order[c] * 36 + (y - 3) * 6 + x - 5] * 255.0) as u8
            } else {
                crop[((y - 1) * 10 + x - 3) * 3 + c]
            };
            assert_eq!(got, expected, "{channels:?} {x} {y} {c}");
        }
    }
}

#[test]
fn rows_longer_than_a_chunk_are_whole() {
    let g = GeneratorGeometry::new(150, 0, ChannelOrder::Bgr, Interpolation::Linear).unwrap();
    let area = Rect::new(0, 0, 150, 150);
    let compositor = Compositor::new(g, &[area]).unwrap();
    let mut scratch = CompositeScratch::new();
    scratch.fit(&compositor);
    let output: Vec<f32> = (0..3 * 150 * 150).map(|i| (i % 256) as f32 / 255.0).collect();
    let mut frame = Image::black(150, 150).unwrap();
    compositor.paste(&output, Surround::Crop(&vec![9; 150 * 150 * 3]), area, frame.view_mut(), &mut scratch).unwrap();
    for (i, &got) in frame.data().iter().enumerate() {
        assert_eq!(got, (output[i % 3 * 150 * 150 + i / 3] * 255.0) as u8);
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let g = geometry(ChannelOrder::Bgr, 2);
    let known = Rect::new(0, 0, 4, 4);
    let compositor = Compositor::new(g, &[known, Rect::new(1, 1, 5, 5)]).unwrap();
    let mut frame = Image::black(8, 8).unwrap();
    let (output, crop) = (vec![0.0; 108], vec![0; 300]);
    let mut paste = |output: &[f32], crop: &[u8], area, scratch: &mut CompositeScratch| {
        compositor.paste(output, Surround::Crop(crop), area, frame.view_mut(), scratch).unwrap_err()
    };
    let mut unfit = CompositeScratch::new();
    assert_eq!(paste(&output, &crop, known, &mut unfit), CompositeError::Scratch);
    let mut fit = CompositeScratch::new();
    fit.fit(&compositor);
    let unknown = Rect::new(0, 0, 5, 4);
    assert!(matches!(paste(&output, &crop, unknown, &mut fit), CompositeError::UnknownBox { width_px: 5, .. }));
    assert!(matches!(paste(&output, &crop, Rect::new(6, 0, 10, 4), &mut fit), CompositeError::Image(_)));
    assert!(matches!(paste(&output[1..], &crop, known, &mut fit), CompositeError::Geometry(_)));
    assert!(matches!(paste(&output, &crop[1..], known, &mut fit), CompositeError::Geometry(_)));
    assert!(Compositor::new(g, &[Rect::new(2, 2, 2, 4)]).is_err());
}
