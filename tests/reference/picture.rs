//! `picture` against OpenCV, Pillow and numpy: `tests/golden/picture/README.md` says how the files were made.

use std::path::PathBuf;

use lipsyncd::picture::{
    ChannelOrder, CompositeScratch, Compositor, GeneratorGeometry, Image, Interpolation, PictureInput, Rect,
    ResizeScratch, Resizer, cut_crop, decode_file,
};

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/picture").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(golden(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn floats(name: &str) -> Vec<f32> {
    bytes(name).as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect()
}

/// How many bytes differ, none by more than one level.
#[track_caller]
fn differing(got: &[u8], want: &[u8], what: &str) -> usize {
    assert_eq!(got.len(), want.len(), "{what}");
    assert!(got.iter().zip(want).all(|(a, b)| a.abs_diff(*b) <= 1), "{what}: more than one level apart");
    got.iter().zip(want).filter(|(a, b)| a != b).count()
}

#[test]
fn decoding_gives_opencvs_pixels() {
    let mut checked = 0;
    for entry in std::fs::read_dir(golden("")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.starts_with("decode_") && !name.ends_with(".bgr") {
            let image = decode_file(&golden(&name)).unwrap_or_else(|error| panic!("{error}"));
            assert!(image.data() == bytes(&format!("{name}.bgr")), "{name}");
            checked += 1;
        }
    }
    assert_eq!(checked, 18);
}

#[test]
fn resizing_gives_opencvs_pixels() {
    let cases: [[usize; 4]; 12] = [
        [1, 1, 5, 3],
        [2, 3, 1, 1],
        [3, 2, 7, 9],
        [31, 23, 47, 11],
        [23, 31, 11, 47],
        [41, 37, 20, 18],
        [24, 20, 12, 10],
        [24, 20, 48, 40],
        [17, 17, 17, 17],
        [82, 82, 60, 60],
        [60, 60, 82, 82],
        [60, 59, 7, 6],
    ];
    let (mut ipp_differing, mut opencv_differing, mut total) = (0, 0, 0);
    for [sw, sh, dw, dh] in cases {
        let name = format!("resize_{sw}x{sh}_{dw}x{dh}");
        let source = Image::from_bgr(sw, sh, bytes(&format!("{name}_src.bgr"))).unwrap();
        for (kind, interpolation) in [("cubic", Interpolation::Cubic), ("linear", Interpolation::Linear)] {
            let resizer = Resizer::new((sw, sh), (dw, dh), interpolation).unwrap();
            let mut scratch = ResizeScratch::new();
            scratch.fit(&resizer);
            let mut out = Image::black(dw, dh).unwrap();
            resizer.run(source.view(), out.view_mut(), &mut scratch).unwrap();
            for (build, count) in [("ipp", &mut ipp_differing), ("opencv", &mut opencv_differing)] {
                let name = format!("{name}_{kind}_{build}.bgr");
                *count += differing(out.data(), &bytes(&name), &name);
            }
            total += out.data().len();
        }
    }
    assert!(opencv_differing * 1000 <= total, "{opencv_differing} of {total} bytes differ from OpenCV's own path");
    assert!(ipp_differing * 20 <= total, "{ipp_differing} of {total} bytes differ from OpenCV with IPP");
}

#[test]
fn cropping_filling_and_pasting_follow_the_recipe() {
    let geometry = GeneratorGeometry::new(40, 2, ChannelOrder::Bgr, Interpolation::Cubic).unwrap();
    let area = Rect::new(22, 9, 55, 42);
    let mut frame = Image::from_bgr(75, 61, bytes("paste_frame.bgr")).unwrap();
    let crop = cut_crop(frame.view(), area, &geometry).unwrap();
    assert!(differing(crop.data(), &bytes("paste_crop.bgr"), "crop") <= 5);

    // From the reference's own crop on, so that one byte's rounding there does not spread.
    let crop = bytes("paste_crop.bgr");
    let mut input = vec![0.0; geometry.input_len()];
    PictureInput::new(geometry, [3, 4, 31, 33]).unwrap().fill(&crop, &mut input).unwrap();
    assert!(input == floats("paste_input.f32"), "the generator's input differs");

    let compositor = Compositor::new(geometry, &[area]).unwrap();
    let mut scratch = CompositeScratch::new();
    scratch.fit(&compositor);
    compositor
        .paste(
            &floats("paste_output.f32"),
            lipsyncd::picture::Surround::Crop(&crop),
            area,
            frame.view_mut(),
            &mut scratch,
        )
        .unwrap();
    assert!(differing(frame.data(), &bytes("paste_after.bgr"), "frame") <= 3);
}
