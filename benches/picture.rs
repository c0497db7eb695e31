//! Time of each picture step at the recipe's sizes, on one thread.

mod photo;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use lipsyncd::picture::{
    ChannelOrder, CompositeScratch, Compositor, GeneratorGeometry, Image, Interpolation, JpegEncoder, JpegSettings,
    PictureInput, Rect, ResizeScratch, Resizer, Surround,
};
use photo::photo;

fn resize(c: &mut Criterion) {
    for (name, interpolation) in [("cubic", Interpolation::Cubic), ("linear", Interpolation::Linear)] {
        for (from, to) in [(328, 240), (240, 328), (328, 480)] {
            let src = photo(from, from);
            let mut dst = Image::black(to, to).expect("the size is fixed");
            let resizer = Resizer::new((from, from), (to, to), interpolation).expect("the size is fixed");
            let mut scratch = ResizeScratch::new();
            scratch.fit(&resizer);
            c.bench_function(&format!("resize/{name}/{from}->{to}"), |b| {
                b.iter(|| resizer.run(black_box(src.view()), dst.view_mut(), &mut scratch));
            });
        }
    }
}

fn composite(c: &mut Criterion) {
    let geometry =
        GeneratorGeometry::new(320, 4, ChannelOrder::Bgr, Interpolation::Cubic).expect("the recipe's geometry");
    let area = Rect::new(520, 300, 760, 540);
    let compositor = Compositor::new(geometry, &[area]).expect("the box is sound");
    let mut scratch = CompositeScratch::new();
    scratch.fit(&compositor);
    let crop = photo(328, 328);
    let output: Vec<f32> = (0..geometry.output_len()).map(|i| (i % 1009) as f32 / 1009.0).collect();
    let mut frame = photo(1280, 720);
    c.bench_function("composite/320->240", |b| {
        b.iter(|| {
            compositor.paste(black_box(&output), Surround::Crop(crop.data()), area, frame.view_mut(), &mut scratch)
        });
    });
    let filler = PictureInput::new(geometry, [5, 5, 310, 305]).expect("the recipe's mask");
    let mut input = vec![0.0; geometry.input_len()];
    c.bench_function("input/320", |b| b.iter(|| filler.fill(black_box(crop.data()), &mut input)));
}

fn jpeg(c: &mut Criterion) {
    for (width, height) in [(1280, 720), (1920, 1080)] {
        let picture = photo(width, height);
        let mut out = vec![0; JpegEncoder::max_len(width, height)];
        for restart_interval_mcus in [0, 8] {
            let settings = JpegSettings { restart_interval_mcus, ..JpegSettings::default() };
            let mut encoder = JpegEncoder::new(settings).expect("libjpeg-turbo has memory");
            let len = encoder.encode(picture.view(), &mut out).expect("the picture fits");
            c.bench_function(&format!("jpeg/{width}x{height}/R={restart_interval_mcus}/{len} bytes"), |b| {
                b.iter(|| encoder.encode(black_box(picture.view()), &mut out));
            });
        }
    }
}

criterion_group!(benches, resize, composite, jpeg);
criterion_main!(benches);
