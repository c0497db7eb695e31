//! Template, patch and splice beside the full encode, on one thread: medians of interleaved rounds, and their ratios; in brackets
//! the least times, which a busy machine disturbs less.
//!
//! `cargo bench --bench splice`. Timings on shared machines wander; compare ratios of one run.

mod photo;

use std::convert::Infallible;
use std::hint::black_box;
use std::num::NonZero;
use std::time::Instant;

use lipsyncd::picture::template::{
    Job, Loaded, PatchEncoder, StripCompositor, TemplatePlan, content_digest, load_or_build, splice,
};
use lipsyncd::picture::{
    ChannelOrder, CompositeScratch, Compositor, GeneratorGeometry, Image, Interpolation, JpegEncoder, JpegSettings,
    Quality, Rect, Surround, cut_crop,
};
use photo::photo;

const ROUNDS: usize = 200;
/// Frames of the avatar whose load is timed.
const AVATAR_FRAMES: usize = 500;

struct Timer(Vec<f64>);

impl Timer {
    fn time(&mut self, work: impl FnOnce()) {
        let start = Instant::now();
        work();
        self.0.push(start.elapsed().as_secs_f64() * 1e3);
    }

    fn times(&mut self) -> Times {
        self.0.sort_unstable_by(f64::total_cmp);
        Times { median: self.0[self.0.len() / 2], least: self.0[0] }
    }
}

/// Milliseconds of one kind of work; or, divided by another's, ratios.
#[derive(Clone, Copy)]
struct Times {
    median: f64,
    least: f64,
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3} ({:.3})", self.median, self.least)
    }
}

impl std::ops::Add for Times {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { median: self.median + other.median, least: self.least + other.least }
    }
}

impl std::ops::Div for Times {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        Self { median: self.median / other.median, least: self.least / other.least }
    }
}

fn load(plan: TemplatePlan, frame: &Image) -> Loaded {
    let contents = vec![content_digest(frame.data()); plan.layouts().len()];
    let job = Job { plan, contents: &contents, cache_dir: None, threads: NonZero::<usize>::MIN };
    load_or_build(job, |_| Ok::<_, Infallible>(frame.clone()), |_| {}).expect("the frame is sound")
}

