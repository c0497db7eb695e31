//! No heap allocation per frame, from the session's intake to the encoded JPEG, on any thread, and none that is left by what clients ask for.
//!
//! A counting allocator watches the whole process; ONNX Runtime and libjpeg-turbo have heaps of their own,
//! which it does not see. With the argument `cuda` it is the first GPU that draws. A program of its own, without the test harness, whose threads would count too.
#![allow(unsafe_code)] // A global allocator is unsafe to implement.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use common::cuda::cuda_backend;
use common::speech::speech;
use common::{JPEG, bundle, cpu_backend, cpu_backend_that_keeps, demo, engine, load, open, perform, within};
use lipsyncd::avatar::LoadedAvatar;
use lipsyncd::backend::cuda::plan::Precision;
use lipsyncd::backend::{Backend, FrameFormat};
use lipsyncd::batch::Engine;
use lipsyncd::picture::Quality;
use lipsyncd::session::{Event, FrameReader, Intake, SessionOptions};

/// Frames of the first sessions before counting: every lane has met both networks and every buffer is in use.
const WARM_FRAMES: usize = 100;
/// The same for sessions that find the lanes warm.
const SETTLED_FRAMES: usize = 40;
/// Frames counted, of all sessions together.
const COUNTED_FRAMES: usize = 200;
/// Frames of an utterance, so that ends and beginnings are counted as well.
const UTTERANCE_FRAMES: usize = 60;
/// JPEG qualities that are asked for, one after the other, and the bytes that all of them may leave: less than one encoder of strips for each.
const QUALITIES: u32 = 40;
const LEFT_BY_QUALITIES: isize = 1 << 20;
/// Allocations whose place is told.
const TOLD: usize = 6;

static COUNTING: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
/// Bytes in use.
static LIVE: AtomicIsize = AtomicIsize::new(0);
static PLACES: Mutex<Vec<String>> = Mutex::new(Vec::new());

thread_local! {
    /// Set while a place is noted, which itself allocates.
    static NOTING: Cell<bool> = const { Cell::new(false) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to the system's allocator with the caller's own arguments; counting changes
// neither them nor the result.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        LIVE.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        LIVE.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller keeps `alloc_zeroed`'s contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        LIVE.fetch_add(size as isize - layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller keeps `realloc`'s contract, and `block` is the system's.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller keeps `dealloc`'s contract, and `block` is the system's.
        unsafe { System.dealloc(block, layout) }
    }
}

fn count(bytes: usize) {
    if !COUNTING.load(Ordering::Acquire) || NOTING.get() {
        return;
    }
    if ALLOCATIONS.fetch_add(1, Ordering::AcqRel) < TOLD {
        NOTING.set(true);
        let place = format!("{bytes} bytes on thread {:?}:\n{}", thread_name(), Backtrace::force_capture());
        PLACES.lock().unwrap().push(place);
        NOTING.set(false);
    }
}

fn thread_name() -> Option<String> {
    std::thread::current().name().map(str::to_owned)
}

/// Starts counting once every session is warm, and ends when each has had its frames counted.
struct Gauge {
    warm: usize,
    frames: Vec<Cell<usize>>,
}

impl Gauge {
    fn new(warm: usize, sessions: usize) -> Self {
        Self { warm, frames: vec![Cell::new(0); sessions] }
    }

    /// One more frame of `session`; whether the counting is over.
    fn frame(&self, session: usize) -> bool {
        self.frames[session].set(self.frames[session].get() + 1);
        let least = self.frames.iter().map(Cell::get).min().unwrap_or(0);
        let over = least >= self.warm + COUNTED_FRAMES / self.frames.len();
        COUNTING.store(least >= self.warm && !over, Ordering::Release);
        over
    }
}

/// Speaks for ever: utterance after utterance in chunks of 20 ms.
async fn speak(intake: &mut Intake, sound: &[f32], rate_hz: usize) {
    loop {
        for chunk in sound[..UTTERANCE_FRAMES * rate_hz / 25].chunks(rate_hz / 50) {
            if intake.push(chunk).await.is_err() {
                return;
            }
        }
        if intake.finish().await.is_err() {
            return;
        }
    }
}

