use proptest::prelude::*;

use super::*;
use crate::picture::{Image, JpegEncoder, JpegSettings, Quality};

fn jpeg(width: usize, height: usize, restart_interval_mcus: u16) -> Vec<u8> {
    let data = (0..width * height * 3).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    let image = Image::from_bgr(width, height, data).unwrap();
    let settings = JpegSettings { restart_interval_mcus, quality: Quality::new(95).unwrap() };
    let mut out = Vec::new();
    JpegEncoder::new(settings).unwrap().encode_to_vec(image.view(), &mut out).unwrap();
    out
}

#[test]
fn segments_and_markers_make_up_the_whole_file() {
    let jpeg = jpeg(160, 48, 2);
    let mut ends = Vec::new();
    let scan = index_segments(&jpeg, 15, &mut ends).unwrap();
    assert_eq!(jpeg[..scan].windows(2).filter(|w| *w == [0xFF, 0xDA]).count(), 1);
    let mut start = scan;
    for (i, &end) in ends.iter().enumerate() {
        let end = end as usize;
        let marker = if i == 14 { EOI } else { 0xD0 + (i % 8) as u8 };
        assert_eq!(jpeg[end..end + 2], [0xFF, marker]);
        // Inside a segment every FF is stuffed.
        for pair in jpeg[start..end].windows(2) {
            assert!(pair[0] != 0xFF || pair[1] == 0);
        }
        start = end + 2;
    }
    assert_eq!(start, jpeg.len());
}

#[test]
fn the_search_finds_what_a_plain_one_finds() {
    for len in 0..40 {
        for marked in 0..=len {
            let mut bytes = vec![0xFE; len];
            bytes.iter_mut().step_by(3).for_each(|b| *b = 0x7F);
            if let Some(byte) = bytes.get_mut(marked) {
                *byte = 0xFF;
            }
            for from in 0..=len {
                let plain = bytes[from..].iter().position(|&b| b == 0xFF).map(|i| i + from);
                assert_eq!(find_ff(&bytes, from), plain);
            }
        }
    }
    assert_eq!(find_ff(&[1, 2], 3), None);
}

#[test]
fn wrong_counts_and_orders_are_named() {
    let good = jpeg(160, 48, 2);
    let mut ends = Vec::new();
    assert_eq!(index_segments(&good, 14, &mut ends), Err(SegmentError::Count { expected: 14, got: 15 }));
    assert_eq!(index_segments(&good, 16, &mut ends), Err(SegmentError::Count { expected: 16, got: 15 }));
    index_segments(&good, 15, &mut ends).unwrap();
    let at = ends[3] as usize;
    let mut bad = good.clone();
    bad[at + 1] = 0xD5;
    assert_eq!(index_segments(&bad, 15, &mut ends), Err(SegmentError::Marker { marker: 0xD5, at }));
    let mut longer = good.clone();
    longer.push(0);
    assert!(matches!(index_segments(&longer, 15, &mut ends), Err(SegmentError::End { .. })));
    assert!(matches!(index_segments(&good[..good.len() - 1], 15, &mut ends), Err(SegmentError::End { .. })));
    assert!(matches!(index_segments(b"", 1, &mut ends), Err(SegmentError::Header { at: 0 })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the bytes, an index that is accepted is in order and inside the file.
    #[test]
    fn mutated_files_never_panic_and_accepted_ones_are_sound(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in prop::option::weighted(0.3, any::<prop::sample::Index>()),
        expected in prop_oneof![Just(15usize), 0usize..40],
    ) {
        let mut bytes = jpeg(160, 48, 2);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let mut ends = Vec::new();
        if let Ok(scan) = index_segments(&bytes, expected, &mut ends) {
            prop_assert_eq!(ends.len(), expected);
            let mut last = scan;
            for end in ends {
                prop_assert!(last <= end as usize && end as usize + 2 <= bytes.len());
                last = end as usize + 2;
            }
            prop_assert_eq!(last, bytes.len());
        }
    }
}
