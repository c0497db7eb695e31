//! What every backend must do, checked through the engine: one suite, one line per backend.
//!
//! The backend runs behind a [`Wiretap`], which decides what shares a batch and dirties every slot.

#[path = "../common/mod.rs"]
mod common;
mod reference;

use std::sync::Arc;

use common::cuda::cuda_backend;
use common::speech::speech;
use common::wiretap::Wiretap;
use common::{Got, JPEG, bundle, cpu_backend, engine, load, open, perform, psnr_db, say, try_say, within};
use lipsyncd::avatar::LoadedAvatar;
use lipsyncd::avatar::onnx::FEATURE_LEN;
use lipsyncd::backend::cuda::plan::Precision;
use lipsyncd::backend::{Backend, FrameFormat};
use lipsyncd::batch::BatchKey;
use lipsyncd::session::SessionOptions;
use reference::{Reference, picture_of};

/// How far a backend's frames may lie apart.
#[derive(Debug, Clone, Copy)]
struct Tolerance {
    /// Largest difference, in levels, between a frame drawn alone and the same frame in a batch.
    batch_levels: u8,
    /// Largest difference from the two networks run by ONNX Runtime and pasted by `picture`.
    reference_levels: u8,
    /// Least PSNR of a decoded JPEG (quality 75, 4:2:0) against its frame, noise pictures included, dB.
    jpeg_psnr_db: f64,
}

#[test]
fn the_cpu_backend_conforms() {
    check_backend(cpu_backend, Tolerance { batch_levels: 0, reference_levels: 0, jpeg_psnr_db: 24.0 });
}

/// Other batch sizes take other kernels of the libraries, which add up in another order.
#[test]
#[ignore = "needs an NVIDIA GPU"]
fn the_cuda_backend_conforms_in_single_precision() {
    let make = || cuda_backend(Precision::Fp32);
    check_backend(make, Tolerance { batch_levels: 1, reference_levels: 2, jpeg_psnr_db: 24.0 });
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn the_cuda_backend_conforms_in_half_precision() {
    let make = || cuda_backend(Precision::Fp16);
    check_backend(make, Tolerance { batch_levels: 6, reference_levels: 16, jpeg_psnr_db: 24.0 });
}

const RATE_HZ: u32 = 16_000;
/// What JPEGs of pictures within `batch_levels` keep of each other at least: frames next to each other, one picture drawn for other
/// sound, are 30 dB apart.
const SAME_JPEG_PSNR_DB: f64 = 40.0;
/// Frames of [`sound`].
const FRAMES: usize = 20;
/// And the encoder's windows in it: 65 mel frames.
const WINDOWS: usize = 17;

fn sound() -> Vec<f32> {
    speech(1, FRAMES * RATE_HZ as usize / 25, RATE_HZ)
}

fn raw() -> SessionOptions {
    SessionOptions { outbox_frames: 32, ..SessionOptions::new(FrameFormat::Bgr, RATE_HZ) }
}

/// Every check, each on a backend of its own.
fn check_backend(make: impl Fn() -> Arc<dyn Backend>, tolerance: Tolerance) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let tapped = || Bench::new(&make);
    runtime.block_on(async {
        reloaded_networks_draw_the_same(&tapped(), tolerance).await;
        batches_do_not_change_frames(&tapped(), tolerance).await;
        avatars_share_lanes_without_a_trace(&tapped(), tolerance).await;
        work_of_unloaded_networks_fails_and_the_next_is_served(&tapped(), tolerance).await;
        only_the_box_changes(&tapped()).await;
        jpegs_hold_the_frame(&tapped(), tolerance).await;
        client_pictures_replace_the_avatars(&tapped(), tolerance).await;
        a_fixed_context_drives_every_frame(&tapped(), tolerance).await;
    });
}

/// A tapped backend, also as what engines take.
struct Bench {
    tap: Arc<Wiretap>,
    backend: Arc<dyn Backend>,
}

