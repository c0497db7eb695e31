//! Calls with idle frames in which speech is cut: the mouth closes from where it is.

use lipsyncd::session::Cut;
use lipsyncd::session::closing::FADE_FRAMES;

use crate::call::{Call, PER_FRAME, RATE_HZ, START, Seen, Stage, is_done, is_spoken};
use crate::common::speech::speech;
use crate::common::within;

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_is_answered_and_the_mouth_closes_at_the_next_poses() {
    let stage = Stage::new(2);
    let mut call = stage.call();
    call.ticks(stage.avatar.frame_count() + 1).await;
    let sound = speech(42, 100 * PER_FRAME, RATE_HZ);
    within(call.intake.push(&sound[..60 * PER_FRAME])).await.unwrap();
    let heard = |seen: &[Seen]| seen.iter().filter(|seen| matches!(seen, Seen::Frame(frame) if !frame.is_idle)).count();
    call.until(|seen| heard(seen) >= 12).await;
    call.intake.interrupt();
    call.until(|seen| seen.iter().any(|seen| matches!(seen, Seen::Cut(_)))).await;
    let spoken = call.spoken().len() as u64;
    let next_tick = call.frames().len() as u64;
    let Some(Seen::Cut(cut)) = call.seen.last() else { panic!("the cut is the last thing seen") };
    assert_eq!(*cut, Cut { utterance: 0, frames: spoken, next_position: START + next_tick });
    call.ticks(6).await;
    call.check(&stage.avatar);
    let first = call.spoken()[0].tick.unwrap();
    let (offline, silent) = (stage.offline(&sound, first).await, stage.silent().await);
    for (ahead, frame) in call.frames()[next_tick as usize..].iter().enumerate() {
        assert!(frame.is_idle && frame.utterance == 1);
        let quiet = &silent[frame.avatar_frame];
        if ahead < FADE_FRAMES {
            let plain = &offline[spoken as usize + ahead];
            assert!(*frame.data != **quiet && *frame.data != **plain, "frame {ahead} after the cut is on its way");
        } else {
            assert!(*frame.data == **quiet, "frame {ahead} after the cut");
        }
    }
    // The next utterance begins as if nothing had been.
    let next = speech(43, 20 * PER_FRAME, RATE_HZ);
    call.say(&next).await;
    call.until(is_done).await;
    call.check(&stage.avatar);
    let spoken = &call.spoken()[spoken as usize..];
    let offline = stage.offline(&next, spoken[0].tick.unwrap()).await;
    assert_eq!(spoken.len(), 20);
    for index in FADE_FRAMES..20 - FADE_FRAMES {
        assert!(*spoken[index].data == *offline[index], "frame {index}: something of the cut remained");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mouth_closes_after_a_cut_though_an_utterance_without_sound_follows_at_once() {
    let stage = Stage::new(2);
    let mut call = stage.call();
    call.ticks(stage.avatar.frame_count() + 1).await;
    within(call.intake.push(&speech(48, 60 * PER_FRAME, RATE_HZ))).await.unwrap();
    call.until(|seen| seen.iter().filter(|seen| is_spoken(seen)).count() >= 6).await;
    call.intake.interrupt();
    within(call.intake.finish()).await.unwrap();
    call.until(is_done).await;
    let next_tick = call.frames().len();
    call.ticks(FADE_FRAMES + 3).await;
    call.check(&stage.avatar);
    let silent = stage.silent().await;
    for (ahead, frame) in call.frames()[next_tick..].iter().enumerate() {
        assert!(frame.is_idle, "frame {ahead}");
        let shut = *frame.data == silent[frame.avatar_frame];
        assert_eq!(shut, ahead >= FADE_FRAMES, "frame {ahead} after the cut");
    }
}

/// A call whose sound has run dry `ticks` ticks ago, and then is cut.
async fn cut_when_dry(stage: &Stage, ticks: usize) -> Call {
    let mut call = stage.call();
    call.ticks(stage.avatar.frame_count() + 1).await;
    within(call.intake.push(&speech(52, 30 * PER_FRAME, RATE_HZ))).await.unwrap();
    call.until(|seen| {
        seen.iter().any(is_spoken) && seen.iter().rev().take_while(|seen| !is_spoken(seen)).count() >= ticks
    })
    .await;
    call.intake.interrupt();
    call.until(|seen| matches!(seen.last(), Some(Seen::Cut(_)))).await;
    call
}

/// Which of the `ticks` ticks after the last spoken frame have the mouth shut.
async fn shut(stage: &Stage, call: &Call, ticks: usize) -> Vec<bool> {
    let silent = stage.silent().await;
    let after = call.spoken().last().unwrap().tick.unwrap() as usize + 1;
    call.frames()[after..][..ticks].iter().map(|frame| *frame.data == silent[frame.avatar_frame]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_after_the_sound_has_run_dry_finds_the_mouth_shut_and_leaves_it_so() {
    let stage = Stage::new(2);
    let mut call = cut_when_dry(&stage, FADE_FRAMES + 3).await;
    call.ticks(FADE_FRAMES + 3).await;
    call.check(&stage.avatar);
    let shut = shut(&stage, &call, 2 * (FADE_FRAMES + 3)).await;
    assert!(shut[FADE_FRAMES..].iter().all(|&shut| shut), "{shut:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_while_the_mouth_closes_does_not_open_it_again() {
    let stage = Stage::new(2);
    let mut call = cut_when_dry(&stage, 1).await;
    call.ticks(FADE_FRAMES + 3).await;
    call.check(&stage.avatar);
    let shut = shut(&stage, &call, FADE_FRAMES + 4).await;
    assert_eq!(shut, [false, false, false, true, true, true, true]);
}
