//! A spliced frame is a full encode of the composited frame, byte for byte, and every decoder agrees.

use std::convert::Infallible;
use std::num::NonZero;

use lipsyncd::picture::template::{
    Job, KeptStrip, PatchEncoder, PatchError, SpliceError, StripCompositor, TemplatePlan, TemplateSet, choose_interval,
    content_digest, load_or_build, splice,
};
use lipsyncd::picture::{
    ChannelOrder, CompositeScratch, Compositor, GeneratorGeometry, Image, Interpolation, JpegEncoder, JpegSettings,
    Quality, Rect, Surround, cut_crop,
};

/// A small, seedable source of numbers.
struct Lcg(u64);

impl Lcg {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn within(&mut self, from: usize, to: usize) -> usize {
        from + self.next() as usize % (to - from + 1)
    }
}

/// Noise, smooth waves, hard edges or a flat colour.
fn picture(random: &mut Lcg, width: usize, height: usize) -> Image {
    let (kind, scale) = (random.within(0, 3), random.within(2, 40));
    let base = random.next() as u8;
    let mut data = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            for c in 0..3 {
                data.push(match kind {
                    0 => random.next() as u8,
                    1 => (128.0 + 120.0 * ((x + c * 5) as f32 / scale as f32).sin() * (y as f32 / 9.0).cos()) as u8,
                    2 => ((x / scale + y / scale + c) % 2 * 255) as u8,
                    _ => base.wrapping_add(c as u8 * 50),
                });
            }
        }
    }
    Image::from_bgr(width, height, data).unwrap()
}

struct Case {
    name: String,
    layout_is_exact: bool,
    spliced: Vec<u8>,
    from_planes: Option<Vec<u8>>,
    full: Vec<u8>,
    unmarked: Vec<u8>,
    patch: Vec<u8>,
    strip: Rect,
    background: Vec<u8>,
}

/// One frame made both ways.
fn case(random: &mut Lcg, frame_px: (usize, usize), area: Rect, settings: JpegSettings) -> Case {
    let frame = picture(random, frame_px.0, frame_px.1);
    let interpolation = if random.next().is_multiple_of(4) { Interpolation::Linear } else { Interpolation::Cubic };
    let border = random.within(0, 4);
    let geometry = GeneratorGeometry::new(random.within(5, 60), border, ChannelOrder::Bgr, interpolation).unwrap();
    let crop = cut_crop(frame.view(), area, &geometry).unwrap();
    let output: Vec<f32> = (0..geometry.output_len()).map(|_| random.next() as f32 / (1u64 << 31) as f32).collect();
    let compositor = Compositor::new(geometry, &[area]).unwrap();
    let templates = templates(&frame, area, settings);
    let template = templates.template(0).unwrap();

    let mut strips = StripCompositor::new();
    strips.fit(&templates, &compositor);
    let mut patcher = PatchEncoder::new(&templates).unwrap();
    let mut spliced = vec![0; templates.max_frame_len()];
    let strip = strips.bgr(&template, &compositor, &output, Surround::Crop(crop.data())).unwrap();
    let patch = patcher.encode(template.layout(), strip).unwrap();
    let len = splice(&template, &patch, &mut spliced).unwrap();
    spliced.truncate(len);
    let patch = patch.jpeg().to_vec();
    let kept = KeptStrip::cut(&spliced, template.layout()).unwrap();
    let mut again = vec![0; spliced.len()];
    let len = kept.splice(&template, &mut again).unwrap();
    assert!(again[..len] == spliced, "what was kept of it makes another frame");
    assert!(kept.splice(&template, &mut again[1..]).is_err(), "one byte too few");

    let planes = strips.planes(&template, &compositor, &output, Surround::Crop(crop.data())).unwrap();
    let from_planes = template.layout().planes_are_exact().then(|| {
        let patch = patcher.encode_planes(template.layout(), planes).unwrap();
        let mut out = vec![0; templates.max_frame_len()];
        let len = splice(&template, &patch, &mut out).unwrap();
        out.truncate(len);
        out
    });

    let mut composited = frame.clone();
    let mut scratch = CompositeScratch::new();
    scratch.fit(&compositor);
    compositor.paste(&output, Surround::Crop(crop.data()), area, composited.view_mut(), &mut scratch).unwrap();
    let encode = |settings| {
        let mut out = Vec::new();
        JpegEncoder::new(settings).unwrap().encode_to_vec(composited.view(), &mut out).unwrap();
        out
    };
    let (quality, interval) = (settings.quality.get(), settings.restart_interval_mcus);
    Case {
        name: format!("{frame_px:?} {area} R={interval} q={quality}"),
        layout_is_exact: template.layout().planes_are_exact(),
        spliced,
        from_planes,
        full: encode(settings),
        unmarked: encode(JpegSettings { restart_interval_mcus: 0, ..settings }),
        patch,
        strip: template.layout().strip(),
        background: template.jpeg().to_vec(),
    }
}