impl Bench {
    fn new(make: impl Fn() -> Arc<dyn Backend>) -> Self {
        let tap = Wiretap::new(make());
        Self { backend: Arc::clone(&tap) as Arc<dyn Backend>, tap }
    }

    fn avatar(&self) -> Arc<LoadedAvatar> {
        load(&self.backend, &bundle())
    }
}

async fn reloaded_networks_draw_the_same(bench: &Bench, tolerance: Tolerance) {
    let engine = engine(&bench.backend, 2, 8, 1);
    let first = bench.avatar();
    let second = bench.avatar();
    let (a, b) = (first.models(), second.models());
    assert_eq!(a.encoder, b.encoder, "two avatars with the same encoder file share it");
    assert_ne!(a.generator, b.generator, "each avatar has a generator of its own");
    let before = perform(&engine, &first, raw(), &sound()).await;
    assert_eq!(before.frames.len(), FRAMES);
    drop(first);
    let shared = perform(&engine, &second, raw(), &sound()).await;
    assert_same(&before.frames, &shared.frames, tolerance, "the other avatar kept the encoder");
    drop(second);
    let again = bench.avatar();
    let reloaded = again.models();
    assert!(reloaded.generator != a.generator && reloaded.generator != b.generator, "ids are not used twice");
    let after = perform(&engine, &again, raw(), &sound()).await;
    assert_same(&before.frames, &after.frames, tolerance, "the same files draw the same frames");
}

async fn batches_do_not_change_frames(bench: &Bench, tolerance: Tolerance) {
    let avatar = bench.avatar();
    let alone = {
        let smallest = engine(&bench.backend, 1, 1, 1);
        let options = SessionOptions { outbox_frames: 1, ..raw() };
        perform(&smallest, &avatar, options, &sound()).await
    };
    assert!(bench.tap.batches().iter().all(|&(_, len)| len == 1), "limits of 1 were exceeded");
    for (max_windows, max_frames) in [(8, 4), (32, 16)] {
        let engine = engine(&bench.backend, 1, max_windows, max_frames);
        let (mut decoy, decoys_reader) = open(&engine, &avatar, raw());
        let (mut intake, mut reader) = open(&engine, &avatar, raw());
        // The only lane is kept busy until all the sound is there, so that its batches are as large as can be.
        bench.tap.hold();
        within(decoy.push(&sound()[..RATE_HZ as usize / 4])).await.unwrap();
        common::eventually("a batch at the gate", || bench.tap.waiting() > 0).await;
        drop(decoys_reader);
        assert_eq!(engine.waiting(), (0, 0), "what nobody will read still waits");
        within(intake.push(&sound())).await.unwrap();
        within(intake.finish()).await.unwrap();
        bench.tap.release();
        let together = within(common::read_utterance(&mut reader)).await.unwrap();
        assert_eq!(together.frames.len(), FRAMES);
        let batches = bench.tap.batches();
        let largest = |encode| {
            let kind = batches.iter().filter(|(key, _)| matches!(key, BatchKey::Encode(_)) == encode);
            kind.map(|&(_, len)| len).max().unwrap_or(0)
        };
        assert_eq!(largest(true), max_windows.min(WINDOWS), "{batches:?}");
        assert_eq!(largest(false), max_frames.min(FRAMES), "{batches:?}");
        for (one, many) in alone.frames.iter().zip(&together.frames) {
            assert_eq!((one.index, one.avatar_frame), (many.index, many.avatar_frame));
            let apart = largest_difference(&one.data, &many.data);
            assert!(apart <= tolerance.batch_levels, "frame {}: {apart} levels apart", one.index);
        }
    }
}

