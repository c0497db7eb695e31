//! What generators make of pictures alone is kept, and nobody can tell from the frames.

use std::collections::HashSet;
use std::sync::Arc;

use crate::common::{JPEG, Take, bytes, cpu_backend, cpu_backend_that_keeps, demo, engine, load, perform, root};
use lipsyncd::audio::read_wav;
use lipsyncd::avatar::LoadedAvatar;
use lipsyncd::backend::Backend;
use lipsyncd::batch::rehearse_pictures;
use lipsyncd::session::SessionOptions;
use lipsyncd::telemetry::WorkClass;

/// Bytes that the demo's generator makes of one picture before it hears anything, six tensors of float32, and those of the ring around it.
const DEMO_PICTURE: u64 = 4 * (409_600 + 307_200 + 204_800 + 102_400 + 38_400 + 16_000) + 3 * (328 * 328 - 320 * 320);

/// The first fourteen frames of the demo's sentence, as often as `times` says, spoken by two lanes. No more sound: what is beyond the last frame of an
/// utterance begins another.
async fn speak(backend: &Arc<dyn Backend>, avatar: &Arc<LoadedAvatar>, times: usize) -> Vec<Take> {
    let engine = engine(backend, 2, 8, 1);
    let pcm = read_wav(&root().join("avatars/demo/sentence.wav")).unwrap();
    let sound = &pcm.samples[..14 * pcm.sample_rate_hz as usize / avatar.fps() as usize];
    let mut takes = Vec::new();
    for _ in 0..times {
        takes.push(perform(&engine, avatar, SessionOptions::new(JPEG, pcm.sample_rate_hz), sound).await);
    }
    takes
}

#[tokio::test]
async fn frames_are_the_same_bytes_whatever_is_kept() {
    let backend = cpu_backend();
    let whole = speak(&backend, &load(&backend, &demo()), 1).await.remove(0);
    let pictures = whole.frames.iter().map(|frame| frame.avatar_frame).collect::<HashSet<_>>().len();
    assert!(pictures > 10);
    // Room for all, for ten and a half, for not even one.
    for (room, kept) in [(1 << 30, pictures), (DEMO_PICTURE * 21 / 2, 10), (DEMO_PICTURE - 1, 0)] {
        let keeper = cpu_backend_that_keeps(room);
        let backend: Arc<dyn Backend> = Arc::clone(&keeper) as _;
        // The second time in memory that the first has given back.
        for _ in 0..2 {
            let avatar = load(&backend, &demo());
            for take in speak(&backend, &avatar, 2).await {
                assert!(bytes(&take.frames) == bytes(&whole.frames), "other bytes with room for {kept} pictures");
            }
            assert_eq!(keeper.kept_pictures(), kept);
            drop(avatar);
            assert_eq!(keeper.kept_pictures(), 0);
        }
    }
}

#[tokio::test]
async fn pictures_there_is_room_for_are_kept_before_anybody_watches() {
    let keeper = cpu_backend_that_keeps(DEMO_PICTURE * 21 / 2);
    let backend: Arc<dyn Backend> = Arc::clone(&keeper) as _;
    let (engine, avatar) = (engine(&backend, 2, 8, 1), load(&backend, &demo()));
    assert_eq!((keeper.kept_pictures(), keeper.pictures_to_keep(avatar.models())), (0, 10));
    rehearse_pictures(&engine, &avatar, JPEG).await.unwrap();
    assert_eq!((keeper.kept_pictures(), keeper.pictures_to_keep(avatar.models())), (10, 0));
    assert_eq!(keeper.kept_bytes(), Some(10 * DEMO_PICTURE));
    let drawn = engine.device_recorder().items(WorkClass::Frame);
    assert_eq!((drawn, avatar.usage().frames), (0, 0), "it is counted nowhere");
}

#[tokio::test]
async fn an_avatar_that_is_loaded_again_keeps_its_pictures_once_those_of_before_have_gone() {
    let keeper = cpu_backend_that_keeps(DEMO_PICTURE * 21 / 2);
    let backend: Arc<dyn Backend> = Arc::clone(&keeper) as _;
    let before = load(&backend, &demo());
    speak(&backend, &before, 1).await;
    // Unloaded, and still watched by somebody.
    let again = load(&backend, &demo());
    assert_eq!((keeper.kept_pictures(), keeper.pictures_to_keep(again.models())), (10, 0));
    let drawn_whole = speak(&backend, &again, 1).await.remove(0);
    assert_eq!((keeper.kept_pictures(), keeper.kept_bytes()), (10, Some(10 * DEMO_PICTURE)), "all of them of before");
    drop(before);
    assert_eq!((keeper.kept_pictures(), keeper.pictures_to_keep(again.models())), (0, 10));
    let kept = speak(&backend, &again, 1).await.remove(0);
    assert!(bytes(&kept.frames) == bytes(&drawn_whole.frames));
    assert_eq!((keeper.kept_pictures(), keeper.kept_bytes()), (10, Some(10 * DEMO_PICTURE)));
    drop(again);
    assert_eq!(keeper.kept_bytes(), Some(0));
}
