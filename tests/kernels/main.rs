//! The CUDA kernels against `picture`, bit for bit: without a GPU, the same sources compiled by the C compiler and run thread by
//! thread on the grids that launches use; with one, themselves.
#![allow(unsafe_code)] // The kernels are C.

#[path = "../common/c.rs"]
mod c;
mod gpu;
mod host;
mod pictures;
mod registers;
mod runner;

use half::f16;
use lipsyncd::backend::cuda::kernels::params;
use lipsyncd::picture::template::{StripLayout, StripPlanes, packed_len, packed_planes};
use lipsyncd::picture::{CompositeScratch, Compositor, Image, Rect, Surround, YuvPlanes};
use proptest::prelude::*;

use gpu::Device;
use host::Host;
use pictures::{Batch, Noise, batches};
use runner::{Runner, TAIL, UNTOUCHED, Value, same};

type Verdict = Result<(), TestCaseError>;

#[test]
fn structures_have_the_c_compilers_layout() {
    assert_eq!(host::layout_of_params(), params::LAYOUT);
}

#[test]
fn every_byte_becomes_its_255th() {
    host::each("run_byte_to_unit", 0..=255_u8, |byte: u8, unit: f32| {
        assert_eq!(unit.to_bits(), (f32::from(byte) / 255.0).to_bits(), "{byte}");
    });
}

/// The host's stand-in for the device's instructions.
#[test]
fn halves_are_rounded_as_ieee_says() {
    host::each("run_half_to_float", 0..=u16::MAX, |bits: u16, value: f32| {
        assert!(same(f32::from(f16::from_bits(bits)), value), "{bits:#x}");
    });
    // Every half, and the values halfway to its neighbours, a little to either side.
    let near = (0..=u16::MAX).map(|bits| f32::from(f16::from_bits(bits)).to_bits());
    let near = near.flat_map(|bits| [-0x1001, -0x1000, -0xFFF, -1, 0, 1, 0xFFF, 0x1000, 0x1001].map(|d| (bits, d)));
    let near = near.map(|(bits, d): (u32, i32)| bits.wrapping_add_signed(d));
    let anywhere = (0..1 << 20).map(|i: u32| i.wrapping_mul(4093));
    host::each("run_float_to_half", near.chain(anywhere).map(f32::from_bits), |value: f32, bits: u16| {
        assert!(same(f16::from_f32(value), f16::from_bits(bits)), "{value:e}");
    });
}

/// Output and tail of one kernel.
fn check_values<T: Value>(got: &[u8], expected: impl ExactSizeIterator<Item = f32>) -> Verdict {
    let (values, tail) = got.split_at(expected.len() * size_of::<T>());
    for (i, (got, expected)) in values.chunks_exact(size_of::<T>()).zip(expected).enumerate() {
        let got = T::from_bytes(got);
        prop_assert!(same(got, T::of(expected)), "value {i}: {} instead of {expected}", got.to_f32());
    }
    prop_assert!(tail.len() == TAIL && tail.iter().all(|&byte| byte == UNTOUCHED), "written beyond the end");
    Ok(())
}

fn check_context<T: Value>(runner: &impl Runner, case: &Contexts) -> Verdict {
    let features = Noise(case.seed).generated(20 * case.feature_len);
    let got = runner.gather_context::<T>(&features, &case.rows, case.context, case.feature_len);
    let zeros = vec![0.0; case.feature_len];
    let row =
        |&row: &i32| usize::try_from(row).map_or(&zeros[..], |row| &features[row * case.feature_len..][..zeros.len()]);
    let expected: Vec<f32> = case.rows.iter().flat_map(row).copied().collect();
    check_values::<T>(&got, expected.into_iter())
}

fn check_picture_input<T: Value>(runner: &impl Runner, batch: &Batch) -> Verdict {
    let len = batch.input.geometry().input_len();
    let mut expected = vec![0.0; len * batch.frames.len()];
    for (frame, out) in batch.frames.iter().zip(expected.chunks_mut(len)) {
        batch.input.fill(&frame.crop, out).unwrap();
    }
    check_values::<T>(&runner.picture_input::<T>(batch), expected.into_iter())
}

fn check_override(runner: &impl Runner, len: usize, seed: u64) -> Verdict {
    let values = Noise(seed).generated(len);
    check_values::<f16>(&runner.override_picture(&values), values.iter().copied())
}

