//! The CUDA kernels without a GPU: the same sources compiled by the C compiler and run thread by thread on the grids that
//! launches use, against `picture` bit for bit.
#![allow(unsafe_code)] // The kernels are C.

mod library;
mod pictures;

use half::f16;
use lipsyncd::backend::cuda::kernels::{grid, params};
use lipsyncd::picture::template::{StripLayout, StripPlanes, packed_planes};
use lipsyncd::picture::{CompositeScratch, Compositor, Image, Rect, YuvPlanes};
use proptest::prelude::*;

use library::Value;
use pictures::{Batch, Noise, batches};

/// A byte that no kernel may write over.
const UNTOUCHED: u8 = 0xA5;

#[test]
fn structures_have_the_c_compilers_layout() {
    assert_eq!(library::layout_of_params(), params::LAYOUT);
}

#[test]
fn every_byte_becomes_its_255th() {
    library::each("run_byte_to_unit", 0..=255_u8, |byte: u8, unit: f32| {
        assert_eq!(unit.to_bits(), (f32::from(byte) / 255.0).to_bits(), "{byte}");
    });
}

/// The host's stand-in for the device's instructions.
#[test]
fn halves_are_rounded_as_ieee_says() {
    library::each("run_half_to_float", 0..=u16::MAX, |bits: u16, value: f32| {
        assert!(f32::from(f16::from_bits(bits)).same(value), "{bits:#x}");
    });
    // Every half, and the values halfway to its neighbours, a little to either side.
    let near = (0..=u16::MAX).map(|bits| f32::from(f16::from_bits(bits)).to_bits());
    let near = near.flat_map(|bits| [-0x1001, -0x1000, -0xFFF, -1, 0, 1, 0xFFF, 0x1000, 0x1001].map(|d| (bits, d)));
    let near = near.map(|(bits, d): (u32, i32)| bits.wrapping_add_signed(d));
    let anywhere = (0..1 << 20).map(|i: u32| i.wrapping_mul(4093));
    library::each("run_float_to_half", near.chain(anywhere).map(f32::from_bits), |value: f32, bits: u16| {
        assert!(f16::from_f32(value).same(f16::from_bits(bits)), "{value:e}");
    });
}

fn check_context<T: Value + std::fmt::Debug>(feature_len: usize, context: usize, rows: &[i32], features: &[f32]) {
    let mut got = vec![T::NAN; rows.len() * feature_len];
    let grid = grid::gather_context(rows.len() / context, context);
    library::gather_context(grid, features, rows, &mut got, feature_len);
    for (got, &row) in got.chunks(feature_len).zip(rows) {
        for (i, &got) in got.iter().enumerate() {
            let value = usize::try_from(row).map_or(0.0, |row| features[row * feature_len + i]);
            assert!(T::of(value).same(got), "row {row}, value {i}: {value}");
        }
    }
}

fn check_picture_input<T: Value>(batch: &Batch) -> Result<(), TestCaseError> {
    let geometry = batch.input.geometry();
    let (params, _) = batch.params(&batch.tables(), 0);
    let len = geometry.input_len() * batch.frames.len();
    let mut got = Aligned::new(len);
    let grid = grid::picture_input(batch.frames.len(), geometry.size_px());
    library::picture_input(grid, &params, got.values::<T>(), batch.geometry());
    let mut expected = vec![0.0; geometry.input_len()];
    for (b, frame) in batch.frames.iter().enumerate() {
        batch.input.fill(&frame.crop, &mut expected).unwrap();
        for (i, &value) in expected.iter().enumerate() {
            let got = got.read::<T>(b * expected.len() + i);
            prop_assert!(T::of(value).same(got), "frame {b}, value {i}: {value}, not {}", got.to_f32());
        }
    }
    prop_assert!(got.rest_is_untouched::<T>());
    Ok(())
}

