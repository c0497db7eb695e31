//! The policy in virtual time: sessions, lanes and a clock that only the tests move.

use proptest::prelude::*;

use super::*;

mod simulation;

use simulation::{Device, Viewer};

const MS: Duration = Duration::from_millis(1);
const CPU: Limits = Limits { max_windows: 4, max_frames: 1, batching_pays: false };
const GPU: Limits = Limits { max_windows: 32, max_frames: 8, batching_pays: true };

fn render(id: u64) -> BatchKey {
    BatchKey::Render(ModelId(id))
}

fn plan(now: Instant, waiting: &[Waiting], limits: &Limits, in_flight: usize, cost: Duration) -> Decision {
    let situation = Situation { now, in_flight, live_open: true, last_whole: now, last_silence: now };
    decide(waiting.iter().copied(), &situation, limits, |_, len| cost * u32::try_from(len).unwrap())
}

fn run(key: BatchKey, len: usize) -> Decision {
    Decision::Run(BatchPlan { key, len, owed: None })
}

#[test]
fn the_earliest_due_goes_first_and_lateness_gives_no_advantage() {
    let now = Instant::now() + 10_000 * MS;
    let item = |key, due: i64, served| {
        let offset = MS * u32::try_from(due.unsigned_abs()).unwrap();
        Waiting { key, due: Some(if due < 0 { now - offset } else { now + offset }), gives_way: false, served }
    };
    let at = |waiting: &[Waiting]| plan(now, waiting, &CPU, 0, 10 * MS);
    assert_eq!(plan(now, &[], &CPU, 0, MS), Decision::Idle);
    assert_eq!(at(&[item(render(1), 50, 0), item(render(2), 20, 9)]), run(render(2), 1));
    assert_eq!(at(&[item(render(1), -900, 9), item(render(2), -1, 3)]), run(render(2), 1), "served longer ago");
    let whole = Waiting { key: render(3), due: None, gives_way: false, served: 0 };
    assert_eq!(at(&[whole, item(render(1), 500, 0)]), run(render(1), 1), "live work before whole files");
    assert_eq!(at(&[whole]), run(render(3), 1));
    assert_eq!(at(&[Waiting { served: 5, ..whole }, Waiting { key: render(4), ..whole }]), run(render(4), 1));
}

#[test]
fn a_batch_leaves_when_it_is_full_or_the_device_idle_or_time_presses() {
    let now = Instant::now() + 10_000 * MS;
    let live = |due: u32| Waiting { key: render(1), due: Some(now + due * MS), gives_way: false, served: 0 };
    let three = [live(100), live(100), live(140)];
    assert_eq!(plan(now, &three, &GPU, 0, 2 * MS), run(render(1), 3), "idle");
    let until = now + (100 - 6 - 2) * MS;
    assert_eq!(plan(now, &three, &GPU, 1, 2 * MS), Decision::WaitUntil(until));
    assert_eq!(plan(until, &three, &GPU, 1, 2 * MS), run(render(1), 3), "time presses");
    assert_eq!(plan(now, &[live(100); 9], &GPU, 1, 2 * MS), run(render(1), 8), "full");
    let mut mixed = [live(30); 5].to_vec();
    mixed.extend([Waiting { due: None, ..live(0) }; 3]);
    assert_eq!(plan(now, &mixed, &GPU, 0, 2 * MS), run(render(1), 8), "whole work comes along");
    assert_eq!(plan(now, &mixed, &GPU, 0, 4 * MS), run(render(1), 5), "unless somebody would be late");
}

#[test]
fn whole_work_is_bounded_beside_live_sessions_and_has_its_share() {
    let now = Instant::now() + 10_000 * MS;
    let whole = [Waiting { key: render(1), due: None, gives_way: false, served: 0 }; 8];
    assert_eq!(plan(now, &whole, &GPU, 0, 8 * MS), run(render(1), 2), "20 ms at most");
    let live = Waiting { key: render(2), due: Some(now + 9 * MS), gives_way: false, served: 0 };
    let both = [whole[0], whole[1], live];
    let after = |idle: Duration| {
        let situation = Situation { now, in_flight: 0, live_open: true, last_whole: now - idle, last_silence: now };
        decide(both.iter().copied(), &situation, &CPU, |_, len| 8 * MS * u32::try_from(len).unwrap())
    };
    assert_eq!(after(159 * MS), run(render(2), 1));
    assert_eq!(after(160 * MS), Decision::Run(BatchPlan { key: render(1), len: 1, owed: Some(Class::Whole) }));
}

