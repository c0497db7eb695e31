//! However the sound comes in, whatever is in flight, wherever it is cut: the frames are those of the sound.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::common::speech::{Random, speech};
use crate::common::{Got, JPEG, bundle, bytes, cpu_backend, engine, eventually, load, open, perform, say, within};
use lipsyncd::audio::ResamplePlan;
use lipsyncd::avatar::LoadedAvatar;
use lipsyncd::backend::Backend;
use lipsyncd::session::{Event, FrameReader, Intake, SessionOptions};
use proptest::prelude::*;

/// One backend and one avatar for all cases: what earlier cases left behind is part of the test.
fn stage() -> &'static (Arc<dyn Backend>, Arc<LoadedAvatar>) {
    static STAGE: OnceLock<(Arc<dyn Backend>, Arc<LoadedAvatar>)> = OnceLock::new();
    STAGE.get_or_init(|| {
        let backend = cpu_backend();
        let avatar = load(&backend, &bundle());
        (backend, avatar)
    })
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(within(future))
}

/// A few cases each, unless `PROPTEST_CASES` asks for more: every one runs the networks for dozens of frames.
fn few(cases: u32) -> ProptestConfig {
    let asked = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { asked.cases } else { cases };
    ProptestConfig { cases, max_shrink_iters: 8, failure_persistence: None, ..asked }
}

fn rates() -> impl Strategy<Value = u32> {
    prop_oneof![Just(16_000), Just(44_100), Just(48_000), Just(8_000), Just(22_050), Just(11_111)]
}

/// How long the next chunk is, by habit: single samples, odd bits, 10 ms, whole seconds, all of it.
fn chunk_len(habit: usize, rate_hz: u32, random: &mut Random) -> usize {
    match habit {
        0 => 1 + random.below(3),
        1 => random.below(1_000),
        2 => rate_hz as usize / 100,
        3 => rate_hz as usize / 3,
        _ => usize::MAX,
    }
}

/// `sound` in chunks, some of them empty; a quarter of the chunks are of another habit than the rest.
fn partition(sound: &[f32], habit: usize, rate_hz: u32, seed: u64) -> Vec<&[f32]> {
    let mut random = Random::new(seed);
    let mut chunks = Vec::new();
    let mut rest = sound;
    while !rest.is_empty() {
        let habit = if random.below(4) == 0 { random.below(3) } else { habit };
        let (chunk, after) = rest.split_at(chunk_len(habit, rate_hz, &mut random).min(rest.len()));
        chunks.push(chunk);
        rest = after;
    }
    chunks
}

proptest! {
    #![proptest_config(few(20))]

    #[test]
    fn frames_do_not_depend_on_chunks_slots_or_outboxes(
        seed in any::<u64>(),
        rate_hz in rates(),
        tenths in 0u32..10,
        odd_samples in 1usize..700,
        habit in 0usize..5,
        slots in 1usize..=3,
        outbox_frames in prop_oneof![1usize..=3, 4usize..=64],
        max_windows in 1usize..=9,
        max_frames in 1usize..=5,
        start_position in 0u64..20,
    ) {
        let (backend, avatar) = stage();
        let samples = (rate_hz * tenths / 10) as usize + odd_samples;
        let sound = speech(seed, samples, rate_hz);
        let options = SessionOptions { start_position, ..SessionOptions::new(JPEG, rate_hz) };
        let plain = engine(backend, 1, 1, 1);
        let expected = block_on(perform(&plain, avatar, options.clone(), &sound));
        prop_assert_eq!(expected.frames.len(), (samples * 25).div_ceil(rate_hz as usize));
        let engine = engine(backend, slots, max_windows, max_frames);
        let options = SessionOptions { outbox_frames, ..options };
        let (mut intake, mut reader) = open(&engine, avatar, options);
        let take = block_on(say(&mut intake, &mut reader, partition(&sound, habit, rate_hz, seed)));
        prop_assert_eq!(take.done, (0, expected.frames.len() as u64, samples as u64));
        prop_assert!(take.frames == expected.frames, "other frames");
    }
}