fn templates(frame: &Image, area: Rect, settings: JpegSettings) -> TemplateSet {
    let plan = TemplatePlan::new((frame.width_px(), frame.height_px()), &[area], settings).unwrap();
    let contents = [content_digest(frame.data())];
    let job = Job { plan, contents: &contents, cache_dir: None, threads: NonZero::<usize>::MIN };
    load_or_build(job, |_| Ok::<_, Infallible>(frame.clone()), |_| {}).unwrap().set
}

/// Any size, any box, any interval that divides the row, any quality.
fn random_case(random: &mut Lcg) -> Case {
    let (width, height) = (random.within(1, 400), random.within(1, 300));
    let (x0, y0) = (random.within(0, width - 1), random.within(0, height - 1));
    let area =
        Rect::new(x0, y0, random.within(x0 + 1, width.min(x0 + 120)), random.within(y0 + 1, height.min(y0 + 120)));
    let row = width.div_ceil(16);
    let divisors: Vec<u16> = (1..=row as u16).filter(|d| row.is_multiple_of((*d).into())).collect();
    let restart_interval_mcus = divisors[random.within(0, divisors.len() - 1)];
    let quality = Quality::new(random.within(1, 100) as u32).unwrap();
    case(random, (width, height), area, JpegSettings { quality, restart_interval_mcus })
}

fn zune(jpeg: &[u8]) -> Vec<u8> {
    zune_jpeg::JpegDecoder::new(std::io::Cursor::new(jpeg)).decode().unwrap()
}

fn assert_identical(case: &Case) {
    assert!(case.spliced == case.full, "{}", case.name);
    assert_eq!(case.from_planes.is_some(), case.layout_is_exact);
    if let Some(from_planes) = &case.from_planes {
        assert!(*from_planes == case.full, "{} from planes", case.name);
    }
}

#[test]
fn random_frames_are_byte_identical_to_full_encodes() {
    let mut random = Lcg(2026);
    let mut exact = 0;
    for _ in 0..400 {
        let case = random_case(&mut random);
        assert_identical(&case);
        exact += usize::from(case.layout_is_exact);
    }
    assert!(exact > 250 && exact < 400, "both kinds of layout must occur: {exact}");
}

#[test]
fn chosen_intervals_work_at_real_sizes() {
    let mut random = Lcg(7);
    for (frame_px, area) in [
        ((1280, 720), Rect::new(520, 300, 760, 540)),
        ((1920, 1080), Rect::new(837, 211, 1077, 451)),
        ((854, 480), Rect::new(601, 120, 854, 373)),
        ((1279, 719), Rect::new(1039, 479, 1279, 719)),
        ((848, 480), Rect::new(0, 0, 200, 200)),
    ] {
        let interval = choose_interval(frame_px, &[area]).unwrap();
        let settings = JpegSettings { quality: Quality::DEFAULT, restart_interval_mcus: interval };
        let case = case(&mut random, frame_px, area, settings);
        assert_identical(&case);
    }
}