#[test]
fn silent_pictures_give_way_to_what_is_said_and_have_their_share() {
    let now = Instant::now() + 10_000 * MS;
    let said = |ms: u32| Waiting { key: render(1), due: Some(now + ms * MS), gives_way: false, served: 9 };
    let silent = |ms: u32| Waiting { key: render(2), gives_way: true, served: 0, ..said(ms) };
    let whole = Waiting { key: render(3), due: None, ..said(0) };
    let at = |waiting: &[Waiting]| plan(now, waiting, &CPU, 0, 10 * MS);
    assert_eq!(at(&[silent(0), said(149)]), run(render(1), 1));
    assert_eq!(at(&[silent(0), said(151)]), run(render(2), 1), "what has time lets it pass");
    assert_eq!(at(&[whole, silent(900)]), run(render(2), 1), "live all the same");
    let after = |waiting: &[Waiting], silence: u32, files: u32| {
        let (last_silence, last_whole) = (now - silence * MS, now - files * MS);
        let situation = Situation { now, in_flight: 0, live_open: true, last_whole, last_silence };
        decide(waiting.iter().copied(), &situation, &GPU, |_, len| 10 * MS * u32::try_from(len).unwrap())
    };
    let crowd = [said(0), silent(0), silent(0), silent(40), whole];
    let owed = |key, len, class| Decision::Run(BatchPlan { key, len, owed: Some(class) });
    assert_eq!(after(&crowd, 199, 199), run(render(1), 1));
    assert_eq!(after(&crowd, 200, 200), owed(render(2), 2, Class::Silence), "20 ms at most");
    assert_eq!(after(&crowd, 199, 200), owed(render(3), 1, Class::Whole));
    // Of one avatar, they come along where they make nobody late.
    let shared = |ms| [said(ms), Waiting { key: render(1), ..silent(0) }, Waiting { key: render(1), ..silent(40) }];
    assert_eq!(after(&shared(140), 0, 0), run(render(1), 3));
    assert_eq!(after(&shared(20), 0, 0), run(render(1), 1));
}

#[test]
fn silent_pictures_make_no_spoken_frame_late() {
    // One speaks and two are silent for the first time, each nine tenths of a lane.
    let mut viewers = [Viewer::live(40), Viewer::silent(40), Viewer::silent(40)];
    let device = Device { cost: |len| 36 * MS * len, ..Device::cpu(1, 10 * MS) };
    device.run(&mut viewers, 20_000 * MS);
    let [said, silent @ ..] = &viewers;
    assert_eq!(said.misses, 0, "of {}", said.done);
    let share = 20_000 / 36 / LEAST_SHARE * 9 / 10;
    assert!(silent[0].done + silent[1].done >= share, "{} and {}", silent[0].done, silent[1].done);
    assert!(silent[0].done.abs_diff(silent[1].done) <= 1, "each its part");
}

#[test]
fn greedy_whole_files_make_no_live_frame_late() {
    // 8 viewers at 25 frames/s are 200 frames/s of the 250 that two lanes make at 8 ms.
    let mut viewers: Vec<_> = (0..8).map(|_| Viewer::live(40)).chain((0..20).map(|_| Viewer::whole())).collect();
    Device::cpu(2, 8 * MS).run(&mut viewers, 10_000 * MS);
    assert_eq!(viewers.iter().map(|viewer| viewer.misses).sum::<u32>(), 0);
    let filled: Vec<u32> = viewers[8..].iter().map(|viewer| viewer.done).collect();
    let (least, most) = (filled.iter().min().unwrap(), filled.iter().max().unwrap());
    assert!(*least > 10 && most - least <= 1, "spare capacity is shared evenly: {filled:?}");
}

#[test]
fn in_overload_nobody_starves() {
    // 10 viewers want 250 frames/s of 200, one of them three times as many as the others, and a whole file waits.
    let mut viewers: Vec<_> = (0..9).map(|_| Viewer::live(40)).chain([Viewer::live(13), Viewer::whole()]).collect();
    Device::cpu(2, 10 * MS).run(&mut viewers, 20_000 * MS);
    let done: Vec<u32> = viewers.iter().map(|viewer| viewer.done).collect();
    assert!(done[..9].iter().all(|&frames| frames > 330), "each gets its fair part: {done:?}");
    assert!(done[10] >= 20_000 / 10 / LEAST_SHARE * 9 / 10, "the file gets its share: {done:?}");
}

#[test]
fn a_stall_of_a_second_is_made_up_for() {
    let mut viewers: Vec<_> = (0..6).map(|_| Viewer::live(40)).collect();
    Device { stall: 2_000 * MS..3_000 * MS, ..Device::cpu(2, 8 * MS) }.run(&mut viewers, 10_000 * MS);
    for viewer in &viewers {
        assert!(viewer.done >= 246, "everything was made: {}", viewer.done);
        // A second of frames is late, and what the spare 100 frames/s need to make up for 150: a second and a half.
        assert!(viewer.misses <= 25 + 38, "{} late", viewer.misses);
    }
}

