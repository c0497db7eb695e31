//! Calls with idle frames: a picture for every tick, spoken or not, at one pose after the other.

mod album;
mod call;
#[path = "../common/mod.rs"]
mod common;
mod cuts;

use std::sync::Arc;

use call::{Call, PER_FRAME, RATE_HZ, START, Seen, Stage, distance, is_done, is_spoken, options};
use common::gpu::NamedGpu;
use common::speech::speech;
use common::{JPEG, bundle, cpu_backend, engine, load, open, within};
use lipsyncd::backend::Backend;
use lipsyncd::session::closing::FADE_FRAMES;
use lipsyncd::session::{IdleFrames, SessionOptions};
use lipsyncd::telemetry::WorkClass;

#[tokio::test(flavor = "multi_thread")]
async fn while_nobody_speaks_every_tick_has_its_silent_picture() {
    let stage = Stage::new(2);
    let mut call = stage.call();
    call.ticks(3 * stage.avatar.frame_count()).await;
    call.check(&stage.avatar);
    let silent = stage.silent().await;
    for frame in call.frames() {
        assert!(frame.is_idle && frame.index == 0 && frame.utterance == 0);
        assert!(*frame.data == silent[frame.avatar_frame], "tick {:?}", frame.tick);
    }
    // Once round the loop and the first frames of the silence that was said for it; all others came from there.
    let drawn = stage.engine.device_recorder().items(WorkClass::Frame);
    assert_eq!(
        drawn,
        stage.avatar.frame_count() as u64,
        "what draws the loop is counted nowhere, what tells the truth is"
    );
    assert_eq!(stage.avatar.usage().silent_frames, call.frames().len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_utterance_takes_the_ticks_from_its_first_frame_on_and_its_ends_are_faded() {
    let stage = Stage::new(2);
    let mut call = stage.call();
    call.ticks(stage.avatar.frame_count() + 2).await;
    let sound = &speech(41, 30 * PER_FRAME, RATE_HZ)[..30 * PER_FRAME - 100];
    call.say(sound).await;
    call.until(is_done).await;
    call.ticks(4).await;
    call.check(&stage.avatar);
    let done = call.seen.iter().find_map(|seen| match seen {
        Seen::Done { frames, samples } => Some((*frames, *samples)),
        _ => None,
    });
    assert_eq!(done, Some((30, sound.len() as u64)));
    let spoken = call.spoken();
    assert_eq!(spoken.iter().map(|frame| frame.index).collect::<Vec<_>>(), (0..30).collect::<Vec<_>>());
    let first = spoken[0].tick.unwrap();
    assert!(spoken.iter().all(|frame| frame.tick == Some(first + frame.index)), "one tick after the other");
    let (offline, silent) = (stage.offline(sound, first).await, stage.silent().await);
    for (index, frame) in spoken.iter().enumerate() {
        let (plain, quiet) = (&offline[index], &silent[frame.avatar_frame]);
        if (FADE_FRAMES..30 - FADE_FRAMES).contains(&index) {
            assert!(*frame.data == **plain, "frame {index} is not that of the sound");
        } else {
            let (to_speech, to_silence) = (distance(&frame.data, plain), distance(&frame.data, quiet));
            let apart = distance(plain, quiet);
            assert!(to_speech > 0.0 && to_silence > 0.0, "frame {index} is faded");
            assert!(
                to_speech.max(to_silence) < 1.5 * apart,
                "frame {index} lies between: {to_speech} {to_silence} {apart}"
            );
        }
    }
    let idle: Vec<_> = call.frames().into_iter().filter(|frame| frame.is_idle).collect();
    assert!(
        idle.iter().all(|frame| *frame.data == silent[frame.avatar_frame]),
        "before and after it the mouth is shut"
    );
    assert!(idle.iter().any(|frame| frame.tick == Some(first + 30) && frame.utterance == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_that_runs_dry_leaves_silent_ticks_and_goes_on_where_it_stopped() {
    let stage = Stage::new(2);
    let mut call = stage.call();
    call.ticks(stage.avatar.frame_count() + 1).await;
    let sound = speech(44, 60 * PER_FRAME, RATE_HZ);
    within(call.intake.push(&sound[..30 * PER_FRAME])).await.unwrap();
    // Eighteen frames or so can be made of that; then ticks go by.
    call.until(|seen| {
        let mut frames =
            seen.iter().rev().filter_map(|seen| if let Seen::Frame(frame) = seen { Some(frame) } else { None });
        frames.by_ref().take(8).all(|frame| frame.is_idle) && frames.any(|frame| !frame.is_idle)
    })
    .await;
    let dry_at = call.spoken().len();
    call.intake.push(&sound[30 * PER_FRAME..]).await.unwrap();
    call.intake.finish().await.unwrap();
    call.until(is_done).await;
    call.check(&stage.avatar);
    let spoken = call.spoken();
    assert_eq!(spoken.iter().map(|frame| frame.index).collect::<Vec<_>>(), (0..60).collect::<Vec<_>>());
    assert!((10..25).contains(&dry_at), "{dry_at}");
    let silent = stage.silent().await;
    for part in [0..dry_at, dry_at..60] {
        let tick = spoken[part.start].tick.unwrap() - part.start as u64;
        let offline = stage.offline(&sound, tick).await;
        for index in part.clone() {
            assert_eq!(spoken[index].tick, Some(tick + index as u64));
            let opening = index - part.start < FADE_FRAMES;
            let closing = index + FADE_FRAMES >= 60;
            assert_eq!(*spoken[index].data == *offline[index], !opening && !closing, "frame {index} of {part:?}");
        }
    }
    let dry = spoken[dry_at - 1].tick.unwrap() as usize + 1..spoken[dry_at].tick.unwrap() as usize;
    assert!(dry.len() >= 8);
    let frames = call.frames();
    for tick in dry.clone() {
        let shut = *frames[tick].data == silent[frames[tick].avatar_frame];
        assert_eq!(shut, tick >= dry.start + FADE_FRAMES, "tick {tick} of {dry:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_utterance_for_which_there_is_no_lane_begins_when_another_is_drawn() {
    let stage = Stage::new(1);
    // Measured first, so that turns know what speech costs.
    lipsyncd::batch::rehearse(&stage.engine, &stage.avatar, JPEG).await.unwrap();
    let mut calls = [(); 2].map(|()| {
        let tight = SessionOptions { idle_frames: Some(IdleFrames { utilisation: 1e-6 }), ..options(START) };
        let (intake, reader) = open(&stage.engine, &stage.avatar, tight);
        Call { intake, reader, seen: Vec::new() }
    });
    for call in &mut calls {
        call.ticks(stage.avatar.frame_count()).await;
    }
    let sound = speech(45, 50 * PER_FRAME, RATE_HZ);
    let [one, other] = &mut calls;
    one.say(&sound).await;
    one.until(|seen| seen.iter().any(is_spoken)).await;
    other.say(&sound).await;
    let turns = || stage.engine.turns();
    common::eventually("the second waits for its turn", || turns() == (1, 1)).await;
    tokio::join!(one.until(is_done), other.until(is_done));
    for call in &calls {
        call.check(&stage.avatar);
        let spoken = call.spoken();
        assert_eq!(spoken.len(), 50, "nothing was lost");
        let tick = spoken[0].tick.unwrap();
        assert!(spoken.iter().all(|frame| frame.tick == Some(tick + frame.index)), "and nothing stuttered");
    }
    assert_eq!(turns(), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_utterance_waits_no_longer_for_one_that_nobody_reads() {
    let stage = Stage::new(1);
    lipsyncd::batch::rehearse(&stage.engine, &stage.avatar, JPEG).await.unwrap();
    let sound = speech(47, 60 * PER_FRAME, RATE_HZ);
    // It cannot wait, and its outbox holds less than its utterance.
    let unread = SessionOptions { idle_frames: None, ..options(START) };
    let (mut sound_of_first, first) = open(&stage.engine, &stage.avatar, unread);
    sound_of_first.push(&sound).await.unwrap();
    common::eventually("it speaks", || stage.engine.turns().0 == 1).await;
    let tight = SessionOptions { idle_frames: Some(IdleFrames { utilisation: 1e-6 }), ..options(START) };
    let (intake, reader) = open(&stage.engine, &stage.avatar, tight);
    let mut other = Call { intake, reader, seen: Vec::new() };
    other.say(&sound).await;
    other.until(is_done).await;
    other.check(&stage.avatar);
    assert_eq!(other.spoken().len(), 60, "nothing was lost");
    common::eventually("the first still has its turn", || stage.engine.turns() == (1, 0)).await;
    drop((sound_of_first, first));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_utterance_that_is_cut_while_it_waits_gives_up_its_place() {
    let stage = Stage::new(1);
    lipsyncd::batch::rehearse(&stage.engine, &stage.avatar, JPEG).await.unwrap();
    let mut calls = [(); 2].map(|()| {
        let tight = SessionOptions { idle_frames: Some(IdleFrames { utilisation: 1e-6 }), ..options(START) };
        let (intake, reader) = open(&stage.engine, &stage.avatar, tight);
        Call { intake, reader, seen: Vec::new() }
    });
    for call in &mut calls {
        call.ticks(stage.avatar.frame_count()).await;
    }
    let sound = speech(49, 60 * PER_FRAME, RATE_HZ);
    let [one, other] = &mut calls;
    within(one.intake.push(&sound)).await.unwrap();
    one.until(|seen| seen.iter().any(is_spoken)).await;
    within(other.intake.push(&sound)).await.unwrap();
    common::eventually("the second waits for its turn", || stage.engine.turns() == (1, 1)).await;
    other.intake.interrupt();
    assert_eq!(stage.engine.turns(), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_whose_silent_pictures_cannot_be_drawn_are_told() {
    let backend: Arc<dyn Backend> = NamedGpu::with_lanes(cpu_backend(), 0, 1, (1, 1));
    let avatar = load(&backend, &bundle());
    let engine = engine(&backend, 1, 8, 1);
    for _ in 0..2 {
        let (_intake, mut reader) = open(&engine, &avatar, options(START));
        let told = within(reader.next()).await.expect("nobody has ended it").err().expect("no frame can be drawn");
        assert!(told.is_device_full(), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_goes_gives_its_turn_back() {
    let stage = Stage::new(1);
    let mut call = stage.call();
    call.ticks(2).await;
    call.intake.push(&speech(46, 60 * PER_FRAME, RATE_HZ)).await.unwrap();
    call.until(|seen| seen.iter().any(is_spoken)).await;
    assert_eq!(stage.engine.turns(), (1, 0));
    drop(call);
    common::eventually("its turn is over", || stage.engine.turns() == (0, 0)).await;
    common::eventually("nothing of it waits", || stage.engine.waiting() == (0, 0)).await;
    common::eventually("its buffers are back", || stage.avatar.jpeg_pool().usage().1 == 0).await;
}