async fn avatars_share_lanes_without_a_trace(bench: &Bench, tolerance: Tolerance) {
    let (first, second) = (bench.avatar(), bench.avatar());
    let engine = engine(&bench.backend, 2, 8, 4);
    let sounds = [speech(2, 9_000, RATE_HZ), speech(3, 12_000, RATE_HZ)];
    // Of different formats and places in the loop too, so that nothing can pass for its neighbour's.
    let options = [raw(), SessionOptions { start_position: 3, ..SessionOptions::new(JPEG, RATE_HZ) }];
    let alone = [
        perform(&engine, &first, options[0].clone(), &sounds[0]).await,
        perform(&engine, &second, options[1].clone(), &sounds[1]).await,
    ];
    let [first_options, second_options] = options;
    let mixed = tokio::join!(
        perform(&engine, &first, first_options, &sounds[0]),
        perform(&engine, &second, second_options, &sounds[1]),
    );
    assert_same(&alone[0].frames, &mixed.0.frames, tolerance, "the first avatar, mixed");
    assert_same(&alone[1].frames, &mixed.1.frames, tolerance, "the second avatar, mixed");
}

async fn work_of_unloaded_networks_fails_and_the_next_is_served(bench: &Bench, tolerance: Tolerance) {
    // One lane, which has met the networks and must let go of them.
    let engine = engine(&bench.backend, 1, 8, 1);
    let avatar = bench.avatar();
    let expected = perform(&engine, &avatar, raw(), &sound()).await;
    let (mut intake, mut reader) = open(&engine, &avatar, raw());
    bench.tap.hold();
    within(intake.push(&sound())).await.unwrap();
    common::eventually("a batch at the gate", || bench.tap.waiting() > 0).await;
    bench.tap.yank(avatar.models());
    bench.tap.release();
    let Err(error) = try_say(&mut intake, &mut reader, []).await else { panic!("drawn without networks") };
    assert!(error.to_string().contains("unloaded"), "{error}");
    assert!(within(reader.next()).await.is_none(), "a failed session is over");
    assert!(intake.push(&sound()).await.is_err(), "and takes no more");
    drop((intake, reader, avatar));
    let next = perform(&engine, &bench.avatar(), raw(), &sound()).await;
    assert_same(&expected.frames, &next.frames, tolerance, "after a failed session");
}

async fn only_the_box_changes(bench: &Bench) {
    let engine = engine(&bench.backend, 2, 8, 1);
    let avatar = bench.avatar();
    let (width_px, height_px) = avatar.size_px();
    // Round the loop and back, so that every picture is drawn twice.
    let take = perform(&engine, &avatar, raw(), &sound()).await;
    for frame in &take.frames {
        assert_eq!(frame.avatar_frame, avatar.frame_at(frame.index));
        let picture = avatar.pixels(frame.avatar_frame).unwrap();
        let (source, area) = (picture.data(), avatar.face_box(frame.avatar_frame));
        assert_eq!(frame.data.len(), source.len());
        let mut changed = 0;
        for (at, (drawn, before)) in frame.data.chunks_exact(3).zip(source.chunks_exact(3)).enumerate() {
            let (x, y) = (at % width_px, at / width_px);
            let inside = (area.x0..area.x1).contains(&x) && (area.y0..area.y1).contains(&y);
            assert!(inside || drawn == before, "frame {}: pixel {x},{y} outside the box changed", frame.index);
            changed += usize::from(drawn != before);
        }
        assert!(changed * 2 > area.width_px() * area.height_px(), "frame {}: nothing was drawn", frame.index);
    }
    assert_eq!(take.frames[0].data.len(), width_px * height_px * 3);
}

async fn jpegs_hold_the_frame(bench: &Bench, tolerance: Tolerance) {
    let engine = engine(&bench.backend, 2, 8, 1);
    let avatar = bench.avatar();
    let pixels = perform(&engine, &avatar, raw(), &sound()).await;
    let options = SessionOptions { format: JPEG, ..raw() };
    let jpegs = perform(&engine, &avatar, options, &sound()).await;
    assert_eq!(pixels.done, jpegs.done);
    for (frame, jpeg) in pixels.frames.iter().zip(&jpegs.frames) {
        let (width_px, height_px, decoded) = common::decode_jpeg(&jpeg.data);
        assert_eq!((width_px, height_px), avatar.size_px());
        let psnr = psnr_db(&frame.data, &decoded);
        assert!(psnr >= tolerance.jpeg_psnr_db, "frame {}: {psnr:.1} dB", frame.index);
    }
}

