//! The pictures' hot path makes no heap allocation once its buffers are there. One test in a binary of its own: the
//! counter is the process's allocator.
#![allow(unsafe_code, reason = "a counting global allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::convert::Infallible;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};

use lipsyncd::picture::template::{
    Job, PatchEncoder, StripCompositor, TemplatePlan, content_digest, load_or_build, splice,
};
use lipsyncd::picture::{
    ChannelOrder, CompositeScratch, Compositor, GeneratorGeometry, Image, Interpolation, JpegEncoder, JpegSettings,
    PictureInput, Quality, Rect, Surround, cut_crop,
};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::SeqCst);
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
