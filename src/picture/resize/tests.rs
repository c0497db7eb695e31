use proptest::prelude::*;

use super::*;
use crate::picture::Image;

fn run(src: &Image, dst: (usize, usize), interpolation: Interpolation) -> Image {
    let resizer = Resizer::new((src.width_px(), src.height_px()), dst, interpolation).unwrap();
    let mut scratch = ResizeScratch { values: vec![i32::MAX / 2; 40_000] };
    scratch.fit(&resizer);
    let mut out = Image::black(dst.0, dst.1).unwrap();
    resizer.run(src.view(), out.view_mut(), &mut scratch).unwrap();
    out
}

/// Keys' cubic convolution kernel with a = -0.75 (1981), and the triangle, on exact positions in f64.
fn kernel(interpolation: Interpolation, distance: f64) -> f64 {
    let d = distance.abs();
    match interpolation {
        Interpolation::Linear => (1.0 - d).max(0.0),
        Interpolation::Cubic if d <= 1.0 => 1.25 * d.powi(3) - 2.25 * d.powi(2) + 1.0,
        Interpolation::Cubic if d < 2.0 => -0.75 * (d.powi(3) - 5.0 * d.powi(2) + 8.0 * d - 4.0),
        Interpolation::Cubic => 0.0,
    }
}

fn naive(src: &Image, dst: (usize, usize), interpolation: Interpolation) -> Vec<f64> {
    let (w, h) = (src.width_px() as i64, src.height_px() as i64);
    let taps = |i: usize, from: i64, to: usize| {
        let at = (i as f64 + 0.5) * from as f64 / to as f64 - 0.5;
        let first = at.floor() as i64 - 1;
        (first..first + 4).map(move |s| (s.clamp(0, from - 1), kernel(interpolation, at - s as f64)))
    };
    let mut out = Vec::new();
    for y in 0..dst.1 {
        for x in 0..dst.0 {
            for c in 0..3 {
                let mut sum = 0.0;
                for (sy, wy) in taps(y, h, dst.1) {
                    for (sx, wx) in taps(x, w, dst.0) {
                        sum += wy * wx * f64::from(src.data()[((sy * w + sx) * 3 + c) as usize]);
                    }
                }
                out.push(sum.clamp(0.0, 255.0));
            }
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// 11-bit weights are off by at most 1/4096 each: at most about 0.9 levels together, on top of rounding.
    #[test]
    fn agrees_with_the_kernel_in_f64(
        (w, h) in (1usize..40, 1usize..40),
        dst in (1usize..60, 1usize..60),
        seed: u64,
        binary: bool,
    ) {
        let mut state = seed | 1;
        let bytes = (0..w * h * 3).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let byte = (state >> 56) as u8;
            if binary { (byte >> 7) * 255 } else { byte }
        });
        let src = Image::from_bgr(w, h, bytes.collect()).unwrap();
        for interpolation in [Interpolation::Cubic, Interpolation::Linear] {
            let got = run(&src, dst, interpolation);
            let expected = naive(&src, dst, interpolation);
            for (got, expected) in got.data().iter().zip(expected) {
                prop_assert!((f64::from(*got) - expected).abs() < 1.5, "{interpolation:?}: {got} for {expected}");
            }
        }
    }
}

#[test]
fn flat_pictures_stay_flat() {
    for value in [0, 1, 127, 254, 255] {
        let src = Image::from_bgr(31, 17, vec![value; 31 * 17 * 3]).unwrap();
        for interpolation in [Interpolation::Cubic, Interpolation::Linear] {
            for dst in [(240, 11), (3, 50), (15, 8), (31, 17), (1, 1)] {
                let out = run(&src, dst, interpolation);
                assert!(out.data().iter().all(|v| v.abs_diff(value) <= 1), "{interpolation:?} {dst:?} {value}");
            }
        }
    }
}

#[test]
fn bytes_between_rows_are_neither_read_nor_written() {
    let src = Image::from_bgr(9, 7, (0..9 * 7 * 3).map(|i| (i * 31 % 256) as u8).collect()).unwrap();
    for interpolation in [Interpolation::Cubic, Interpolation::Linear] {
        let expected = run(&src, (5, 6), interpolation);
        let mut wide = Image::from_bgr(12, 9, vec![77; 12 * 9 * 3]).unwrap();
        let inside = super::super::Rect::new(2, 1, 11, 8);
        wide.view_mut().part(inside).unwrap().copy_from(src.view()).unwrap();
        let mut out = Image::from_bgr(8, 9, vec![55; 8 * 9 * 3]).unwrap();
        let hole = super::super::Rect::new(1, 2, 6, 8);
        let resizer = Resizer::new((9, 7), (5, 6), interpolation).unwrap();
        let mut scratch = ResizeScratch::new();
        scratch.fit(&resizer);
        let target = out.view_mut().part(hole).unwrap();
        resizer.run(wide.view().part(inside).unwrap(), target, &mut scratch).unwrap();
        for y in 0..9 {
            for x in 0..8 {
                let got = &out.view().row(y)[x * 3..x * 3 + 3];
                let inside = (1..6).contains(&x) && (2..8).contains(&y);
                let want =
                    if inside { &expected.view().row(y - 2)[(x - 1) * 3..(x - 1) * 3 + 3] } else { &[55, 55, 55] };
                assert_eq!(got, want);
            }
        }
    }
}

#[test]
fn wrong_sizes_and_scratch_are_errors() {
    assert!(matches!(Resizer::new((0, 1), (1, 1), Interpolation::Cubic), Err(ResizeError::Size { .. })));
    assert!(matches!(Resizer::new((1, 1), (1, 16_385), Interpolation::Linear), Err(ResizeError::Size { .. })));
    let resizer = Resizer::new((4, 4), (2, 3), Interpolation::Cubic).unwrap();
    let (src, mut dst) = (Image::black(4, 4).unwrap(), Image::black(2, 3).unwrap());
    let mut scratch = ResizeScratch::new();
    let error = resizer.run(src.view(), dst.view_mut(), &mut scratch).unwrap_err();
    assert!(matches!(error, ResizeError::Scratch { got: 0, .. }));
    scratch.fit(&resizer);
    let error = resizer.run(Image::black(4, 3).unwrap().view(), dst.view_mut(), &mut scratch).unwrap_err();
    assert_eq!(error, ResizeError::Mismatch { expected: (4, 4), got: (4, 3) });
    let error = resizer.run(src.view(), Image::black(3, 2).unwrap().view_mut(), &mut scratch).unwrap_err();
    assert_eq!(error, ResizeError::Mismatch { expected: (2, 3), got: (3, 2) });
}
