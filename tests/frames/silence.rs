//! Where nothing is heard nothing is computed twice: the same bytes as the networks make, without them.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use crate::common::speech::{Random, speech};
use crate::common::wiretap::Wiretap;
use crate::common::{Got, JPEG, TINY, avatars_dir, bundle, cpu_backend, engine, load, perform};
use lipsyncd::avatar::{Bundle, LoadedAvatar};
use lipsyncd::backend::{Backend, FrameFormat};
use lipsyncd::batch::{BatchKey, Engine};
use lipsyncd::picture::Quality;
use lipsyncd::session::SessionOptions;

const RATE_HZ: u32 = 16_000;
const PER_FRAME: usize = RATE_HZ as usize / 25;
/// Speech, silence, speech, in frames. The context reaches 8 frames back and 7 ahead, a window 5.
const PARTS: [usize; 3] = [20, 60, 20];

/// Speech with a pause in it that is exactly silent.
fn sound() -> Vec<f32> {
    let spoken = speech(31, (PARTS[0] + PARTS[2]) * PER_FRAME, RATE_HZ);
    let (before, after) = spoken.split_at(PARTS[0] * PER_FRAME);
    [before, &vec![0.0; PARTS[1] * PER_FRAME], after].concat()
}

struct Stage {
    tap: Arc<Wiretap>,
    engine: Engine,
    avatar: Arc<LoadedAvatar>,
}

impl Stage {
    fn new() -> Self {
        Self::of(&bundle())
    }

    fn of(bundle: &Bundle) -> Self {
        let tap = Wiretap::new(cpu_backend());
        let backend: Arc<dyn Backend> = tap.clone();
        let avatar = load(&backend, bundle);
        Self { engine: engine(&backend, 2, 8, 1), tap, avatar }
    }

    async fn say(&self, format: FrameFormat, sound: &[f32]) -> (Vec<Got>, [usize; 2]) {
        let options = SessionOptions { start_position: 3, ..SessionOptions::new(format, RATE_HZ) };
        let take = perform(&self.engine, &self.avatar, options, sound).await;
        (take.frames, self.drawn())
    }

    /// Windows and frames that went through the networks since the last look.
    fn drawn(&self) -> [usize; 2] {
        let mut drawn = [0, 0];
        for (key, len) in self.tap.batches() {
            drawn[usize::from(matches!(key, BatchKey::Render(_)))] += len;
        }
        drawn
    }