/// One utterance that may be cut: how much of it is said, whether its end is, how much of it is seen.
#[derive(Debug, Clone)]
struct Round {
    seed: u64,
    samples: usize,
    finish: bool,
    frames_taken: usize,
    pause_us: u64,
}

fn round() -> impl Strategy<Value = Round> {
    // At most 0.8 s: what always fits in a session nobody reads, so that saying it cannot wait for ever.
    let samples = prop_oneof![Just(0usize), 1usize..12_800];
    (any::<u64>(), samples, any::<bool>(), 0usize..8, 0u64..20_000).prop_map(
        |(seed, samples, finish, frames_taken, pause_us)| Round { seed, samples, finish, frames_taken, pause_us },
    )
}

/// Says and sees of an utterance what `round` asks for, as far as there is that much; gives the frames.
async fn begin(intake: &mut Intake, reader: &mut FrameReader, round: &Round) -> Vec<Got> {
    intake.push(&speech(round.seed, round.samples, 16_000)).await.unwrap();
    if round.finish {
        intake.finish().await.unwrap();
    }
    let due = if round.finish { round.samples.div_ceil(640) } else { certain_frames(round.samples) };
    let mut frames = Vec::new();
    while frames.len() < round.frames_taken.min(due) {
        let Some(Ok(Event::Frame(frame))) = reader.next().await else { panic!("a frame is due") };
        frames.push(Got {
            index: frame.index,
            utterance: frame.utterance,
            avatar_frame: frame.avatar_frame,
            data: frame.data.to_vec(),
        });
    }
    // Lets the lanes get somewhere, anywhere, in what is left.
    tokio::time::sleep(Duration::from_micros(round.pause_us)).await;
    frames
}

/// Frames that `samples` at 16 kHz allow before the end is known: frame i waits for window i + 6 of 16 mel
/// frames, and the last of those for half a transform of 800 samples.
fn certain_frames(samples: usize) -> usize {
    let mel_frames = if samples < 400 { 0 } else { (samples - 400) / 200 + 1 };
    (0..).take_while(|i| (i + 6) * 80 / 25 + 16 <= mel_frames).count()
}

proptest! {
    #![proptest_config(few(12))]

    #[test]
    fn after_a_cut_nothing_of_the_cut_remains(
        rounds in prop::collection::vec(round(), 1..4),
        slots in 1usize..=3,
        outbox_frames in 1usize..=12,
        last_seed in any::<u64>(),
        last_samples in 1usize..10_000,
    ) {
        let (backend, avatar) = stage();
        let engine = engine(backend, slots, 8, 2);
        let options = |start_position| SessionOptions {
            start_position,
            outbox_frames,
            ..SessionOptions::new(JPEG, 16_000)
        };
        block_on(async {
            let (mut intake, mut reader) = open(&engine, avatar, options(7));
            let (mut position, mut utterance) = (7, 0);
            for round in &rounds {
                let seen = begin(&mut intake, &mut reader, round).await;
                for (index, frame) in seen.iter().enumerate() {
                    assert_eq!((frame.index, frame.utterance), (index as u64, utterance));
                    assert_eq!(frame.avatar_frame, avatar.frame_at(position + index as u64));
                }
                intake.interrupt();
                let Some(Ok(Event::Interrupted(cut))) = reader.next().await else { panic!("not the cut") };
                position += seen.len() as u64;
                assert_eq!((cut.utterance, cut.frames, cut.next_position), (utterance, seen.len() as u64, position));
                // An interrupt between utterances cuts none.
                utterance += u32::from(round.samples > 0 || round.finish);
            }
            let sound = speech(last_seed, last_samples, 16_000);
            let take = say(&mut intake, &mut reader, [sound.as_slice()]).await;
            let fresh = perform(&engine, avatar, options(position), &sound).await;
            assert_eq!(take.done, (utterance, fresh.done.1, last_samples as u64));
            assert!(take.frames.iter().all(|frame| frame.utterance == utterance));
            assert!(bytes(&take.frames) == bytes(&fresh.frames), "something of the cut remained");
        });
    }
}

