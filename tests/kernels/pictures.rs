//! Random avatars and batches, on the host and as the kernels see them.

use lipsyncd::backend::cuda::kernels::params::{FrameAddresses, FrameParams, Geometry, Tap};
use lipsyncd::picture::template::packed_len;
use lipsyncd::picture::{ChannelOrder, GeneratorGeometry, Interpolation, PictureInput, Rect, Resizer};
use proptest::prelude::*;

use crate::runner::TAIL;

/// One frame of a batch.
#[derive(Debug, Clone)]
pub struct Frame {
    pub strip_px: (usize, usize),
    pub hole: Rect,
    pub crop: Vec<u8>,
    pub strip: Vec<u8>,
}

/// An avatar's sizes and a batch of its frames.
#[derive(Debug, Clone)]
pub struct Batch {
    pub input: PictureInput,
    pub frames: Vec<Frame>,
    pub seed: u64,
}

/// Reproducible noise (splitmix64).
pub struct Noise(pub u64);

impl Noise {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Bytes, mostly of full contrast, so that bicubic overshoots.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let byte = |n: u64| if n & 0x300 == 0 { n as u8 } else { 255 * (n & 1) as u8 };
        (0..len).map(|_| byte(self.next())).collect()
    }

    /// What a generator may give: 0..1, exact levels, both ends, and now and then what it must not.
    pub fn generated(&mut self, len: usize) -> Vec<f32> {
        let mut value = || {
            let n = self.next();
            let unit = (n >> 40) as f32 / (1 << 24) as f32;
            match n % 16 {
                0 => 0.0,
                1 => 1.0,
                2 => ((n >> 8) % 256) as f32 / 255.0,
                3 => [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0][(n >> 8) as usize % 4],
                4 => unit * 20.0 - 10.0,
                5 => unit * 1e-6,
                _ => unit,
            }
        };
        (0..len).map(|_| value()).collect()
    }
}

/// Avatars of any size, border, channel order, interpolation and mask, with 1 to 3 frames.
pub fn batches() -> impl Strategy<Value = Batch> {
    let size = prop_oneof![1_usize..30, (1_usize..5).prop_map(|n| n * 8)];
    let channels = prop_oneof![Just(ChannelOrder::Bgr), Just(ChannelOrder::Rgb)];
    let interpolation = prop_oneof![Just(Interpolation::Cubic), Just(Interpolation::Linear)];
    (size, 0_usize..7, channels, interpolation, any::<[prop::sample::Index; 4]>(), any::<u64>())
        .prop_map(|(size, border, channels, interpolation, mask, seed)| {
            let geometry = GeneratorGeometry::new(size, border.min(size - 1), channels, interpolation).unwrap();
            let [x, y, w, h] = mask;
            let (x, y) = (x.index(size + 1), y.index(size + 1));
            let mask = [x, y, w.index(size + 1 - x), h.index(size + 1 - y)];
            (PictureInput::new(geometry, mask).unwrap(), seed)
        })
        .prop_flat_map(|(input, seed)| {
            let frames = prop::collection::vec(frame(*input.geometry(), seed), 1..4);
            (Just(input), frames, Just(seed)).prop_map(|(input, frames, seed)| Batch { input, frames, seed })
        })
}

/// A strip of any size with a box anywhere in it, or one that halves the crop exactly.
fn frame(geometry: GeneratorGeometry, seed: u64) -> impl Strategy<Value = Frame> {
    let side = geometry.crop_side_px();
    let even = side.is_multiple_of(2);
    (1_usize..50, 1_usize..50, any::<[prop::sample::Index; 4]>(), prop::bool::weighted(0.2)).prop_map(
        move |(width, height, corners, halve)| {
            let (strip_px, hole) = if halve && even {
                let (w, h) = (side / 2 + width % 7, side / 2 + height % 5);
                let (x, y) = (corners[0].index(width % 7 + 1), corners[1].index(height % 5 + 1));
                ((w, h), Rect::new(x, y, x + side / 2, y + side / 2))
            } else {
                let [x0, y0, x1, y1] = corners;
                let (x0, y0) = (x0.index(width), y0.index(height));
                let (x1, y1) = (x0 + 1 + x1.index(width - x0), y0 + 1 + y1.index(height - y0));
                ((width, height), Rect::new(x0, y0, x1, y1))
            };
            let mut noise = Noise(seed ^ (width * 64 + height) as u64);
            let crop = noise.bytes(geometry.crop_len());
            Frame { strip_px, hole, crop, strip: noise.bytes(strip_px.0 * strip_px.1 * 3) }
        },
    )
}

/// Tables of one frame's taps, which its parameters point to.
pub struct Tables {
    pub columns: Vec<Tap>,
    pub rows: Vec<Tap>,
}

impl Batch {
    pub fn geometry(&self) -> Geometry {
        Geometry::from(&self.input)
    }

    pub fn tables(&self) -> Vec<Tables> {
        let geometry = self.input.geometry();
        let side = geometry.crop_side_px();
        let tables = |frame: &Frame| {
            let size = (frame.hole.width_px(), frame.hole.height_px());
            let taps = Resizer::new((side, side), size, geometry.interpolation()).unwrap().taps();
            let own = |taps: Vec<lipsyncd::picture::Tap>| taps.into_iter().map(Tap::from).collect();
            Tables { columns: own(taps.columns), rows: own(taps.rows) }
        };
        self.frames.iter().map(tables).collect()
    }

    /// The frames' parameters, with a tail between one frame's planes and the next's.
    pub fn params(&self, addresses: &[FrameAddresses]) -> Vec<FrameParams> {
        let mut out = 0;
        let params = self.frames.iter().zip(addresses).map(|(frame, &at)| {
            let params = FrameParams::new(at, frame.strip_px, frame.hole, out);
            out += packed_len(frame.strip_px) + TAIL;
            params
        });
        params.collect()
    }

    /// Bytes of its patched crops.
    pub fn patched_len(&self) -> usize {
        let side_px = self.input.geometry().crop_side_px();
        self.frames.len() * side_px * side_px * 4
    }

    /// Bytes of all planes and tails.
    pub fn planes_len(&self) -> usize {
        self.frames.iter().map(|frame| packed_len(frame.strip_px) + TAIL).sum()
    }

    pub fn largest_strip(&self) -> (usize, usize) {
        let sizes = || self.frames.iter().map(|frame| frame.strip_px);
        (sizes().map(|s| s.0).max().unwrap(), sizes().map(|s| s.1).max().unwrap())
    }
}
