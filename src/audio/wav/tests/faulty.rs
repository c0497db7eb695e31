//! One file for each way to be wrong.

use super::*;

#[test]
fn each_fault_is_named() {
    let with_format = |body: &[u8]| riff(&[chunk(b"fmt ", body), chunk(b"data", &[0; 8])]);
    let mut misaligned = fmt(PCM, 2, 8000, 16);
    misaligned[12] = 3;
    let mut strange_guid = extensible(PCM, 1, 8000, 16);
    strange_guid[39] = 0;
    let nan: Vec<u8> = [0.0, 0.0, 0.0, f32::NAN].iter().flat_map(|x: &f32| x.to_le_bytes()).collect();
    let too_large = 1e300_f64.to_le_bytes();
    let cases: [(Vec<u8>, &str); 21] = [
        (vec![], "the file is empty (0 bytes)"),
        (b"RIFF\0\0\0\0WAV".to_vec(), "the file is 11 bytes long"),
        (b"OggS\0\0\0\0\0\xFF\0\0".to_vec(), "the file starts with \"OggS\" and \"\\x00\\xff\\x00\\x00\""),
        (piped(&[0; 10], 11, 40), "the \"data\" chunk says 11 bytes but the file holds 10"),
        (piped(&[0; 10], 0x7FFF_EFFF, 0), "the \"data\" chunk says 2147479551 bytes"),
        (riff(&[chunk(b"LIST", &[0; 8])])[..22].to_vec(), "the \"LIST\" chunk says 8 bytes but the file holds 2"),
        (riff(&[chunk(b"data", &[0; 8])]), "the file has no \"fmt \" chunk"),
        (with_format(&[0; 14]), "the \"fmt \" chunk is 14 bytes long and needs at least 16"),
        (with_format(&fmt(0xFFFE, 1, 8000, 16)), "the \"fmt \" chunk is 16 bytes long and needs at least 40"),
        (riff(&[chunk(b"fmt ", &fmt(PCM, 1, 8000, 16))]), "the file has no \"data\" chunk"),
        (wav(PCM, 1, 8000, 16, &[]), "the \"data\" chunk holds no samples"),
        (wav(PCM, 1, 0, 16, &[0; 8]), "the header says 0 Hz"),
        (wav(PCM, 1, 768_001, 16, &[0; 8]), "the header says 768001 Hz"),
        (wav(PCM, 0, 8000, 16, &[0; 8]), "the header says 0 channels"),
        (wav(PCM, 9, 8000, 16, &[0; 18]), "the file has 9 channels and at most 8 are read"),
        (wav(6, 1, 8000, 8, &[0; 8]), "format tag 0x0006 with 8 bits is not read"),
        (with_format(&strange_guid), "the extensible format's GUID"),
        (with_format(&misaligned), "the header says 3 bytes per sample block, but 2 channels of 16 bits take 4"),
        (
            wav(PCM, 2, 8000, 16, &[0; 7]),
            "the \"data\" chunk's 7 bytes are not a whole number of sample blocks of 4 bytes",
        ),
        (wav(FLOAT, 2, 10, 32, &nan), "sample 1 (at 0.100 s) of channel 1 is not a number"),
        (wav(FLOAT, 1, 10, 64, &too_large), "sample 0 (at 0.000 s) of channel 0 is infinite"),
    ];
    for (bytes, start) in cases {
        let message = parse_wav(&bytes).unwrap_err().to_string();
        assert!(message.starts_with(start), "{message}\n{start}");
    }
}

#[test]
fn files_that_cannot_be_read_name_their_path() {
    let error = read_wav(Path::new("no/such/file.wav")).unwrap_err();
    assert!(error.to_string().contains("no/such/file.wav"));
    assert!(std::error::Error::source(&error).is_some());
}