#[test]
fn decoders_see_the_frame_without_markers() {
    let mut random = Lcg(99);
    for _ in 0..200 {
        let case = random_case(&mut random);
        assert!(zune(&case.spliced) == zune(&case.unmarked), "zune-jpeg: {}", case.name);
        let turbo = |jpeg: &[u8]| lipsyncd::picture::decode_bytes(jpeg).unwrap();
        assert!(turbo(&case.spliced) == turbo(&case.unmarked), "libjpeg-turbo: {}", case.name);
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let frame = picture(&mut Lcg(3), 200, 100);
    let settings = JpegSettings { restart_interval_mcus: 1, ..JpegSettings::default() };
    let area = Rect::new(20, 20, 50, 50);
    let (small, large) = (templates(&frame, area, settings), templates(&frame, Rect::new(20, 20, 100, 90), settings));
    let template = small.template(0).unwrap();
    let (width, height) = template.layout().strip_px();
    let strip = Image::black(width, height).unwrap();
    let mut patcher = PatchEncoder::new(&small).unwrap();
    let patch = patcher.encode(template.layout(), strip.view()).unwrap();

    let mut out = vec![0; small.max_frame_len()];
    let len = splice(&template, &patch, &mut out).unwrap();
    for short in 0..len {
        let error = splice(&template, &patch, &mut out[..short]).unwrap_err();
        assert_eq!(error, SpliceError::Buffer { len: short });
    }
    let error = splice(&large.template(0).unwrap(), &patch, &mut out).unwrap_err();
    assert_eq!(error, SpliceError::Layout);
    let wrong = Image::black(width, height + 1).unwrap();
    assert!(matches!(patcher.encode(template.layout(), wrong.view()), Err(PatchError::Size { .. })));
}

/// Templates of another build of the library would have other tables: here, of another quality.
#[test]
fn another_encoders_templates_are_refused() {
    let frame = picture(&mut Lcg(3), 200, 100);
    let settings = |quality| JpegSettings { restart_interval_mcus: 1, quality: Quality::new(quality).unwrap() };
    let area = Rect::new(20, 20, 50, 50);
    let templates = templates(&frame, area, settings(75));
    let template = templates.template(0).unwrap();
    let strip = Image::black(template.layout().strip_px().0, template.layout().strip_px().1).unwrap();
    let mut other = PatchEncoder::new(&templates).unwrap();
    other.set_quality(Quality::new(76).unwrap()).unwrap();
    let patch = other.encode(template.layout(), strip.view()).unwrap();
    let mut out = vec![0; templates.max_frame_len()];
    assert_eq!(splice(&template, &patch, &mut out), Err(SpliceError::Header));
}

/// A client that has the background draws the patch over it. Inside the strip the samples are the frame's; only a
/// decoder's smoothing of chroma across the strip's edge can tell.
#[test]
fn a_patch_alone_is_the_frames_strip() {
    let mut random = Lcg(5);
    for _ in 0..60 {
        let case = random_case(&mut random);
        let frame = lipsyncd::picture::decode_bytes(&case.full).unwrap();
        let patch = lipsyncd::picture::decode_bytes(&case.patch).unwrap();
        assert_eq!((patch.width_px(), patch.height_px()), (case.strip.width_px(), case.strip.height_px()));
        let strip = frame.view().part(case.strip).unwrap();
        // The strip's own edge pixels are smoothed with their neighbours in the frame, two columns and rows deep.
        for y in 2..patch.height_px().saturating_sub(2) {
            let inner = |row: &[u8]| row.get(6..row.len().saturating_sub(6)).map(<[u8]>::to_vec);
            assert!(inner(patch.view().row(y)) == inner(strip.row(y)), "{} row {y}", case.name);
        }
    }
}

/// Writes spliced frames and their full encodes for the decoders that live outside: `tests/outside_decoders.py FOLDER`.
#[test]
#[ignore = "writes to LIPSYNCD_SPLICE_OUT for tests/outside_decoders.py"]
fn write_cases_for_outside_decoders() {
    let folder = std::path::PathBuf::from(std::env::var_os("LIPSYNCD_SPLICE_OUT").unwrap());
    std::fs::create_dir_all(&folder).unwrap();
    let mut random = Lcg(4);
    for i in 0..200 {
        let case = random_case(&mut random);
        let write =
            |kind: &str, bytes: &[u8]| std::fs::write(folder.join(format!("{i:03}_{kind}.jpg")), bytes).unwrap();
        write("spliced", &case.spliced);
        write("unmarked", &case.unmarked);
        write("background", &case.background);
    }
}