/// Reads and drops frames until the gauge has seen enough.
async fn watch(reader: &mut FrameReader, session: usize, gauge: &Gauge) {
    loop {
        match reader.next().await {
            Some(Ok(Event::Frame(frame))) => {
                assert!(frame.data.starts_with(&[0xff, 0xd8]), "not a JPEG");
                drop(frame);
                if gauge.frame(session) {
                    return;
                }
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => panic!("{error}"),
            None => panic!("the session ended"),
        }
    }
}

/// Runs a session at each of `rates_hz` side by side; gives the allocations counted.
fn allocations(engine: &Engine, avatar: &Arc<LoadedAvatar>, warm: usize, rates_hz: &[u32]) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let sounds: Vec<_> = rates_hz.iter().map(|&rate_hz| speech(9, rate_hz as usize * 3, rate_hz)).collect();
    let gauge = Gauge::new(warm, rates_hz.len());
    let session = async |index: usize| {
        let rate_hz = rates_hz[index];
        let (mut intake, mut reader) = open(engine, avatar, SessionOptions::new(JPEG, rate_hz));
        tokio::select! {
            () = speak(&mut intake, &sounds[index], rate_hz as usize) => panic!("the session ended"),
            () = watch(&mut reader, index, &gauge) => {}
        }
        // Kept until the counting is over: leaving is not part of it.
        (intake, reader)
    };
    ALLOCATIONS.store(0, Ordering::Release);
    runtime.block_on(within(async {
        match rates_hz.len() {
            1 => drop(session(0).await),
            _ => tokio::select! {
                _ = session(0) => {}
                _ = session(1) => {}
            },
        }
    }));
    COUNTING.store(false, Ordering::Release);
    ALLOCATIONS.load(Ordering::Acquire)
}

fn main() -> ExitCode {
    // Harness-like flags (`--list`, filters) mean nothing here: it is one check.
    if std::env::args().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    // Before there are threads that may allocate at the same time.
    assert!(counts_what_it_should(), "the allocator does not count");
    let on_gpu = std::env::args().any(|argument| argument == "cuda");
    let (backend, batch) = if on_gpu { (cuda_backend(Precision::Fp16), 4) } else { (cpu_backend(), 1) };
    let avatar = load(&backend, &bundle());
    let engine = engine(&backend, 2, 8, batch);
    let mut failed = false;
    // On a GPU every batch size has to be met twice before its graph is there.
    let (warm, settled) = if on_gpu { (10 * WARM_FRAMES, 10 * SETTLED_FRAMES) } else { (WARM_FRAMES, SETTLED_FRAMES) };
    let phases = [(warm, &[16_000][..]), (settled, &[44_100]), (settled, &[16_000, 48_000])];
    for (warm, rates_hz) in phases {
        failed |= !is_free_of_allocations(&engine, &avatar, warm, rates_hz);
    }
    let left = left_by_qualities(&engine, &avatar);
    println!("{QUALITIES} JPEG qualities: {left} bytes more are in use");
    failed |= left > LEFT_BY_QUALITIES;
    if !on_gpu {
        // Counted while what the generator makes of pictures is still being kept, one after the other.
        let backend: Arc<dyn Backend> = cpu_backend_that_keeps(1 << 30);
        let avatar = load(&backend, &demo());
        failed |= !is_free_of_allocations(&common::engine(&backend, 2, 8, 1), &avatar, SETTLED_FRAMES, &[16_000]);
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Bytes more in use after patches at [`QUALITIES`] qualities, when the lanes have met some others.
fn left_by_qualities(engine: &Engine, avatar: &Arc<LoadedAvatar>) -> isize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let sound = speech(11, 4 * 16_000 / 25, 16_000);
    let say = |quality| {
        let format = FrameFormat::PatchJpeg(Quality::new(quality).unwrap());
        runtime.block_on(perform(engine, avatar, SessionOptions::new(format, 16_000), &sound));
    };
    (1..=8).for_each(say);
    let before = LIVE.load(Ordering::Relaxed);
    (9..9 + QUALITIES).for_each(say);
    LIVE.load(Ordering::Relaxed) - before
}

fn is_free_of_allocations(engine: &Engine, avatar: &Arc<LoadedAvatar>, warm: usize, rates_hz: &[u32]) -> bool {
    let allocations = allocations(engine, avatar, warm, rates_hz);
    println!("sessions at {rates_hz:?} Hz: {allocations} allocations in {COUNTED_FRAMES} frames or more");
    for place in std::mem::take(&mut *PLACES.lock().unwrap()) {
        println!("{place}\n");
    }
    allocations == 0
}

/// One allocation on another thread, seen here.
fn counts_what_it_should() -> bool {
    let thread = std::thread::spawn(|| {
        COUNTING.store(true, Ordering::Release);
        drop(std::hint::black_box(Box::new(1u64)));
        COUNTING.store(false, Ordering::Release);
    });
    let joined = thread.join().is_ok();
    joined && ALLOCATIONS.swap(0, Ordering::AcqRel) == 1 && PLACES.lock().unwrap().drain(..).len() == 1
}