fn check_paste<T: Value>(runner: &impl Runner, batch: &Batch) -> Verdict {
    let geometry = *batch.input.geometry();
    let values = Noise(batch.seed).generated(geometry.output_len() * batch.frames.len());
    let generated: Vec<T> = values.into_iter().map(T::of).collect();
    let (out, patched) = runner.paste_planes(batch, &generated);
    prop_assert!(patched[batch.patched_len()..] == [UNTOUCHED; TAIL], "written beyond the patched crops");

    let compositor = Compositor::new(geometry, &batch.frames.iter().map(|f| f.hole).collect::<Vec<_>>()).unwrap();
    let mut scratch = CompositeScratch::new();
    scratch.fit(&compositor);
    let mut rest = &out[..];
    for (frame, generated) in batch.frames.iter().zip(generated.chunks(geometry.output_len())) {
        let generated: Vec<f32> = generated.iter().map(|value| value.to_f32()).collect();
        let (width, height) = frame.strip_px;
        let mut strip = Image::from_bgr(width, height, frame.strip.clone()).unwrap();
        compositor.paste(&generated, Surround::Crop(&frame.crop), frame.hole, strip.view_mut(), &mut scratch).unwrap();
        let layout = StripLayout::new(frame.strip_px, Rect::new(0, 0, width, height), 1).unwrap();
        let mut planes = StripPlanes::new();
        planes.fit(&layout);
        planes.fill(strip.view()).unwrap();
        let (own, after) = rest.split_at(packed_len(frame.strip_px));
        check_planes(&packed_planes(frame.strip_px, own).unwrap(), &planes.planes().unwrap())?;
        prop_assert!(after[..TAIL] == [UNTOUCHED; TAIL], "written beyond the planes");
        rest = &after[TAIL..];
    }
    Ok(())
}

fn check_planes(got: &YuvPlanes<'_>, expected: &YuvPlanes<'_>) -> Verdict {
    prop_assert_eq!((got.width_px(), got.height_px()), (expected.width_px(), expected.height_px()));
    prop_assert_eq!(got.luma_stride(), expected.luma_stride());
    for (name, got, expected) in
        [("Y", got.y(), expected.y()), ("U", got.u(), expected.u()), ("V", got.v(), expected.v())]
    {
        prop_assert_eq!(got.len(), expected.len());
        let differs = got.iter().zip(expected).position(|(got, expected)| got != expected);
        prop_assert!(differs.is_none(), "{name}[{differs:?}] of {}", expected.len());
    }
    Ok(())
}

/// Rows to gather from 20 features.
#[derive(Debug)]
struct Contexts {
    feature_len: usize,
    context: usize,
    rows: Vec<i32>,
    seed: u64,
}

fn contexts() -> impl Strategy<Value = Contexts> {
    (1_usize..600, 1_usize..17, 1_usize..4, any::<u64>()).prop_map(|(feature_len, context, batch, seed)| {
        let mut noise = Noise(seed);
        let rows = (0..batch * context).map(|_| (noise.next() % 21) as i32 - 1).collect();
        Contexts { feature_len, context, rows, seed }
    })
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, max_shrink_iters: 2000, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn contexts_are_gathered(case in contexts()) {
        check_context::<f32>(&Host, &case)?;
        check_context::<f16>(&Host, &case)?;
    }

    #[test]
    fn picture_inputs_are_the_cpus(batch in batches()) {
        check_picture_input::<f32>(&Host, &batch)?;
        check_picture_input::<f16>(&Host, &batch)?;
    }

    #[test]
    fn pasted_planes_are_the_cpus(batch in batches()) {
        check_paste::<f32>(&Host, &batch)?;
        check_paste::<f16>(&Host, &batch)?;
    }

    #[test]
    fn clients_pictures_are_converted(len in 1_usize..5000, seed: u64) {
        check_override(&Host, len, seed)?;
    }
}

proptest! {
    #![proptest_config(config(100))]

    /// What the host cannot show: the device's conversions, and threads at once.
    #[test]
    #[ignore = "needs an NVIDIA GPU"]
    fn a_gpu_agrees_with_all_of_it(case in contexts(), batch in batches(), len in 1_usize..100_000) {
        let gpu = Device::get();
        check_context::<f32>(&gpu, &case)?;
        check_context::<f16>(&gpu, &case)?;
        check_picture_input::<f32>(&gpu, &batch)?;
        check_picture_input::<f16>(&gpu, &batch)?;
        check_paste::<f32>(&gpu, &batch)?;
        check_paste::<f16>(&gpu, &batch)?;
        check_override(&gpu, len, case.seed)?;
    }
}
