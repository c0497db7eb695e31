//! Files that are as they should be, or as good as.

use super::*;

#[test]
fn every_encoding_is_scaled_to_one() {
    let top = |bits: i32| 1.0 - 2f32.powi(1 - bits);
    let floats: Vec<u8> = [-1.0_f32, 0.0, 0.25, 1.5].iter().flat_map(|x| x.to_le_bytes()).collect();
    let doubles: Vec<u8> = [-1.0_f64, 0.0, 0.25, 1.5].iter().flat_map(|x| x.to_le_bytes()).collect();
    let cases: [(u16, u16, &[u8], &[f32]); 6] = [
        (PCM, 8, &[0, 128, 129, 255], &[-1.0, 0.0, 1.0 / 128.0, top(8)]),
        (PCM, 16, &[0, 0x80, 0, 0, 0, 0x40, 0xFF, 0x7F], &[-1.0, 0.0, 0.5, top(16)]),
        (PCM, 24, &[0, 0, 0x80, 0, 0, 0, 0, 0, 0xC0, 0xFF, 0xFF, 0x7F], &[-1.0, 0.0, -0.5, top(24)]),
        (PCM, 32, &[0, 0, 0, 0x80, 0, 0, 0, 0x20], &[-1.0, 0.25]),
        (FLOAT, 32, &floats, &[-1.0, 0.0, 0.25, 1.5]),
        (FLOAT, 64, &doubles, &[-1.0, 0.0, 0.25, 1.5]),
    ];
    for (tag, bits, data, samples) in cases {
        let expected = Pcm { sample_rate_hz: 22_050, samples: samples.to_vec() };
        assert_eq!(parse_wav(&wav(tag, 1, 22_050, bits, data)).as_ref(), Ok(&expected));
        let format = chunk(b"fmt ", &extensible(tag, 1, 22_050, bits));
        assert_eq!(parse_wav(&riff(&[format, chunk(b"data", data)])), Ok(expected));
    }
}

#[test]
fn channels_are_averaged() {
    let data: Vec<u8> = [100_i16, 200, 600, -3, -3, 0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let pcm = parse_wav(&wav(PCM, 3, 48_000, 16, &data)).unwrap();
    assert_eq!(pcm.samples, [300.0 / 32_768.0, -2.0 / 32_768.0]);
    // Finite values whose f32 sum is not.
    let data: Vec<u8> = [f32::MAX; 8].iter().flat_map(|x| x.to_le_bytes()).collect();
    assert_eq!(parse_wav(&wav(FLOAT, 8, 48_000, 32, &data)).unwrap().samples, [f32::MAX]);
}

#[test]
fn other_chunks_are_skipped_odd_ones_with_their_pad() {
    let bytes = riff(&[
        chunk(b"JUNK", &[7; 3]),
        chunk(b"fmt ", &fmt(PCM, 1, 8000, 8)),
        chunk(b"LIST", b"odd"),
        chunk(b"data", &[128, 192, 128]),
        chunk(b"id3 ", &[1; 9]),
    ]);
    assert_eq!(parse_wav(&bytes).unwrap().samples, [0.0, 0.5, 0.0]);
    // A writer that leaves out the last pad byte.
    let bytes = wav(PCM, 1, 8000, 8, &[128, 192, 128]);
    assert_eq!(parse_wav(&bytes[..bytes.len() - 1]).unwrap().samples.len(), 3);
}

#[test]
fn piped_files_are_read_to_their_end() {
    let data = [0, 0x40, 0, 0xC0];
    for (length, outer) in [
        (u32::MAX, u32::MAX),       // ffmpeg
        (0x7FFF_F000, 0x7FFF_F024), // SoX, espeak-ng
        (0, 0),                     // a header never filled in
        (0, 36),
    ] {
        let pcm = parse_wav(&piped(&data, length, outer)).unwrap();
        assert_eq!(pcm.samples, [0.5, -0.5], "{length:#x} {outer:#x}");
    }
}

#[test]
fn an_empty_sound_with_tags_behind_it_is_empty() {
    let bytes = riff(&[chunk(b"fmt ", &fmt(PCM, 1, 8000, 16)), chunk(b"data", &[]), chunk(b"LIST", &[1; 8])]);
    assert_eq!(parse_wav(&bytes), Err(WavError::NoSamples));
}