#[test]
fn sound_that_comes_in_bursts_delays_nobody_elses() {
    // Three quarters of two lanes; two of the six viewers' sound comes ten frames at a time.
    let mut viewers: Vec<_> =
        (0..6).map(|id| Viewer { burst: if id < 2 { 10 } else { 1 }, ..Viewer::live(40) }).collect();
    Device::cpu(2, 10 * MS).run(&mut viewers, 20_000 * MS);
    for viewer in &viewers[2..] {
        assert_eq!(viewer.misses, 0, "of {}", viewer.done);
    }
    // A burst is due when its sound would have come at its natural pace, so that its first frames are late by its own doing.
    assert!(viewers[..2].iter().all(|viewer| viewer.done >= 490));
}

#[test]
fn viewers_of_many_avatars_share_a_device_that_works_in_batches() {
    // Four avatars with ten viewers each are 1000 frames/s; alone a frame takes 1.5 ms, in a batch of eight 0.625 ms.
    let mut viewers: Vec<_> = (0..40).map(|id| Viewer { avatar: Some(id % 4), ..Viewer::live(40) }).collect();
    let device = Device { lanes: 1, limits: GPU, cost: |len| MS + MS / 2 * len, stall: Duration::ZERO..Duration::ZERO };
    let batches = device.run(&mut viewers, 10_000 * MS);
    assert_eq!(viewers.iter().map(|viewer| viewer.misses).sum::<u32>(), 0);
    let frames: u32 = viewers.iter().map(|viewer| viewer.done).sum();
    assert!(frames >= 40 * 245, "{frames}");
    assert!(f64::from(frames) / f64::from(batches) > 3.0, "{frames} frames in {batches} batches");
    let done = || viewers.iter().map(|viewer| viewer.done);
    assert!(done().max().unwrap() - done().min().unwrap() <= 4, "no avatar's viewers are behind");
}

#[test]
fn in_overload_of_many_avatars_nobody_is_forgotten() {
    // 2000 frames/s of 1600 at best: one avatar with fifty viewers, and thirty with one.
    let avatar = |id: u64| Some(if id < 50 { 0 } else { id });
    let mut viewers: Vec<_> = (0..80).map(|id| Viewer { avatar: avatar(id), ..Viewer::live(40) }).collect();
    let device = Device { lanes: 1, limits: GPU, cost: |len| MS + MS / 2 * len, stall: Duration::ZERO..Duration::ZERO };
    device.run(&mut viewers, 20_000 * MS);
    let done: Vec<u32> = viewers.iter().map(|viewer| viewer.done).collect();
    let (least, most) = (done.iter().min().unwrap(), done.iter().max().unwrap());
    assert!(*least >= 150, "{done:?}");
    assert!(*most <= 3 * least, "who shares an avatar gains by its batches, but not everything: {done:?}");
}

proptest! {
    #[test]
    fn every_batch_is_of_one_network_within_its_limit(
        items in prop::collection::vec((0..3_u64, prop::option::of(0..300_u32), 0..5_u64, any::<[bool; 2]>()), 0..40),
        in_flight in 0..3_usize,
        pays in any::<bool>(),
        owing in any::<bool>(),
    ) {
        let now = Instant::now() + 1_000 * MS;
        let waiting: Vec<Waiting> = items.iter().map(|&(id, due, served, [window, gives_way])| {
            let model = ModelId(id);
            let key = if window { BatchKey::Encode(model) } else { BatchKey::Render(model) };
            Waiting { key, due: due.map(|due| now - 100 * MS + due * MS), gives_way, served }
        }).collect();
        let limits = Limits { batching_pays: pays, ..GPU };
        let since = if owing { now - 500 * MS } else { now };
        let situation = Situation { now, in_flight, live_open: true, last_whole: since, last_silence: since };
        match decide(waiting.iter().copied(), &situation, &limits, |_, len| 3 * MS * u32::try_from(len).unwrap()) {
            Decision::Idle => prop_assert!(waiting.is_empty()),
            Decision::WaitUntil(until) => prop_assert!(pays && in_flight > 0 && until > now),
            Decision::Run(BatchPlan { key, len, owed }) => {
                let of_key = waiting.iter().filter(|item| item.key == key).count();
                prop_assert!((1..=limits.most(key).min(of_key)).contains(&len));
                let first = waiting.iter().min_by(|a, b| rank(a, b, now, owed)).unwrap();
                prop_assert_eq!(first.key, key);
            }
        }
    }
}
