//! What the engine's kernels are handed, byte for byte as `kernels/native/params.h` has it.

use std::ffi::c_void;

/// An address in the memory of the device that runs the kernel; 0 for none.
pub type Address = u64;

/// A tap of a window for 8 input channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(8))]
pub struct ConvTap {
    pub row: i16,
    pub column: i16,
    pub channel: i32,
}

/// `conv_*`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct ConvParams {
    pub from: Address,
    pub weights: Address,
    pub bias: Address,
    pub residual: Address,
    pub to: Address,
    pub taps: Address,
    pub pixels: i32,
    pub vectors: i32,
    pub steps: i32,
    pub fragments: i32,
    pub channels: i32,
    pub from_pitch: i32,
    pub residual_pitch: i32,
    pub to_pitch: i32,
    pub from_size: [i32; 2],
    pub to_size: [i32; 2],
    pub stride: [i32; 2],
    pub pads: [i32; 2],
    pub activation: i32,
}

/// `depthwise_*`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct DepthwiseParams {
    pub from: Address,
    pub weights: Address,
    pub bias: Address,
    pub to: Address,
    pub items: i32,
    pub channels: i32,
    pub from_pitch: i32,
    pub to_pitch: i32,
    pub from_size: [i32; 2],
    pub to_size: [i32; 2],
    pub stride: [i32; 2],
    pub pads: [i32; 2],
    pub activation: i32,
}

/// `block_*`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct BlockParams {
    pub from: Address,
    pub weights: Address,
    pub bias: Address,
    pub to: Address,
    pub chunks: i32,
    pub vectors: i32,
    pub channels: i32,
    pub from_pitch: i32,
    pub to_pitch: i32,
    pub from_size: [i32; 2],
    pub to_size: [i32; 2],
    pub add_input: i32,
    pub planes: i32,
    pub activation: i32,
    pub last: Address,
}

/// `upsample_*`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct UpsampleParams {
    pub from: Address,
    pub to: Address,
    pub items: i32,
    pub channels: i32,
    pub from_pitch: i32,
    pub to_pitch: i32,
    pub from_size: [i32; 2],
}

/// `import_*`, `export_*`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct PlanesParams {
    pub from: Address,
    pub to: Address,
    pub planes: i32,
    pub channels: i32,
    pub pitch: i32,
    pub pixels: i32,
}

/// A step of an expression.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(8))]
pub struct ExpressionStep {
    pub from: Address,
    pub constant: f32,
    pub kind: i32,
    pub place: i32,
    pub first: i32,
    pub step: i32,
    pub pitch: i32,
    pub width: i32,
    pub pixels: i32,
}

/// Steps that `pointwise` has room for.
pub const MOST_STEPS: usize = 12;
/// Values that it keeps at a time.
pub const MOST_STACKED: usize = 4;

/// `pointwise`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct PointwiseParams {
    pub to: Address,
    pub count: i32,
    pub steps: i32,
    pub channels: i32,
    pub size: [i32; 2],
    pub padded: i32,
    pub pitch: i32,
    pub halves: i32,
    pub step: [ExpressionStep; MOST_STEPS],
}

/// The one argument of a kernel.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::large_enum_variant, reason = "it lives for one launch, on the stack")]
pub enum Params {
    Conv(ConvParams),
    Depthwise(DepthwiseParams),
    Block(BlockParams),
    Upsample(UpsampleParams),
    Planes(PlanesParams),
    Pointwise(PointwiseParams),
}

impl Params {
    /// Where the structure lies, and its bytes.
    #[must_use]
    pub fn raw(&self) -> (*const c_void, usize) {
        fn of<T>(params: &T) -> (*const c_void, usize) {
            (std::ptr::from_ref(params).cast(), size_of::<T>())
        }
        match self {
            Self::Conv(params) => of(params),
            Self::Depthwise(params) => of(params),
            Self::Block(params) => of(params),
            Self::Upsample(params) => of(params),
            Self::Planes(params) => of(params),
            Self::Pointwise(params) => of(params),
        }
    }
}