#[test]
fn the_loop_goes_on_where_positions_come_to_the_end_of_numbers() {
    let (backend, avatar) = stage();
    let engine = engine(backend, 1, 8, 1);
    let options = SessionOptions { start_position: u64::MAX, ..SessionOptions::new(JPEG, 16_000) };
    let take = block_on(perform(&engine, avatar, options, &speech(5, 4_000, 16_000)));
    let first = avatar.order().phase(u64::MAX, avatar.frame_count());
    let poses: Vec<_> = take.frames.iter().map(|frame| frame.avatar_frame).collect();
    let due: Vec<_> = (first..).take(poses.len()).map(|position| avatar.frame_at(position)).collect();
    assert_eq!(poses, due);
    assert!(poses.len() > 1);
}

#[test]
fn every_interrupt_is_answered() {
    let (backend, avatar) = stage();
    let engine = engine(backend, 1, 8, 1);
    block_on(async {
        let (mut intake, mut reader) = open(&engine, avatar, SessionOptions::new(JPEG, 16_000));
        let sound = speech(5, 8_000, 16_000);
        let say_and_cut = async |intake: &mut Intake| {
            intake.push(&sound).await.unwrap();
            intake.interrupt();
            // Between utterances: answered too, with the number of the one to come.
            intake.interrupt();
        };
        let cut_all = async {
            for _ in 0..3 {
                say_and_cut(&mut intake).await;
            }
        };
        let hear = async {
            let mut told = Vec::new();
            while told.len() < 6 {
                match reader.next().await {
                    Some(Ok(Event::Interrupted(cut))) => told.push(cut.utterance),
                    Some(Ok(Event::Frame(_))) => {}
                    _ => panic!("neither a frame nor a cut"),
                }
            }
            told
        };
        let ((), told) = tokio::join!(cut_all, hear);
        assert_eq!(told, [0, 1, 1, 2, 2, 3]);
    });
}

/// How a session ends early.
#[derive(Debug, Clone, Copy)]
enum Leaving {
    ReaderFirst,
    IntakeFirst,
    ReaderAlone,
}

fn leaving() -> impl Strategy<Value = Leaving> {
    prop_oneof![Just(Leaving::ReaderFirst), Just(Leaving::IntakeFirst), Just(Leaving::ReaderAlone)]
}

proptest! {
    #![proptest_config(few(8))]

    #[test]
    fn sessions_that_leave_leave_nothing(
        viewers in prop::collection::vec((round(), leaving()), 1..5),
        slots in 1usize..=3,
    ) {
        let (backend, _) = stage();
        let avatar = load(backend, &bundle());
        let engine = engine(backend, slots, 8, 2);
        block_on(async {
            let mut stayed = Vec::new();
            for (round, leaving) in &viewers {
                let (mut intake, mut reader) = open(&engine, &avatar, SessionOptions::new(JPEG, 16_000));
                let held = begin(&mut intake, &mut reader, round).await;
                assert!(held.len() <= round.frames_taken);
                match leaving {
                    Leaving::ReaderFirst => {
                        drop(reader);
                        assert!(intake.push(&[0.0; 640]).await.is_err(), "pushed to nobody");
                    }
                    Leaving::IntakeFirst => {
                        drop(intake);
                        drop(reader);
                    }
                    Leaving::ReaderAlone => {
                        drop(reader);
                        stayed.push(intake);
                    }
                }
            }
            eventually("nothing of theirs waits", || engine.waiting() == (0, 0)).await;
            eventually("no buffer of theirs is lent", || avatar.jpeg_pool().usage().1 == 0).await;
            drop(stayed);
            eventually("their memory is gone", || avatar.jpeg_pool().usage() == (0, 0)).await;
            eventually("nobody counts as a viewer", || avatar.usage().sessions == 0).await;
        });
    }
}

#[test]
fn sessions_whose_sound_has_the_same_rate_share_the_resamplers_table() {
    let (backend, avatar) = stage();
    let engine = engine(backend, 1, 1, 1);
    // No other test has this rate.
    let _sessions = [(); 2].map(|()| open(&engine, avatar, SessionOptions::new(JPEG, 44_099)));
    let plan = ResamplePlan::known(44_099, avatar.sample_rate_hz()).unwrap();
    assert_eq!(Arc::strong_count(&plan), 4, "two sessions, what is kept, and this test");
}
