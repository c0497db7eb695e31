use proptest::prelude::*;

use super::*;
use crate::picture::template::header::Header;
use crate::picture::template::segments::index_segments;
use crate::picture::{Image, JpegEncoder, JpegSettings, Quality};

/// A JPEG of rough pixels whose rows are segments, its tables, and its first row's bytes.
fn row(width_px: usize, quality: u32) -> (Codes, Vec<u8>) {
    let data = (0..width_px * 16 * 3).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    let image = Image::from_bgr(width_px, 16, data).unwrap();
    let settings =
        JpegSettings { restart_interval_mcus: width_px.div_ceil(16) as u16, quality: Quality::new(quality).unwrap() };
    let mut jpeg = Vec::new();
    JpegEncoder::new(settings).unwrap().encode_to_vec(image.view(), &mut jpeg).unwrap();
    let mut ends = Vec::new();
    let scan = index_segments(&jpeg, 1, &mut ends).unwrap();
    (Codes::of(&Header::read(&jpeg).unwrap()).unwrap(), jpeg[scan..ends[0] as usize].to_vec())
}

#[test]
fn a_row_is_read_to_its_last_bit() {
    for (width_px, quality) in [(16, 75), (33, 20), (320, 100), (640, 1)] {
        let (codes, bytes) = row(width_px, quality);
        let mut plain = Vec::new();
        let mut walk = Walk::new(&codes, &bytes, &mut plain);
        assert_eq!(walk.place(), 0);
        walk.skip(width_px.div_ceil(16)).unwrap();
        walk.end().unwrap();
        assert!(bytes.len() as u32 * 8 - walk.place() < 8);
        assert!(walk.head().is_err(), "nothing is left");
        let mut plain = Vec::new();
        let mut walk = Walk::new(&codes, &bytes, &mut plain);
        walk.skip(width_px.div_ceil(16) - 1).unwrap();
        assert!(walk.end().is_err(), "an MCU is left");
    }
}

#[test]
fn heads_hold_the_levels_that_decoders_see() {
    // One flat colour for each MCU, so that a DC level is the colour: grey 128 has level 0.
    let greys = [128_u8, 255, 0, 60, 200];
    let (width_px, mut data) = (greys.len() * 16, Vec::new());
    for _ in 0..16 {
        greys.iter().for_each(|&grey| data.extend([grey; 16 * 3]));
    }
    let image = Image::from_bgr(width_px, 16, data).unwrap();
    let settings = JpegSettings { restart_interval_mcus: greys.len() as u16, quality: Quality::new(100).unwrap() };
    let mut jpeg = Vec::new();
    JpegEncoder::new(settings).unwrap().encode_to_vec(image.view(), &mut jpeg).unwrap();
    let codes = Codes::of(&Header::read(&jpeg).unwrap()).unwrap();
    let mut ends = Vec::new();
    let scan = index_segments(&jpeg, 1, &mut ends).unwrap();
    let mut plain = Vec::new();
    let mut walk = Walk::new(&codes, &jpeg[scan..ends[0] as usize], &mut plain);
    for grey in greys {
        let head = walk.head().unwrap();
        // At quality 100 the quantiser is 1, and a flat block's DC is eight times its level.
        assert_eq!(head.levels, [(i16::from(grey) - 128) * 8, 0, 0]);
        assert!(head.spans.windows(2).all(|pair| pair[0].1 <= pair[1].0));
        assert_eq!(walk.levels(), head.levels);
    }
}

#[test]
fn places_skip_the_stuffing() {
    let segment = [0x12, 0xFF, 0, 0x34, 0xFF, 0, 0x56];
    let mut plain = Vec::new();
    unstuff(&segment, &mut plain);
    assert_eq!(plain[..plain.len() - PADDING], [0x12, 0xFF, 0x34, 0xFF, 0x56]);
    let mut places = Places { segment: &segment, plain: 0, stuffed: 0 };
    let found: Vec<u32> = [0, 9, 15, 16, 24, 32, 40].map(|at| places.of(at)).to_vec();
    assert_eq!(found, [0, 9, 15, 24, 32, 48, 56]);
}

/// Four grey blocks of Y, and nothing where Cb and Cr should be: there, zeros would be grey too.
#[test]
fn a_macroblock_cut_off_is_none() {
    let (codes, _) = row(16, 75);
    let mut plain = Vec::new();
    assert!(Walk::new(&codes, &[0x28, 0xA2, 0x8A, 0x00], &mut plain).head().is_ok());
    assert!(Walk::new(&codes, &[0x28, 0xA2, 0x8A], &mut plain).head().is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rubbish_never_panics(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0xFF), Just(0)], 0..400)) {
        let (codes, _) = row(16, 75);
        let mut plain = Vec::new();
        let mut walk = Walk::new(&codes, &bytes, &mut plain);
        while let Ok(head) = walk.head() {
            prop_assert!(head.spans.iter().all(|(start, end)| start <= end && *end as usize <= bytes.len() * 8));
        }
        let _ = walk.end();
    }
}
