//! `ValueInfoProto`: a graph input's or output's name, element type and dimensions.

use std::fmt;

use super::error::OnnxError;
use super::tensor::{F16, F32, I64};
use super::wire::{fields, last_field, text_of};

/// One dimension of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dim {
    Fixed(u64),
    /// Named: equal wherever the name is the same.
    Symbol(String),
    /// Neither; also 0 and negative sizes, which some exporters write for "any".
    Unknown,
}

/// A graph input or output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    pub name: String,
    /// `TensorProto.DataType`; `None` when it is not a tensor or the file does not say.
    pub element: Option<i64>,
    /// `None` when the file gives no shape.
    pub dims: Option<Vec<Dim>>,
}

impl TensorInfo {
    /// The element type's usual name.
    pub fn element_name(&self) -> &'static str {
        match self.element {
            Some(F32) => "float32",
            Some(F16) => "float16",
            Some(16) => "bfloat16",
            Some(11) => "float64",
            Some(2) => "uint8",
            Some(3) => "int8",
            Some(6) => "int32",
            Some(I64) => "int64",
            Some(9) => "bool",
            Some(_) => "another element type",
            None => "no tensor",
        }
    }
}

impl fmt::Display for TensorInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(dims) = &self.dims else {
            return f.write_str("[no shape]");
        };
        f.write_str("[")?;
        for (i, dim) in dims.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            match dim {
                Dim::Fixed(size) => write!(f, "{size}")?,
                Dim::Symbol(name) => f.write_str(name)?,
                Dim::Unknown => f.write_str("?")?,
            }
        }
        f.write_str("]")
    }
}

/// Reads a `ValueInfoProto` { name = 1, type = 2 { tensor_type = 1 { elem_type = 1, shape = 2 } } }.
pub(super) fn read_value_info(message: &[u8]) -> Result<TensorInfo, OnnxError> {
    let mut info = TensorInfo { name: text_of(message, 1)?.to_owned(), element: None, dims: None };
    let Some(value_type) = last_field(message, 2)? else {
        return Ok(info);
    };
    let Some(tensor) = last_field(value_type.bytes()?, 1)? else {
        return Ok(info);
    };
    for field in fields(tensor.bytes()?) {
        let field = field?;
        match field.number {
            1 => info.element = Some(field.int()?),
            2 => info.dims = Some(read_dims(field.bytes()?)?),
            _ => {}
        }
    }
    Ok(info)
}

/// Reads a `TensorShapeProto` { dim = 1 { dim_value = 1, dim_param = 2 } }.
fn read_dims(shape: &[u8]) -> Result<Vec<Dim>, OnnxError> {
    let mut dims = Vec::new();
    for field in fields(shape) {
        let field = field?;
        if field.number != 1 {
            continue;
        }
        let mut dim = Dim::Unknown;
        for part in fields(field.bytes()?) {
            let part = part?;
            match part.number {
                1 => dim = u64::try_from(part.int()?).ok().filter(|&size| size > 0).map_or(Dim::Unknown, Dim::Fixed),
                2 => dim = Dim::Symbol(part.text()?.to_owned()),
                _ => {}
            }
        }
        dims.push(dim);
    }
    Ok(dims)
}
