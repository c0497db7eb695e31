//! What runs kernels in these tests: the host's compilation of them, or a GPU.

use half::f16;
use lipsyncd::cuda::Plain;
use lipsyncd::onnxruntime::Element;

use crate::pictures::Batch;

/// A byte that no kernel may write over.
pub const UNTOUCHED: u8 = 0xA5;

/// Bytes after each output that must stay [`UNTOUCHED`].
pub const TAIL: usize = 16;

/// Each gives the bytes of the kernel's output and those of the tail after it.
pub trait Runner {
    /// `rows` in contexts of `context` rows, as `T`.
    fn gather_context<T: Value>(&self, features: &[f32], rows: &[i32], context: usize, feature_len: usize) -> Vec<u8>;
    /// The picture inputs of a batch, as `T`.
    fn picture_input<T: Value>(&self, batch: &Batch) -> Vec<u8>;
    /// Values as f16.
    fn override_picture(&self, values: &[f32]) -> Vec<u8>;
    /// The strips of a batch as planes, each with a tail, and the patched crops on the way, with theirs.
    fn paste_planes<T: Value>(&self, batch: &Batch, generated: &[T]) -> (Vec<u8>, Vec<u8>);
}

/// What a network reads and writes.
pub trait Value: Plain {
    const ELEMENT: Element;
    fn of(value: f32) -> Self;
    fn to_f32(self) -> f32;
    /// The value whose bytes these are.
    fn from_bytes(bytes: &[u8]) -> Self;
}

impl Value for f32 {
    const ELEMENT: Element = Element::F32;
    fn of(value: f32) -> Self {
        value
    }
    fn to_f32(self) -> f32 {
        self
    }
    fn from_bytes(bytes: &[u8]) -> Self {
        Self::from_ne_bytes(bytes.try_into().unwrap())
    }
}

impl Value for f16 {
    const ELEMENT: Element = Element::F16;
    fn of(value: f32) -> Self {
        Self::from_f32(value)
    }
    fn to_f32(self) -> f32 {
        self.into()
    }
    fn from_bytes(bytes: &[u8]) -> Self {
        Self::from_ne_bytes(bytes.try_into().unwrap())
    }
}

/// Equal bits, or a NaN for a NaN.
pub fn same<T: Value>(a: T, b: T) -> bool {
    let (a, b) = (a.to_f32(), b.to_f32());
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}