    /// The silent picture of every pose, by the networks: a session that is given its context keeps nothing.
    async fn silent_pictures(&self, format: FrameFormat) -> Vec<Vec<u8>> {
        let feature = self.avatar.silence().feature().expect("silence has been heard");
        let context: Vec<f32> = std::iter::repeat_n(feature, self.avatar.context().rows()).flatten().copied().collect();
        let frames = self.avatar.frame_count();
        let options = SessionOptions {
            max_frames: Some(frames),
            fixed_context: Some(context.into()),
            ..SessionOptions::new(format, RATE_HZ)
        };
        let take = perform(&self.engine, &self.avatar, options, &[]).await;
        assert_eq!(self.drawn(), [0, frames], "each was drawn");
        take.frames.into_iter().map(|frame| frame.data).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_costs_its_poses_once_and_then_nothing() {
    let stage = Stage::new();
    let poses = stage.avatar.frame_count();
    let frames: usize = PARTS.iter().sum();
    let (first, drawn) = stage.say(JPEG, &sound()).await;
    // A frame sees only silence when its context, 8 windows back and 7 ahead, and they 5 frames, do. The last window that
    // touches the speech before begins with its last sample and half a transform.
    let silent: Vec<usize> = (PARTS[0] + 10..PARTS[0] + PARTS[1] - 13).collect();
    let truth = stage.silent_pictures(JPEG).await;
    for &index in &silent {
        assert!(first[index].data == truth[first[index].avatar_frame], "frame {index}");
    }
    assert!(drawn[1] <= frames - silent.len() + 2 * poses, "{drawn:?} of {frames}, with {poses} poses");
    let (again, drawn) = stage.say(JPEG, &sound()).await;
    assert!(again == first, "not the same frames");
    assert!(drawn[1] <= frames - silent.len() && drawn[1] >= PARTS[0] + PARTS[2], "{drawn:?} of {frames}");
    assert!(drawn[0] < frames - PARTS[1] / 2, "silent windows are not encoded again: {drawn:?}");
    let usage = stage.avatar.usage();
    // What tells the loop's poses: the given contexts too were drawn.
    assert_eq!(usage.frames + usage.silent_frames, (2 * frames + poses) as u64, "each frame counts once");
    assert!(usage.silent_frames >= silent.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_is_kept_by_itself_and_equals_what_is_drawn() {
    let stage = Stage::new();
    let silence = vec![0.0; 40 * PER_FRAME];
    for quality in [Quality::DEFAULT, Quality::new(31).unwrap()] {
        for format in [FrameFormat::Jpeg(quality), FrameFormat::PatchJpeg(quality), FrameFormat::PatchSegments(quality)]
        {
            let (first, drawn) = stage.say(format, &silence).await;
            assert!(drawn[1] > 0, "another form is drawn anew");
            let (again, drawn) = stage.say(format, &silence).await;
            assert!(again == first, "{format:?}");
            let truth = stage.silent_pictures(format).await;
            let middle = &again[10..25];
            assert!(middle.iter().all(|frame| frame.data == truth[frame.avatar_frame]), "{format:?}");
            assert!(drawn[1] <= 40 - middle.len(), "{drawn:?}: {format:?}");
        }
    }
    let bytes = stage.avatar.silence().bytes();
    assert!(bytes > 0 && stage.avatar.resident_bytes() > bytes);
    let (raw, drawn) = stage.say(FrameFormat::Bgr, &silence).await;
    assert_eq!((raw.len(), drawn[1]), (40, 40), "pixels are not kept");
}

/// The golden avatar in two pictures of noise, which at the best quality are several times as long as at the daemon's.
fn noisy(dir: &Path) -> Bundle {
    let of = |file: &str| avatars_dir().join(TINY).join(file);
    for file in ["avatar.toml", "audio_encoder.onnx", "generator.onnx"] {
        std::fs::copy(of(file), dir.join(file)).unwrap();
    }
    std::fs::write(dir.join("boxes.json"), "[[0, 0, 108, 108], [173, 106, 270, 203]]").unwrap();
    std::fs::create_dir(dir.join("frames")).unwrap();
    let (width, height) = (1280, 720);
    let mut random = Random::new(4);
    for frame in ["000000.png", "000001.png"] {
        let file = File::create(dir.join("frames").join(frame)).unwrap();
        let mut encoder = png::Encoder::new(file, width, height);
        encoder.set_color(png::ColorType::Rgb);
        let pixels: Vec<u8> = (0..3 * width * height).map(|_| random.below(256) as u8).collect();
        encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    }
    Bundle::open(dir).unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_at_another_quality_has_room_in_a_new_sessions_buffers() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::of(&noisy(folder.path()));
    let silence = vec![0.0; 40 * PER_FRAME];
    let best = FrameFormat::Jpeg(Quality::new(100).unwrap());
    let (first, _) = stage.say(best, &silence).await;
    assert!(first.iter().all(|frame| frame.data.len() > stage.avatar.jpeg_pool().buffer_bytes()));
    let (again, drawn) = stage.say(best, &silence).await;
    assert!(drawn[1] < 30 && again == first, "{drawn:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whisper_is_not_silence() {
    let stage = Stage::new();
    let silence = vec![0.0; 40 * PER_FRAME];
    let (quiet, _) = stage.say(JPEG, &silence).await;
    let whisper: Vec<f32> = speech(5, 40 * PER_FRAME, RATE_HZ).iter().map(|sample| sample * 0.01).collect();
    let (heard, drawn) = stage.say(JPEG, &whisper).await;
    assert_eq!(drawn[1], 40);
    assert!((12..25).all(|index| heard[index].data != quiet[index].data));
    // Half a level of 16 bits is below the floor of the mel scale: the networks cannot tell it from nothing.
    let (same, drawn) = stage.say(JPEG, &vec![1e-9; 40 * PER_FRAME]).await;
    assert!(same == quiet);
    assert!(drawn[1] < 30, "{drawn:?}");
}