async fn client_pictures_replace_the_avatars(bench: &Bench, tolerance: Tolerance) {
    let engine = engine(&bench.backend, 2, 8, 4);
    let avatar = bench.avatar();
    let usual = perform(&engine, &avatar, raw(), &sound()).await;
    let own: Vec<f32> = (0..FRAMES).flat_map(|index| picture_of(&avatar, avatar.frame_at(index as u64))).collect();
    let with = |pictures: Vec<f32>| SessionOptions { pictures: Some(pictures.into()), ..raw() };
    let same = perform(&engine, &avatar, with(own), &sound()).await;
    for (one, other) in usual.frames.iter().zip(&same.frames) {
        assert!(largest_difference(&one.data, &other.data) <= tolerance.batch_levels, "frame {}", one.index);
    }
    // Three of another kind, and then the avatar's own again.
    let grey = perform(&engine, &avatar, with(vec![0.5; 3 * avatar.picture_len()]), &sound()).await;
    for (index, (one, other)) in usual.frames.iter().zip(&grey.frames).enumerate() {
        let apart = largest_difference(&one.data, &other.data);
        assert_eq!(apart > tolerance.batch_levels, index < 3, "frame {index}: {apart} levels apart");
    }
}

async fn a_fixed_context_drives_every_frame(bench: &Bench, tolerance: Tolerance) {
    let engine = engine(&bench.backend, 2, 8, 4);
    let avatar = bench.avatar();
    let context: Vec<f32> = speech(4, avatar.context().rows() * FEATURE_LEN, RATE_HZ).iter().map(|v| v.abs()).collect();
    let options = SessionOptions { fixed_context: Some(context.as_slice().into()), max_frames: Some(9), ..raw() };
    let (mut intake, mut reader) = open(&engine, &avatar, options);
    let mut reference = Reference::new();
    // A second utterance too: the context stays.
    for utterance in 0..2 {
        let take = say(&mut intake, &mut reader, []).await;
        assert_eq!(take.done, (utterance, 9, 0));
        for frame in &take.frames {
            let expected = reference.draw(&avatar, frame.avatar_frame, &context);
            let apart = largest_difference(&frame.data, &expected);
            assert!(apart <= tolerance.reference_levels, "frame {}: {apart} levels apart", frame.index);
        }
    }
}

/// The same frames, pixels or JPEGs: to the byte where batches do not matter, within `batch_levels` where what shared a batch chooses
/// the kernels.
fn assert_same(a: &[Got], b: &[Got], tolerance: Tolerance, what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    for (a, b) in a.iter().zip(b) {
        if a.data == b.data {
            continue;
        }
        assert!(tolerance.batch_levels > 0, "{what}: frame {} differs", a.index);
        if a.data.starts_with(&[0xFF, 0xD8]) {
            // A level apart may be a quantisation step apart.
            let [a_pixels, b_pixels] = [a, b].map(|frame| common::decode_jpeg(&frame.data).2);
            let psnr = psnr_db(&a_pixels, &b_pixels);
            assert!(psnr >= SAME_JPEG_PSNR_DB, "{what}: frame {}: {psnr:.1} dB apart", a.index);
        } else {
            let apart = largest_difference(&a.data, &b.data);
            assert!(apart <= tolerance.batch_levels, "{what}: frame {}: {apart} levels apart", a.index);
        }
    }
}

fn largest_difference(a: &[u8], b: &[u8]) -> u8 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(&a, &b)| a.abs_diff(b)).max().unwrap_or(0)
}
