//! Mel spectrograms against librosa's, over the sounds of `tests/golden/audio` (see the README there).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lipsyncd::audio::{MelParams, MelPlan, ResamplePlan, mel_spectrogram, read_wav, resample, write_npy};

/// Same rate: both compute in `f64`, so this is the recipe's bound with nothing used up by arithmetic.
const EXACT_LARGEST: f32 = 1e-3;

/// Resampled: two filters of the same transition band, compared in mel units (-4..4).
const RESAMPLED_MEAN: f32 = 5e-3;

const RECIPE_HZ: u32 = 16_000;

fn golden(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/audio").join(file)
}

/// `[rows, columns]` and the values of a 2-D little-endian float32 `.npy` in C order.
fn read_npy(path: &Path) -> ([usize; 2], Vec<f32>) {
    let bytes = std::fs::read(path).unwrap();
    let data = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..data]).unwrap();
    assert!(header.contains("'<f4'") && header.contains("'fortran_order': False"), "{header}");
    let shape = header.split(['(', ')']).nth(1).unwrap();
    let sizes: Vec<usize> = shape.split(", ").map(|size| size.parse().unwrap()).collect();
    let values = bytes[data..].as_chunks().0.iter().map(|&b| f32::from_le_bytes(b));
    ([sizes[0], sizes[1]], values.collect())
}

/// The differences of one sound's mel from librosa's, and the sound's rate.
fn differences(name: &str) -> (u32, Vec<f32>) {
    let pcm = read_wav(&golden(&format!("{name}.wav"))).unwrap();
    let plan = Arc::new(ResamplePlan::new(pcm.sample_rate_hz, RECIPE_HZ).unwrap());
    let samples = resample(&plan, &pcm.samples);
    let plan = Arc::new(MelPlan::new(MelParams::default()).unwrap());
    let mel = mel_spectrogram(&plan, &samples);
    let (shape, expected) = read_npy(&golden(&format!("{name}.npy")));
    assert_eq!([mel.len() / 80, 80], shape, "{name}");
    let differences = mel.iter().zip(&expected).map(|(a, b)| (a - b).abs());
    (pcm.sample_rate_hz, differences.collect())
}

fn largest(differences: &[f32]) -> f32 {
    differences.iter().copied().fold(0.0, f32::max)
}

fn mean(differences: &[f32]) -> f32 {
    differences.iter().sum::<f32>() / differences.len() as f32
}

/// The names of the golden sounds.
fn names() -> Vec<String> {
    let folder = std::fs::read_dir(golden("")).unwrap();
    let mut names: Vec<String> = folder
        .filter_map(|entry| Some(entry.unwrap().file_name().to_str()?.strip_suffix(".wav")?.to_owned()))
        .collect();
    names.sort();
    assert!(names.len() >= 28, "golden sounds are missing: {names:?}");
    names
}

#[test]
fn mels_are_those_of_librosa() {
    let mut failures = Vec::new();
    for name in names() {
        let (rate_hz, differences) = differences(&name);
        let (largest, mean) = (largest(&differences), mean(&differences));
        println!("{name:24} {rate_hz:6} Hz: largest {largest:.2e}, mean {mean:.2e}");
        let good = match rate_hz {
            RECIPE_HZ => largest <= EXACT_LARGEST,
            _ => mean <= RESAMPLED_MEAN,
        };
        if !good {
            failures.push(name);
        }
    }
    assert!(failures.is_empty(), "too far from librosa: {failures:?}");
}

#[test]
fn written_npy_files_are_read_back_the_same() {
    let (shape, values) = read_npy(&golden("speech_s16.npy"));
    let mut bytes = Vec::new();
    write_npy(&mut bytes, &values, shape[1]).unwrap();
    assert!(bytes == std::fs::read(golden("speech_s16.npy")).unwrap(), "numpy.save wrote other bytes");
}
