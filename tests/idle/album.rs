//! The silent pictures that an avatar has not got yet: drawn once, for those who are about to show them, and in nobody's way.

use std::future::poll_fn;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lipsyncd::avatar::{Bundle, Keep, LoadedAvatar, TemplateOptions};
use lipsyncd::backend::{Backend, FrameFormat};
use lipsyncd::batch::BatchKey;
use lipsyncd::picture::Quality;
use lipsyncd::picture::template::OnDemandTemplates;
use lipsyncd::session::{IdleFrames, SessionOptions};
use tempfile::TempDir;

use crate::call::{PER_FRAME, RATE_HZ, START, Stage, is_spoken, options};
use crate::common::speech::speech;
use crate::common::wiretap::Wiretap;
use crate::common::{JPEG, TINY, avatars_dir, cpu_backend, engine, eventually, perform};

/// Ticks for which pictures are drawn ahead.
const AHEAD: usize = 8;

/// The golden avatar with its pictures again and again, on a tapped device of one slot.
struct Tapped {
    tap: Arc<Wiretap>,
    stage: Stage,
    _dir: TempDir,
}

impl Tapped {
    fn new(poses: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let tap = Wiretap::new(cpu_backend());
        let backend: Arc<dyn Backend> = tap.clone();
        let stage = Stage::of(&backend, &with_poses(dir.path(), poses), 1);
        Self { tap, stage, _dir: dir }
    }

    /// Windows and frames that went through the networks since the last look.
    fn drawn(&self) -> [usize; 2] {
        let mut drawn = [0, 0];
        for (key, len) in self.tap.batches() {
            drawn[usize::from(matches!(key, BatchKey::Render(_)))] += len;
        }
        drawn
    }

    /// Pictures that are kept.
    fn kept(&self) -> usize {
        self.stage.avatar.silence().album(JPEG, self.stage.avatar.frame_count()).len()
    }
}