fn per_frame(name: &str, frame_px: (usize, usize), area: Rect) {
    let frame = photo(frame_px.0, frame_px.1);
    let geometry = GeneratorGeometry::new(320, 4, ChannelOrder::Bgr, Interpolation::Cubic).expect("the recipe's");
    let crop = cut_crop(frame.view(), area, &geometry).expect("the box is inside");
    let face = photo(320, 320);
    let output: Vec<f32> = (0..geometry.output_len())
        .map(|i| f32::from(face.data()[i % geometry.plane_len() * 3 + i / geometry.plane_len()]) / 255.0)
        .collect();
    let compositor = Compositor::new(geometry, &[area]).expect("the box is sound");
    let plan = TemplatePlan::choose(frame_px, &[area], Quality::DEFAULT).expect("splicing pays here");
    let settings = plan.settings();
    let templates = load(plan, &frame).set;
    let template = templates.template(0).expect("there is one");
    let layout = template.layout();
    let mut strips = StripCompositor::new();
    strips.fit(&templates, &compositor);
    let mut patcher = PatchEncoder::new(&templates).expect("the same encoder");
    let mut spliced = vec![0; templates.max_frame_len()];
    let mut scratch = CompositeScratch::new();
    scratch.fit(&compositor);
    let mut composited = frame.clone();
    let unmarked = JpegSettings { restart_interval_mcus: 0, ..settings };
    let mut full_encoder = JpegEncoder::new(unmarked).expect("libjpeg-turbo has memory");
    let mut full = vec![0; JpegEncoder::max_len(frame_px.0, frame_px.1)];

    let mut timers: [Timer; 6] = std::array::from_fn(|_| Timer(Vec::new()));
    let [paste, whole, strip, patch, strip_planes, planes] = &mut timers;
    let (mut full_len, mut spliced_len, mut patch_len) = (0, 0, 0);
    for _ in 0..ROUNDS {
        paste.time(|| {
            compositor
                .paste(black_box(&output), Surround::Crop(crop.data()), area, composited.view_mut(), &mut scratch)
                .expect("fits");
        });
        whole.time(|| full_len = full_encoder.encode(black_box(composited.view()), &mut full).expect("fits"));
        strip.time(|| {
            black_box(
                strips.bgr(&template, &compositor, black_box(&output), Surround::Crop(crop.data())).expect("fits"),
            );
        });
        let pixels = strips.bgr(&template, &compositor, &output, Surround::Crop(crop.data())).expect("fits");
        patch.time(|| {
            let patch = patcher.encode(layout, black_box(pixels)).expect("fits");
            patch_len = patch.jpeg().len();
            spliced_len = splice(&template, &patch, &mut spliced).expect("fits");
        });
        strip_planes.time(|| {
            black_box(
                strips.planes(&template, &compositor, black_box(&output), Surround::Crop(crop.data())).expect("fits"),
            );
        });
        let ready = strips.planes(&template, &compositor, &output, Surround::Crop(crop.data())).expect("fits");
        planes.time(|| {
            let patch = patcher.encode_planes(layout, black_box(ready)).expect("fits");
            splice(&template, &patch, &mut spliced).expect("fits");
        });
    }
    let [paste, whole, strip, patch, strip_planes, planes] = timers.each_mut().map(Timer::times);
    let (interval, strip_px) = (settings.restart_interval_mcus, layout.strip_px());
    println!("{name}, box {area}: R = {interval}, strip {strip_px:?}, {} segments", layout.segments());
    println!("  composite {paste} ms, full encode {whole} ms");
    println!("  BGR: strip {strip} ms, patch and splice {patch} ms");
    println!("  planes: strip {strip_planes} ms, patch and splice {planes} ms");
    println!("  encode: {}x from BGR, {}x from planes", patch / whole, planes / whole);
    let (from_bgr, from_planes) = ((strip + patch) / (paste + whole), (strip_planes + planes) / (paste + whole));
    println!("  with compositing on both sides: {from_bgr}x from BGR, {from_planes}x from planes");
    let growth = (spliced_len as f64 / full_len as f64 - 1.0) * 100.0;
    println!("  bytes: full {full_len}, spliced {spliced_len} (+{growth:.2} %), patch alone {patch_len}");
    let raw = frame.data().len();
    let template_bytes = templates.resident_bytes();
    println!(
        "  resident per avatar frame: raw {raw}, template {template_bytes} ({:.1}x less)",
        raw as f64 / template_bytes as f64
    );
}

/// Decoding is left out: frames come ready, so this is encoding, margins, hashing and the disk.
fn load_time(name: &str, frame_px: (usize, usize), area: Rect) {
    let frame = photo(frame_px.0, frame_px.1);
    let dir = std::env::temp_dir().join(format!("lipsyncd-bench-splice-{}", std::process::id()));
    let contents: Vec<_> = (0..AVATAR_FRAMES).map(|i| content_digest(&i.to_le_bytes())).collect();
    let threads = std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    let timed = || {
        let plan = TemplatePlan::choose(frame_px, &vec![area; AVATAR_FRAMES], Quality::DEFAULT).expect("pays");
        let job = Job { plan, contents: &contents, cache_dir: Some(&dir), threads };
        let start = Instant::now();
        let loaded = load_or_build(job, |_| Ok::<_, Infallible>(frame.clone()), |_| {}).expect("the frames are sound");
        (start.elapsed().as_secs_f64(), loaded.origin, loaded.set.resident_bytes())
    };
    for _ in 0..2 {
        let (seconds, origin, bytes) = timed();
        println!(
            "{name}: {AVATAR_FRAMES} frames, {origin:?}, {threads} threads: {seconds:.2} s, {:.0} MB",
            bytes as f64 / 1e6
        );
    }
    // Left behind only if the bench is interrupted, in the system's own folder for that.
    let _ = std::fs::remove_dir_all(dir);
}

fn main() {
    // `cargo test --benches` runs this too, with `--test`: a timing is no test.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    // In the first the strip's rows happen to be segments; in the others MCUs of the background are beside it.
    let (hd, full_hd) = (Rect::new(520, 300, 760, 540), Rect::new(837, 411, 1077, 651));
    per_frame("1280x720", (1280, 720), hd);
    per_frame("1280x720", (1280, 720), Rect::new(477, 160, 717, 400));
    per_frame("1920x1080", (1920, 1080), full_hd);
    load_time("1280x720", (1280, 720), hd);
    load_time("1920x1080", (1920, 1080), full_hd);
}
