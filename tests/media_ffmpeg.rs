//! The films we write, as ffmpeg sees them. Run with `cargo test --test media_ffmpeg -- --ignored`.

use std::path::{Path, PathBuf};
use std::process::Command;

use lipsyncd::media::{AtomicFile, AviSettings, AviWriter, Mp4Writer};
use lipsyncd::picture::{Image, JpegEncoder, JpegSettings};

const FRAMES: usize = 58;
const RATE_HZ: u32 = 16_000;

fn folder(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("lipsyncd-media-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

fn frame(width: usize, height: usize, index: usize) -> Vec<u8> {
    // Noise, for ffmpeg 5.1 misses the end marker of any JPEG of a few hundred bytes.
    let data = (0..width * height * 3).map(|i| ((i + index).wrapping_mul(2_654_435_761) >> 13) as u8);
    let image = Image::from_bgr(width, height, data.collect()).unwrap();
    let settings = JpegSettings { restart_interval_mcus: 1, ..JpegSettings::default() };
    let mut jpeg = Vec::new();
    JpegEncoder::new(settings).unwrap().encode_to_vec(image.view(), &mut jpeg).unwrap();
    jpeg
}

fn tone(samples: usize) -> Vec<i16> {
    (0..samples).map(|i| (i as f32 * 0.17).sin().mul_add(9000.0, 0.0) as i16).collect()
}

fn write_avi(path: &Path, width: usize, height: usize) {
    let (width_px, height_px) = (width as u32, height as u32);
    let settings = AviSettings { width_px, height_px, fps: 25, sample_rate_hz: RATE_HZ };
    let mut writer = AviWriter::new(AtomicFile::create(path).unwrap(), settings).unwrap();
    // The sound ends inside the last frame, as it does when the film covers it.
    let sound = tone(FRAMES * 640 - 200);
    let mut rest = &sound[..];
    for index in 0..FRAMES {
        writer.write_frame(&frame(width, height, index)).unwrap();
        let due = writer.audio_due().min(rest.len());
        let (now, later) = rest.split_at(due);
        writer.write_audio(now).unwrap();
        rest = later;
    }
    writer.finish().unwrap().commit().unwrap();
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn probe(path: &Path, stream: &str, entries: &str) -> Vec<String> {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-count_frames", "-select_streams", stream, "-show_entries"]);
    let text = output(command.arg(format!("stream={entries}")).args(["-of", "csv=p=0"]).arg(path));
    text.trim().split(',').map(str::to_owned).collect()
}

fn seconds(path: &Path, stream: &str) -> f64 {
    probe(path, stream, "duration")[0].parse().unwrap()
}

fn decode_all(path: &Path) {
    let mut command = Command::new("ffmpeg");
    output(
        command.args(["-v", "warning", "-nostdin", "-guess_layout_max", "0", "-i"]).arg(path).args(["-f", "null", "-"]),
    );
}

#[test]
#[ignore = "needs ffmpeg and ffprobe on PATH"]
fn avi_plays_whole_with_its_sound() {
    for (width, height) in [(64, 48), (51, 37)] {
        let dir = folder("avi");
        let path = dir.join("out.avi");
        write_avi(&path, width, height);
        let video = probe(&path, "v:0", "codec_name,width,height,nb_read_frames");
        assert_eq!(video, ["mjpeg", &width.to_string(), &height.to_string(), &FRAMES.to_string()]);
        let audio = probe(&path, "a:0", "codec_name,sample_rate,channels");
        assert_eq!(audio, ["pcm_s16le", "16000", "1"]);
        assert_eq!(seconds(&path, "v:0"), FRAMES as f64 / 25.0);
        decode_all(&path);
        // The sound comes out sample for sample, so its duration is the film's less the 200 samples.
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "warning", "-nostdin", "-i"]).arg(&path).args(["-map", "0:a", "-f", "s16le", "-"]);
        let raw = command.output().unwrap().stdout;
        let want: Vec<u8> = tone(FRAMES * 640 - 200).into_iter().flat_map(i16::to_le_bytes).collect();
        assert!(raw == want, "the sound changed");
        std::fs::remove_dir_all(dir).unwrap();
    }
}

#[test]
#[ignore = "needs ffmpeg and ffprobe on PATH"]
fn mp4_plays_whole_with_its_sound() {
    for (width, height) in [(64, 48), (51, 37)] {
        let dir = folder("mp4");
        let (avi, path) = (dir.join("sound.avi"), dir.join("out.mp4"));
        write_avi(&avi, 64, 48);
        let mut writer = Mp4Writer::create(&path, 25, &avi).unwrap();
        for index in 0..FRAMES {
            writer.write_frame(&frame(width, height, index)).unwrap();
        }
        assert!(!path.exists());
        writer.finish().unwrap();
        let even = |side: usize| (side.div_ceil(2) * 2).to_string();
        let video = probe(&path, "v:0", "codec_name,width,height,pix_fmt,nb_read_frames");
        assert_eq!(video, ["h264", &even(width), &even(height), "yuv420p", &FRAMES.to_string()]);
        assert_eq!(probe(&path, "a:0", "codec_name"), ["aac"]);
        assert!((seconds(&path, "v:0") - FRAMES as f64 / 25.0).abs() < 0.001);
        assert!((seconds(&path, "a:0") - FRAMES as f64 / 25.0).abs() < 0.04);
        decode_all(&path);
        std::fs::remove_dir_all(dir).unwrap();
    }
}

/// The matrix and the range change on the way from JPEG to H.264; what a player shows must not.
#[test]
#[ignore = "needs ffmpeg on PATH"]
fn mp4_keeps_the_colours() {
    let dir = folder("colours");
    let sound = dir.join("sound.avi");
    write_avi(&sound, 64, 48);
    for (i, bgr) in [[40, 120, 220], [200, 60, 10], [20, 20, 20], [235, 240, 250]].into_iter().enumerate() {
        let path = dir.join(format!("{i}.mp4"));
        let image = Image::from_bgr(64, 48, bgr.repeat(64 * 48)).unwrap();
        let mut jpeg = Vec::new();
        JpegEncoder::new(JpegSettings::default()).unwrap().encode_to_vec(image.view(), &mut jpeg).unwrap();
        let mut writer = Mp4Writer::create(&path, 25, &sound).unwrap();
        for _ in 0..3 {
            writer.write_frame(&jpeg).unwrap();
        }
        writer.finish().unwrap();
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-nostdin", "-i"]).arg(&path);
        let shown = command.args(["-f", "rawvideo", "-pix_fmt", "bgr24", "-"]).output().unwrap().stdout;
        assert_eq!(shown.len(), 3 * 64 * 48 * 3);
        let furthest = shown.iter().zip(bgr.iter().cycle()).map(|(a, b): (&u8, &u8)| a.abs_diff(*b)).max();
        assert!(furthest <= Some(6), "{bgr:?}: {furthest:?}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
#[ignore = "needs ffmpeg on PATH"]
fn ffmpegs_own_words_reach_the_error() {
    let dir = folder("words");
    let mut writer = Mp4Writer::create(&dir.join("out.mp4"), 25, &dir.join("missing.wav")).unwrap();
    let jpeg = frame(64, 48, 0);
    let error = (0..100_000).find_map(|_| writer.write_frame(&jpeg).err()).unwrap();
    assert!(error.to_string().contains("missing.wav"), "{error}");
    drop(writer);
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
    std::fs::remove_dir_all(dir).unwrap();
}