fn check_paste<T: Value>(batch: &Batch) -> Result<(), TestCaseError> {
    let geometry = *batch.input.geometry();
    let tables = batch.tables();
    let (params, len) = batch.params(&tables, 6);
    let values = Noise(batch.seed).generated(geometry.output_len() * batch.frames.len());
    let generated: Vec<T> = values.into_iter().map(T::of).collect();
    let mut out = vec![UNTOUCHED; len];
    let grid = grid::paste_planes(batch.frames.len(), batch.largest_strip());
    library::paste_planes(grid, &generated, &params, &mut out, batch.geometry());

    let compositor = Compositor::new(geometry, &batch.frames.iter().map(|f| f.hole).collect::<Vec<_>>()).unwrap();
    let mut scratch = CompositeScratch::new();
    scratch.fit(&compositor);
    let mut rest = &out[..];
    for (frame, generated) in batch.frames.iter().zip(generated.chunks(geometry.output_len())) {
        let generated: Vec<f32> = generated.iter().map(|value| value.to_f32()).collect();
        let (width, height) = frame.strip_px;
        let mut strip = Image::from_bgr(width, height, frame.strip.clone()).unwrap();
        compositor.paste(&generated, &frame.crop, frame.hole, strip.view_mut(), &mut scratch).unwrap();
        let layout = StripLayout::new(frame.strip_px, Rect::new(0, 0, width, height), 1).unwrap();
        let mut planes = StripPlanes::new();
        planes.fit(&layout);
        planes.fill(strip.view()).unwrap();
        let len = lipsyncd::picture::template::packed_len(frame.strip_px);
        let (own, after) = rest.split_at(len);
        check_planes(&packed_planes(frame.strip_px, own).unwrap(), &planes.planes().unwrap())?;
        prop_assert!(after[..6] == [UNTOUCHED; 6], "written beyond the planes");
        rest = &after[6..];
    }
    Ok(())
}

fn check_planes(got: &YuvPlanes<'_>, expected: &YuvPlanes<'_>) -> Result<(), TestCaseError> {
    prop_assert_eq!((got.width_px(), got.height_px()), (expected.width_px(), expected.height_px()));
    prop_assert_eq!(got.luma_stride(), expected.luma_stride());
    for (name, got, expected) in
        [("Y", got.y(), expected.y()), ("U", got.u(), expected.u()), ("V", got.v(), expected.v())]
    {
        prop_assert_eq!(got.len(), expected.len());
        let differs = got.iter().zip(expected).position(|(got, expected)| got != expected);
        prop_assert!(differs.is_none(), "{name}[{differs:?}] of width {}", expected.len());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn contexts_are_gathered(
        feature_len in 1_usize..600,
        context in 1_usize..17,
        rows in prop::collection::vec(-1_i32..20, 1..4),
        seed: u64,
    ) {
        let rows: Vec<i32> = rows.iter().cycle().take(context * rows.len()).copied().collect();
        let features = Noise(seed).generated(20 * feature_len);
        check_context::<f32>(feature_len, context, &rows, &features);
        check_context::<f16>(feature_len, context, &rows, &features);
    }

    #[test]
    fn picture_inputs_are_the_cpus(batch in batches()) {
        check_picture_input::<f32>(&batch)?;
        check_picture_input::<f16>(&batch)?;
    }

    #[test]
    fn pasted_planes_are_the_cpus(batch in batches()) {
        check_paste::<f32>(&batch)?;
        check_paste::<f16>(&batch)?;
    }

    #[test]
    fn clients_pictures_are_converted(len in 1_usize..5000, seed: u64) {
        let values = Noise(seed).generated(len);
        let (mut input, mut out) = (Aligned::new(len), Aligned::new(len));
        input.fill(&values);
        let grid = grid::override_picture(len);
        library::override_picture(grid, input.values(), out.values(), len);
        for (i, &value) in values.iter().enumerate() {
            prop_assert!(f16::of(value).same(out.read(i)), "{value}");
        }
        prop_assert!(out.rest_is_untouched::<f16>());
    }
}

/// Values at a multiple of 16 bytes, as device buffers are, and a tail that must stay as it is.
struct Aligned {
    blocks: Vec<Block>,
    len: usize,
}

#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Block([u8; 16]);

impl Aligned {
    /// Room for `len` values of up to 4 bytes.
    fn new(len: usize) -> Self {
        Self { blocks: vec![Block([UNTOUCHED; 16]); len.div_ceil(4) + 2], len }
    }

    fn values<T: Value>(&mut self) -> *mut T {
        self.blocks.as_mut_ptr().cast()
    }

    fn bytes(&self) -> Vec<u8> {
        self.blocks.iter().flat_map(|block| block.0).collect()
    }

    fn fill(&mut self, values: &[f32]) {
        for (i, value) in values.iter().enumerate() {
            self.blocks[i / 4].0[i % 4 * 4..][..4].copy_from_slice(&value.to_ne_bytes());
        }
    }

    fn read<T: Value>(&self, i: usize) -> T {
        assert!(i < self.len);
        // SAFETY: it is inside the blocks, aligned as they are, and any bits are a float.
        unsafe { self.blocks.as_ptr().cast::<T>().add(i).read() }
    }

    fn rest_is_untouched<T: Value>(&self) -> bool {
        self.bytes()[self.len * size_of::<T>()..].iter().all(|&byte| byte == UNTOUCHED)
    }
}
