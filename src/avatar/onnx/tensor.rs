//! `TensorProto`: a constant's shape, and its values where they are asked for.

use half::f16;

use super::error::OnnxError;
use super::wire::{Field, Value, fields};

/// `TensorProto.DataType.FLOAT`.
pub(super) const F32: i64 = 1;
/// `TensorProto.DataType.INT64`.
pub(super) const I64: i64 = 7;
/// `TensorProto.DataType.FLOAT16`.
pub(super) const F16: i64 = 10;
/// Longest constant that is read as a shape; no tensor has more dimensions or paddings.
const MAX_SHAPE_LEN: usize = 64;

/// A constant tensor, by reference to the file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Constant<'a> {
    pub dims: Vec<i64>,
    element: i64,
    /// `raw_data`: little-endian elements.
    raw: &'a [u8],
    /// `int64_data`, when it is short enough to be a shape.
    int64_data: Vec<i64>,
    /// `float_data`, its first value only.
    first_float: Option<f32>,
    /// The whole message, for what is read on demand.
    message: &'a [u8],
    external: bool,
}

impl<'a> Constant<'a> {
    /// Reads a `TensorProto` { dims = 1, data_type = 2, float_data = 4, int64_data = 7, raw_data = 9,
    /// data_location = 14 }.
    pub fn parse(tensor: &'a [u8]) -> Result<Self, OnnxError> {
        let mut constant = Self { message: tensor, ..Self::default() };
        for field in fields(tensor) {
            let field = field?;
            match field.number {
                1 => field.ints(&mut constant.dims)?,
                2 => constant.element = field.int()?,
                4 if constant.first_float.is_none() => {
                    constant.first_float = match field.value {
                        Value::Fixed32(bytes) => Some(f32::from_le_bytes(bytes)),
                        Value::Bytes(packed) => packed.first_chunk().copied().map(f32::from_le_bytes),
                        _ => return Err(OnnxError::WireType { field: 4 }),
                    }
                }
                7 => field.ints(&mut constant.int64_data)?,
                9 => constant.raw = field.bytes()?,
                14 => constant.external = field.int()? != 0,
                _ => {}
            }
        }
        Ok(constant)
    }

    /// A constant of the same dimensions whose values are not known.
    pub fn dims_only(&self) -> Constant<'a> {
        Self { dims: self.dims.clone(), ..Self::default() }
    }

    /// Number of elements; `None` for negative or absurd dimensions.
    pub fn len(&self) -> Option<usize> {
        let sizes = self.dims.iter().map(|&size| usize::try_from(size).ok());
        sizes.into_iter().try_fold(1_usize, |product, size| product.checked_mul(size?))
    }

    /// Bytes of its values as `raw_data`; `None` for absurd dimensions, and for elements that are not whole bytes of a fixed number.
    pub fn raw_len(&self) -> Option<usize> {
        let element = match self.element {
            // UINT8, INT8, BOOL and the four FLOAT8s.
            2 | 3 | 9 | 17..=20 => 1,
            // UINT16, INT16, FLOAT16, BFLOAT16.
            4 | 5 | F16 | 16 => 2,
            // FLOAT, INT32, UINT32.
            F32 | 6 | 12 => 4,
            // INT64, DOUBLE, UINT64, COMPLEX64.
            I64 | 11 | 13 | 14 => 8,
            // COMPLEX128.
            15 => 16,
            _ => return None,
        };
        self.len()?.checked_mul(element)
    }

    /// The values of a short int64 tensor held in the file.
    pub fn ints(&self) -> Option<Vec<i64>> {
        let len = self.len().filter(|&len| len <= MAX_SHAPE_LEN)?;
        if self.element != I64 || self.external {
            return None;
        }
        let values = if self.raw.is_empty() {
            self.int64_data.clone()
        } else {
            let (words, rest) = self.raw.as_chunks::<8>();
            if !rest.is_empty() {
                return None;
            }
            words.iter().map(|&word| i64::from_le_bytes(word)).collect()
        };
        (values.len() == len).then_some(values)
    }

    /// All values of a float32 or float16 tensor held in the file; `None` where they are of another type, in another file or
    /// not as many as the dimensions say.
    pub fn floats(&self) -> Result<Option<Vec<f32>>, OnnxError> {
        let (Some(len), false) = (self.len(), self.external) else {
            return Ok(None);
        };
        let mut values = Vec::new();
        match self.element {
            F32 => read_floats(self.message, |value| values.push(value))?,
            F16 => {
                // float16 lies in `raw_data`, or a value to an integer in `int32_data` { 5 }.
                let mut bits = Vec::new();
                for field in fields(self.message) {
                    let field = field?;
                    if field.number == 5 {
                        field.ints(&mut bits)?;
                    }
                }
                values.extend(bits.iter().map(|&bits| f16::from_bits(bits as u16).to_f32()));
                let (words, _) = self.raw.as_chunks::<2>();
                values.extend(words.iter().map(|&word| f16::from_le_bytes(word).to_f32()));
            }
            _ => return Ok(None),
        }
        Ok((values.len() == len).then_some(values))
    }

    /// Whether it is a float32 tensor of at least one value that the file holds, all that its dimensions say.
    pub fn is_whole_f32(&self) -> bool {
        let bytes = |field: Field<'_>| match (field.number, field.value) {
            (4, Value::Fixed32(_)) => 4,
            (4 | 9, Value::Bytes(values)) => values.len(),
            _ => 0,
        };
        let held: usize = fields(self.message).filter_map(Result::ok).map(bytes).sum();
        let said = self.len().filter(|&len| len > 0).and_then(|len| len.checked_mul(4));
        self.element == F32 && !self.external && said == Some(held)
    }

    /// The first value of a float32 tensor held in the file.
    pub fn first_f32(&self) -> Option<f32> {
        if self.element != F32 || self.external {
            return None;
        }
        if self.raw.is_empty() { self.first_float } else { self.raw.first_chunk().copied().map(f32::from_le_bytes) }
    }
}

/// The values of a float32 tensor { float_data = 4, raw_data = 9 }, whichever of the two fields they are in.
pub(super) fn read_floats(tensor: &[u8], mut take: impl FnMut(f32)) -> Result<(), OnnxError> {
    for field in fields(tensor) {
        let field = field?;
        match (field.number, field.value) {
            (4, Value::Fixed32(bytes)) => take(f32::from_le_bytes(bytes)),
            (4 | 9, Value::Bytes(packed)) => {
                let (words, rest) = packed.as_chunks::<4>();
                if !rest.is_empty() {
                    return Err(OnnxError::Truncated);
                }
                words.iter().for_each(|&word| take(f32::from_le_bytes(word)));
            }
            (4 | 9, _) => return Err(OnnxError::WireType { field: field.number }),
            _ => {}
        }
    }
    Ok(())
}
