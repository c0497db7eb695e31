//! nvJPEG on GPU 0, against the CPU's encoder on the same planes.
#![allow(unsafe_code)] // What is enqueued outlives the calls that enqueue it.

use std::path::Path;
use std::sync::Arc;

use lipsyncd::backend::cuda::nvjpeg::{DevicePlanes, Encoder, EncoderSettings, Library, NvJpeg, NvJpegError};
use lipsyncd::cuda::{Context, DeviceBuf, Driver, Priority, Stream};
use lipsyncd::picture::template::{StripLayout, StripPlanes};
use lipsyncd::picture::{Image, JpegEncoder, JpegSettings, Quality, Rect, decode_bytes, decode_file};

/// A picture's planes, on the host and on the GPU.
struct Picture {
    image: Image,
    planes: StripPlanes,
    on_device: DeviceBuf,
}

impl Picture {
    /// The demo's first frame, cut to `width` by `height`.
    fn new(context: &Arc<Context>, width: usize, height: usize) -> Self {
        let root = std::env::var_os("LIPSYNCD_ROOT").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let frame = decode_file(&Path::new(&root).join("avatars/demo/frames/000000.jpg")).unwrap();
        let (x, y) = ((frame.width_px() - width) / 2, (frame.height_px() - height) / 2);
        let part = frame.view().part(Rect::new(x, y, x + width, y + height)).unwrap();
        let mut image = Image::black(width, height).unwrap();
        image.view_mut().copy_from(part).unwrap();
        let mut planes = StripPlanes::new();
        planes.fit(&StripLayout::new((width, height), Rect::new(0, 0, width, height), 1).unwrap());
        planes.fill(image.view()).unwrap();
        let yuv = planes.planes().unwrap();
        let on_device = DeviceBuf::from_slice(context, &[yuv.y(), yuv.u(), yuv.v()].concat()).unwrap();
        Self { image, planes, on_device }
    }

    fn device_planes(&self) -> DevicePlanes {
        let yuv = self.planes.planes().unwrap();
        let y = self.on_device.ptr();
        let u = y.offset(yuv.y().len());
        let v = u.offset(yuv.u().len());
        DevicePlanes { planes: [y.0, u.0, v.0], luma_pitch: yuv.luma_stride(), chroma_pitch: yuv.chroma_stride() }
    }

    /// How near a JPEG of it comes to it, dB.
    fn psnr(&self, jpeg: &[u8]) -> f64 {
        let decoded = decode_bytes(jpeg).unwrap();
        assert!(decoded.width_px() >= self.image.width_px() && decoded.height_px() == self.image.height_px());
        let (mut sum, mut count) = (0.0, 0.0);
        for y in 0..self.image.height_px() {
            for (a, b) in self.image.view().row(y).iter().zip(decoded.view().row(y)) {
                sum += (f64::from(*a) - f64::from(*b)).powi(2);
                count += 1.0;
            }
        }
        10.0 * (255.0 * 255.0 * count / f64::max(sum, 1e-9)).log10()
    }
}

fn has_marker(jpeg: &[u8], marker: u8) -> bool {
    let scan = jpeg.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap();
    jpeg[..scan].windows(2).any(|pair| pair == [0xFF, marker])
}

#[test]
#[ignore = "needs an NVIDIA GPU and nvJPEG"]
fn nvjpegs_pictures_are_as_good_as_the_cpus() {
    let driver = Driver::load().unwrap_or_else(|error| panic!("{error}"));
    let context = Context::open(&driver, 0).unwrap();
    let library = Library::load(driver.version().number(), None).unwrap_or_else(|error| panic!("{error}"));
    println!("nvJPEG {} on {}", library.version(), context.gpu().name);
    let nvjpeg = Arc::new(NvJpeg::new(library).unwrap());
    let stream = Arc::new(Stream::new(&context, Priority::Normal).unwrap());
    for (size_px, quality) in [((1280, 720), 75), ((1279, 719), 75), ((64, 48), 95), ((17, 33), 30)] {
        let picture = Picture::new(&context, size_px.0, size_px.1);
        let quality = Quality::new(quality).unwrap();
        // SAFETY: the stream is of the current context.
        let encoder = unsafe { Encoder::new(Arc::clone(&nvjpeg), EncoderSettings { quality, size_px }, &stream) };
        let mut encoder = encoder.unwrap();
        let mut jpeg = vec![0; encoder.max_len()];
        // The second picture finds the state as the first left it.
        let mut len = 0;
        for _ in 0..2 {
            // SAFETY: the planes are on the GPU, complete, and outlive the retrieval.
            unsafe { encoder.encode(picture.device_planes()) }.unwrap();
            let error = encoder.retrieve(&mut [0; 8]).unwrap_err();
            assert!(matches!(error, NvJpegError::Buffer { got: 8, .. }), "{error}");
            len = encoder.retrieve(&mut jpeg).unwrap();
        }
        let jpeg = &jpeg[..len];
        let mut cpu = JpegEncoder::new(JpegSettings { quality, ..JpegSettings::default() }).unwrap();
        let mut reference = vec![0; JpegEncoder::max_len(size_px.0.next_multiple_of(16), size_px.1)];
        let reference_len = cpu.encode_yuv(picture.planes.planes().unwrap(), &mut reference).unwrap();
        let (got, expected) = (picture.psnr(jpeg), picture.psnr(&reference[..reference_len]));
        println!("{size_px:?}: {len} bytes, {got:.2} dB; the CPU's {reference_len} bytes, {expected:.2} dB");
        assert!(got >= expected - 0.5, "{size_px:?}: {got:.2} dB, the CPU's {expected:.2} dB");
        assert!(has_marker(jpeg, 0xC0) && !has_marker(jpeg, 0xDD), "baseline, without restart markers");
    }
}
