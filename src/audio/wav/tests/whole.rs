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

#[test]
fn parts_of_a_file_are_parts_of_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sound.wav");
    let data: Vec<u8> = (0..60_000_u32).map(|n| (n * n % 251) as u8).collect();
    let tags = chunk(b"LIST", &vec![7; 10_001]);
    // Headers at the front, and so far behind others that they are not found at first.
    for bytes in
        [wav(PCM, 2, 48_000, 24, &data), riff(&[tags, chunk(b"fmt ", &fmt(PCM, 1, 8000, 16)), chunk(b"data", &data)])]
    {
        std::fs::write(&path, &bytes).unwrap();
        let whole = parse_wav(&bytes).unwrap();
        let file = WavFile::open(&path).unwrap();
        assert_eq!(file.pcm().unwrap(), whole);
        assert_eq!(file.samples(), whole.samples.len());
        for range in [0..1, 0..0, 8191..8193, 500..file.samples()] {
            let mut part = Vec::new();
            file.read(range.clone(), &mut |block| part.extend_from_slice(block)).unwrap();
            assert_eq!(part, whole.samples[range]);
        }
    }
}

#[test]
fn a_bad_sample_is_named_by_its_place_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bad.wav");
    let mut data: Vec<u8> = vec![0; 8 * 20_000];
    data[8 * 9000 + 4..][..4].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&path, wav(FLOAT, 2, 16_000, 32, &data)).unwrap();
    let file = WavFile::open(&path).unwrap();
    let WavFileError::Parse { source, .. } = file.read(8999..9001, &mut |_| {}).unwrap_err() else {
        panic!("no parse error")
    };
    let value = crate::audio::NotFiniteValue::Nan;
    assert_eq!(source, WavError::NotFinite { sample: 9000, second: 0.5625, channel: 1, value });
    assert_eq!(file.read(9001..20_000, &mut |_| {}).map_err(|_| ()), Ok(()));
}