fn with_poses(dir: &Path, poses: usize) -> Bundle {
    let golden = avatars_dir().join(TINY);
    for file in ["avatar.toml", "audio_encoder.onnx", "generator.onnx"] {
        std::fs::copy(golden.join(file), dir.join(file)).unwrap();
    }
    let boxes: Vec<[i32; 4]> = serde_json::from_slice(&std::fs::read(golden.join("boxes.json")).unwrap()).unwrap();
    let repeated: Vec<_> = boxes.iter().cycle().take(poses).collect();
    std::fs::write(dir.join("boxes.json"), serde_json::to_vec(&repeated).unwrap()).unwrap();
    std::fs::create_dir(dir.join("frames")).unwrap();
    for pose in 0..poses {
        let of = |pose: usize| Path::new("frames").join(format!("{pose:06}.jpg"));
        std::fs::copy(golden.join(of(pose % boxes.len())), dir.join(of(pose))).unwrap();
    }
    Bundle::open(dir).unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_picture_is_drawn_once_whoever_waits_for_it_and_nothing_beside() {
    let poses = 30;
    let there = Tapped::new(poses);
    let [mut one, mut beside, mut ahead] =
        [START, START, START + 12].map(|start| there.stage.call_with(options(start)));
    tokio::join!(one.ticks(2 * poses), beside.ticks(2 * poses), ahead.ticks(2 * poses));
    assert_eq!((there.kept(), there.drawn()), (poses, [1, poses]));
    one.check(&there.stage.avatar);
    let silent = there.stage.silent().await;
    for frame in [one, beside, ahead].iter().flat_map(|call| call.frames()) {
        assert!(*frame.data == silent[frame.avatar_frame], "tick {:?}", frame.tick);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_utterance_does_not_wait_for_pictures_that_are_not_shown_yet() {
    let there = Tapped::new(100);
    // Turns know what speech costs, and there is room for nobody but who is alone.
    lipsyncd::batch::rehearse(&there.stage.engine, &there.stage.avatar, JPEG).await.unwrap();
    let tight = SessionOptions { idle_frames: Some(IdleFrames { utilisation: 1e-6 }), ..options(START) };
    let mut call = there.stage.call_with(tight);
    call.ticks(1).await;
    call.say(&speech(50, 20 * PER_FRAME, RATE_HZ)).await;
    call.until(|seen| seen.iter().any(is_spoken)).await;
    let (kept, shown) = (there.kept(), call.frames().len());
    assert!(kept < shown + AHEAD, "{kept} pictures were drawn, {shown} ticks shown");
    call.check(&there.stage.avatar);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_drawn_for_a_call_that_has_gone_and_its_avatar_is_in_use_until_then() {
    let there = Tapped::new(100);
    let mut call = there.stage.call();
    call.ticks(1).await;
    there.tap.hold();
    tokio::select! {
        () = call.ticks(95) => panic!("pictures out of nowhere"),
        () = eventually("a picture is at the gate", || there.tap.waiting() == 1) => {}
    }
    there.drawn();
    let sessions = || there.stage.avatar.usage().sessions;
    drop(call);
    assert_eq!((there.stage.engine.waiting(), sessions()), ((0, 0), 1), "the one at the gate is still to come");
    there.tap.release();
    eventually("nobody has the avatar", || sessions() == 0).await;
    assert_eq!(there.drawn(), [0, 1]);
    let (kept, mut next) = (there.kept(), there.stage.call());
    next.ticks(kept + 2 * AHEAD).await;
    next.check(&there.stage.avatar);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_what_another_had_asked_for_has_it_drawn_when_that_one_goes() {
    let there = Tapped::new(100);
    let [mut one, mut other] = [(); 2].map(|()| there.stage.call());
    one.ticks(1).await;
    there.tap.hold();
    tokio::select! {
        () = async { tokio::join!(one.ticks(95), other.ticks(95)); } => panic!("pictures out of nowhere"),
        () = eventually("a picture is at the gate", || there.tap.waiting() == 1) => {}
    }
    let waits = tokio::spawn(async move {
        other.ticks(3 * AHEAD).await;
        other
    });
    drop(one);
    there.tap.release();
    waits.await.unwrap().check(&there.stage.avatar);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_what_another_has_drawn_is_told_and_does_not_keep_looking() {
    let there = Tapped::new(100);
    let [mut one, mut other] = [(); 2].map(|()| there.stage.call());
    one.ticks(1).await;
    there.tap.hold();
    let looks = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&looks);
    let waits = tokio::spawn(async move {
        let mut ticks = Box::pin(other.ticks(3 * AHEAD));
        poll_fn(|context| {
            counted.fetch_add(1, Ordering::Relaxed);
            ticks.as_mut().poll(context)
        })
        .await;
        drop(ticks);
        other
    });
    tokio::select! {
        () = one.ticks(95) => panic!("pictures out of nowhere"),
        () = eventually("a picture is at the gate", || there.tap.waiting() == 1) => {}
    }
    // By then it has shown what there is.
    tokio::time::sleep(Duration::from_millis(600)).await;
    let before = looks.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let more = looks.load(Ordering::Relaxed) - before;
    there.tap.release();
    assert!(more < 20, "it has looked {more} times in half a second");
    tokio::join!(one.ticks(3 * AHEAD), async { waits.await.unwrap().check(&there.stage.avatar) });
}

/// An avatar in `dir` of which no template at another quality than its own is kept.
fn without_backgrounds(dir: &Path, poses: usize) -> Stage {
    let (bundle, backend) = (with_poses(dir, poses), cpu_backend());
    let on_demand = Arc::new(OnDemandTemplates::new(0));
    let keep = Keep::Templates(TemplateOptions { quality: Quality::DEFAULT, cache_dir: None, on_demand });
    let avatar = LoadedAvatar::load(TINY.parse().unwrap(), &bundle, Arc::clone(&backend), &keep, &|_| {}).unwrap();
    Stage { engine: engine(&backend, 1, 8, 1), avatar: Arc::new(avatar) }
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_at_another_quality_is_shown_without_reading_a_picture_again() {
    let (dir, poses) = (tempfile::tempdir().unwrap(), 6);
    let stage = without_backgrounds(dir.path(), poses);
    let other = FrameFormat::Jpeg(Quality::new(31).unwrap());
    let mut call = stage.call_with(SessionOptions { format: other, ..options(START) });
    call.ticks(2 * poses).await;
    dir.close().unwrap();
    call.ticks(2 * poses).await;
    call.check(&stage.avatar);
    let frames = call.frames();
    let (drawn, kept) = frames.split_at(2 * poses);
    for frame in kept {
        let first = drawn.iter().find(|first| first.avatar_frame == frame.avatar_frame).unwrap();
        assert!(*frame.data == *first.data, "tick {:?}", frame.tick);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_alone_is_drawn_at_another_quality_without_its_background() {
    let dir = tempfile::tempdir().unwrap();
    let stage = without_backgrounds(dir.path(), 2);
    dir.close().unwrap();
    let sound = speech(51, 4 * PER_FRAME, RATE_HZ);
    let mut bytes = [0; 2];
    for (quality, bytes) in [90, 31].into_iter().zip(&mut bytes) {
        let format = FrameFormat::PatchJpeg(Quality::new(quality).unwrap());
        let take = perform(&stage.engine, &stage.avatar, SessionOptions::new(format, RATE_HZ), &sound).await;
        assert_eq!(take.frames.len(), 4);
        *bytes = take.frames.iter().map(|frame| frame.data.len()).sum();
    }
    assert!(bytes[0] > bytes[1], "{bytes:?}");
}
