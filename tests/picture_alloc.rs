//! The pictures' hot path makes no heap allocation once its buffers are there, and what nobody reads of a picture's file is
//! not unpacked. One test at a time in a binary of its own: the counter is the process's allocator.
#![allow(unsafe_code, reason = "a counting global allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::convert::Infallible;
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use lipsyncd::picture::template::{
    Job, PatchEncoder, StripCompositor, TemplatePlan, content_digest, load_or_build, splice,
};
use lipsyncd::picture::{
    ChannelOrder, CompositeScratch, Compositor, GeneratorGeometry, Image, Interpolation, JpegEncoder, JpegSettings,
    PictureInput, Quality, Rect, Surround, cut_crop, decode_bytes,
};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

/// Bytes of the largest allocation.
static LARGEST: AtomicUsize = AtomicUsize::new(0);

/// Held by the test that counts.
static ALONE: Mutex<()> = Mutex::new(());

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::SeqCst);
        LARGEST.fetch_max(layout.size(), Ordering::SeqCst);
        // SAFETY: the caller's promise is ours.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is ours.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn frames_are_made_without_allocating() {
    let _alone = ALONE.lock().unwrap();
    let frame = Image::from_bgr(640, 360, (0..640 * 360 * 3).map(|i| (i % 241) as u8).collect()).unwrap();
    let boxes = [Rect::new(200, 90, 350, 240), Rect::new(203, 91, 350, 243)];
    for interpolation in [Interpolation::Cubic, Interpolation::Linear] {
        let geometry = GeneratorGeometry::new(96, 4, ChannelOrder::Bgr, interpolation).unwrap();
        let crops = boxes.map(|area| cut_crop(frame.view(), area, &geometry).unwrap());
        let filler = PictureInput::new(geometry, [5, 5, 80, 70]).unwrap();
        let mut input = vec![0.0; geometry.input_len()];
        let output = vec![0.4; geometry.output_len()];
        let compositor = Compositor::new(geometry, &boxes).unwrap();
        let plan = TemplatePlan::choose((640, 360), &boxes, Quality::DEFAULT).unwrap();
        let contents = [content_digest(frame.data()); 2];
        let job = Job { plan, contents: &contents, cache_dir: None, threads: NonZero::<usize>::MIN };
        let templates = load_or_build(job, |_| Ok::<_, Infallible>(frame.clone()), |_| {}).unwrap().set;
        let mut strips = StripCompositor::new();
        strips.fit(&templates, &compositor);
        let mut patcher = PatchEncoder::new(&templates).unwrap();
        let mut jpeg = vec![0; templates.max_frame_len()];
        let mut whole = JpegEncoder::new(JpegSettings::default()).unwrap();
        let mut whole_jpeg = vec![0; JpegEncoder::max_len(640, 360)];
        let mut composited = frame.clone();
        let mut scratch = CompositeScratch::new();
        scratch.fit(&compositor);

        let before = ALLOCATIONS.load(Ordering::SeqCst);
        for i in [0, 1, 0, 1] {
            let (template, crop) = (templates.template(i).unwrap(), crops[i].data());
            filler.fill(crop, &mut input).unwrap();
            let strip = strips.bgr(&template, &compositor, &output, Surround::Crop(crop)).unwrap();
            for quality in [1, 100, 75].map(|quality| Quality::new(quality).unwrap()) {
                patcher.set_quality(quality).unwrap();
                whole.set_quality(quality).unwrap();
                patcher.encode(template.layout(), strip).unwrap();
            }
            let patch = patcher.encode(template.layout(), strip).unwrap();
            splice(&template, &patch, &mut jpeg).unwrap();
            let planes = strips.planes(&template, &compositor, &output, Surround::Crop(crop)).unwrap();
            let patch = patcher.encode_planes(template.layout(), planes).unwrap();
            splice(&template, &patch, &mut jpeg).unwrap();
            compositor.paste(&output, Surround::Crop(crop), boxes[i], composited.view_mut(), &mut scratch).unwrap();
            whole.encode(composited.view(), &mut whole_jpeg).unwrap();
        }
        assert_eq!(ALLOCATIONS.load(Ordering::SeqCst) - before, 0, "{interpolation:?}");
    }
}

#[test]
fn a_colour_profile_that_unpacks_to_a_thousand_times_its_size_is_left_packed() {
    const UNPACKED: usize = 32 << 20;
    let _alone = ALONE.lock().unwrap();
    let mut info = png::Info::with_size(8, 8);
    info.color_type = png::ColorType::Rgb;
    info.bit_depth = png::BitDepth::Eight;
    info.icc_profile = Some(vec![0; UNPACKED].into());
    let mut file = Vec::new();
    let mut writer = png::Encoder::with_info(&mut file, info).unwrap().write_header().unwrap();
    writer.write_image_data(&[9; 8 * 8 * 3]).unwrap();
    writer.finish().unwrap();
    assert!(file.windows(4).any(|chunk| chunk == b"iCCP") && file.len() < UNPACKED / 100);
    LARGEST.store(0, Ordering::SeqCst);
    assert_eq!(decode_bytes(&file).unwrap().data(), [9; 8 * 8 * 3]);
    let largest = LARGEST.load(Ordering::SeqCst);
    assert!(largest < UNPACKED / 100, "{largest} bytes at once");
}
