//! The shape of every tensor, before anything is laid out: a concatenation's parts are written in place, so its size must be known
//! when the first of them is.

use crate::avatar::onnx::Node;

use super::super::error::CompileError;
use super::graph::Graph;
use super::refuse;

/// Channels, height, width of one item; `[N, C]` has one pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

impl Shape {
    pub fn new(channels: usize, height: usize, width: usize) -> Self {
        Self { channels, height, width }
    }

    pub fn pixels(self) -> usize {
        self.height * self.width
    }
}

/// A convolution's geometry, with what it does not do refused.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    /// Above and to the left.
    pub pads: [usize; 2],
    pub depthwise: bool,
    pub out: Shape,
}

/// What is said of an operator that is none of ours.
pub(super) const UNKNOWN: &str = "the operator is not known to it";

/// Elements (`TensorProto.DataType`) that hold what this engine computes: float32, float16, float64.
const FLOATS: [i64; 3] = [1, 10, 11];

/// The shape of what `node` makes.
pub(super) fn infer(graph: &Graph<'_>, node: &Node<'_>) -> Result<Shape, CompileError> {
    let first = || graph.shape_of(node, 0).ok_or_else(|| refuse(node, "its first input is a constant"));
    match node.op {
        "Conv" => Ok(window(graph, node)?.out),
        "ConvTranspose" => Ok(transposed(graph, node)?.out),
        "Relu" | "Sigmoid" | "Tanh" | "BatchNormalization" | "Identity" | "Dropout" => first(),
        "Cast" if FLOATS.contains(&node.int_or("to", 0)) => first(),
        "Cast" => Err(refuse(node, "only to a float of 16 bits or more")),
        "Add" | "Sub" | "Mul" => broadcast(graph, node),
        "Concat" => concat(graph, node),
        "Resize" | "Upsample" => {
            let Shape { channels, height, width } = first()?;
            Ok(Shape::new(channels, 2 * height, 2 * width))
        }
        "Slice" => {
            let (Shape { height, width, .. }, part) = (first()?, slice(graph, node)?);
            Ok(Shape::new(part.len(), height, width))
        }
        "DepthToSpace" => {
            let Shape { channels, height, width } = first()?;
            if node.int_or("blocksize", 0) != 2 || node.text_or("mode", "DCR") != "CRD" || channels % 4 != 0 {
                return Err(refuse(node, "only blocks of 2 in mode CRD"));
            }
            Ok(Shape::new(channels / 4, 2 * height, 2 * width))
        }
        "Pad" => match graph.ints(node, 1).or_else(|| node.ints("pads").map(<[_]>::to_vec)) {
            Some(pads) if pads.iter().all(|&pad| pad == 0) => first(),
            _ => Err(refuse(node, "only padding of nothing")),
        },
        "Reshape" | "Flatten" | "Squeeze" => reshape(graph, node, first()?),
        _ => Err(refuse(node, UNKNOWN)),
    }
}

/// A `Conv`'s geometry.
pub(super) fn window(graph: &Graph<'_>, node: &Node<'_>) -> Result<Window, CompileError> {
    let from = graph.shape_of(node, 0).ok_or_else(|| refuse(node, "its input is a constant"))?;
    let dims = graph.constant_dims(node, 1).ok_or_else(|| refuse(node, "its weights are no constant"))?;
    let &[out, depth, rows, columns] = dims.as_slice() else {
        return Err(refuse(node, "only two-dimensional ones"));
    };
    let (stride, pads) = common_geometry(node)?;
    let group = usize::try_from(node.int_or("group", 1)).unwrap_or(0);
    let depthwise = group == from.channels && group == out && depth == 1 && group > 1;
    if !depthwise && (group != 1 || depth != from.channels) {
        return Err(refuse(node, "only one group, or one of each channel"));
    }
    if depthwise && [rows, columns] != [3, 3] {
        return Err(refuse(node, "only 3x3 where each channel is by itself"));
    }
    let size = |at: usize, length: usize, kernel: usize| {
        let padded = length + pads[at] + pads[at + 2];
        (kernel >= 1 && padded >= kernel).then(|| (padded - kernel) / stride[at] + 1)
    };
    match (size(0, from.height, rows), size(1, from.width, columns)) {
        (Some(height), Some(width)) if out > 0 => {
            let out = Shape::new(out, height, width);
            Ok(Window { kernel: [rows, columns], stride, pads: [pads[0], pads[1]], depthwise, out })
        }
        _ => Err(refuse(node, "its kernel is larger than its input")),
    }
}

/// A `ConvTranspose`'s geometry: of one pixel, so that every output value is one sum.
pub(super) fn transposed(graph: &Graph<'_>, node: &Node<'_>) -> Result<Window, CompileError> {
    let from = graph.shape_of(node, 0).ok_or_else(|| refuse(node, "its input is a constant"))?;
    let dims = graph.constant_dims(node, 1).ok_or_else(|| refuse(node, "its weights are no constant"))?;
    let &[depth, out, rows, columns] = dims.as_slice() else {
        return Err(refuse(node, "only two-dimensional ones"));
    };
    let (stride, pads) = common_geometry(node)?;
    let padded = pads != [0; 4] || node.ints("output_padding").is_some_and(|all| all.iter().any(|&pad| pad != 0));
    if from.pixels() != 1 || depth != from.channels || node.int_or("group", 1) != 1 || padded || out % 8 != 0 {
        return Err(refuse(node, "only of one pixel, in one group, without padding, to a multiple of 8 channels"));
    }
    let out = Shape::new(out, rows, columns);
    Ok(Window { kernel: [rows, columns], stride, pads: [0, 0], depthwise: false, out })
}

/// Strides and all four pads.
fn common_geometry(node: &Node<'_>) -> Result<([usize; 2], [usize; 4]), CompileError> {
    if !matches!(node.text_or("auto_pad", "NOTSET"), "NOTSET" | "VALID") {
        return Err(refuse(node, "only padding by numbers"));
    }
    if node.ints("dilations").is_some_and(|all| all.iter().any(|&dilation| dilation != 1)) {
        return Err(refuse(node, "only undilated ones"));
    }
    // Sides beyond this are no picture of ours, and stay far from overflow.
    let small = |value: i64| usize::try_from(value).ok().filter(|&value| value < 1 << 12);
    let list = |name, default: i64, len: usize| {
        let values = node.ints(name).map_or_else(|| vec![default; len], <[_]>::to_vec);
        let values: Option<Vec<_>> = values.into_iter().map(small).collect();
        values.filter(|values| values.len() == len).ok_or_else(|| refuse(node, "its strides or pads make no sense"))
    };
    let (stride, pads) = (list("strides", 1, 2)?, list("pads", 0, 4)?);
    match (<[usize; 2]>::try_from(stride), <[usize; 4]>::try_from(pads)) {
        (Ok(stride), Ok(pads)) if stride[0] > 0 && stride[1] > 0 => Ok((stride, pads)),
        _ => Err(refuse(node, "its strides or pads make no sense")),
    }
}

fn broadcast(graph: &Graph<'_>, node: &Node<'_>) -> Result<Shape, CompileError> {
    let mut out: Option<Shape> = None;
    for index in 0..2 {
        let Some(shape) = graph.shape_of(node, index) else {
            if graph.constant_dims(node, index).is_none() {
                return Err(refuse(node, "an operand is missing"));
            }
            continue;
        };
        out = Some(match out {
            None => shape,
            Some(other) => {
                let fits = |a: usize, b: usize| a == b || a == 1 || b == 1;
                let size = |of: Shape| (of.height, of.width);
                let whole = shape.pixels() == 1 || other.pixels() == 1 || size(shape) == size(other);
                if !fits(shape.channels, other.channels) || !whole {
                    return Err(refuse(node, "only operands of one size, or one pixel, or one channel"));
                }
                Shape::new(
                    shape.channels.max(other.channels),
                    shape.height.max(other.height),
                    shape.width.max(other.width),
                )
            }
        });
    }
    out.ok_or_else(|| refuse(node, "both operands are constants"))
}

fn concat(graph: &Graph<'_>, node: &Node<'_>) -> Result<Shape, CompileError> {
    if !matches!(node.ints("axis"), Some([1 | -3])) {
        return Err(refuse(node, "only along the channels"));
    }
    let parts = (0..node.inputs.len()).map(|index| graph.shape_of(node, index));
    let parts: Option<Vec<_>> = parts.collect();
    let parts = parts.filter(|parts| !parts.is_empty()).ok_or_else(|| refuse(node, "a part is a constant"))?;
    let Shape { height, width, .. } = parts[0];
    if parts.iter().any(|part| (part.height, part.width) != (height, width)) {
        return Err(refuse(node, "its parts are of several sizes"));
    }
    Ok(Shape::new(parts.iter().map(|part| part.channels).sum(), height, width))
}

/// The channels a `Slice` keeps.
pub(super) fn slice(graph: &Graph<'_>, node: &Node<'_>) -> Result<std::ops::Range<usize>, CompileError> {
    let list = |index, name| graph.ints(node, index).or_else(|| node.ints(name).map(<[_]>::to_vec));
    let channels = graph.shape_of(node, 0).map_or(0, |shape| shape.channels) as i64;
    let steps = graph.ints(node, 4).unwrap_or_else(|| vec![1]);
    match (list(1, "starts").as_deref(), list(2, "ends").as_deref(), list(3, "axes").as_deref(), steps.as_slice()) {
        (Some(&[start]), Some(&[end]), Some([1 | -3]), [1]) => {
            let place = |at: i64| if at < 0 { at.saturating_add(channels) } else { at }.clamp(0, channels) as usize;
            Some(place(start)..place(end)).filter(|part| !part.is_empty())
        }
        _ => None,
    }
    .ok_or_else(|| refuse(node, "only of neighbouring channels"))
}

/// What `Reshape`, `Flatten` and `Squeeze` may do: drop dimensions of 1, or name the batch.
fn reshape(graph: &Graph<'_>, node: &Node<'_>, from: Shape) -> Result<Shape, CompileError> {
    let kept = match node.op {
        "Flatten" => node.int_or("axis", 1) == 1 && from.pixels() == 1,
        "Squeeze" => {
            let axes = graph.ints(node, 1).or_else(|| node.ints("axes").map(<[_]>::to_vec)).unwrap_or_default();
            from.pixels() == 1 && !axes.is_empty() && axes.iter().all(|axis| matches!(axis, 2 | 3 | -1 | -2))
        }
        _ => {
            let target = graph.ints(node, 1).unwrap_or_default();
            let item = [from.channels, from.height, from.width].map(|size| size as i64);
            let keeps = |(&size, &to): (&i64, &i64)| size == to || to == -1 || to == 0;
            // 0 copies, -1 is what is left: the batch, or the channels where the batch is named.
            match target.as_slice() {
                [-1..=1, sizes @ ..] if sizes.len() == 3 => {
                    item.iter().zip(sizes).all(keeps) && target.iter().filter(|&&size| size == -1).count() <= 1
                }
                [-1..=1, to] => from.pixels() == 1 && keeps((&item[0], to)) && target != [-1, -1],
                _ => false,
            }
        }
    };
    match kept {
        true => Ok(from),
        false => Err(refuse(node, "only one that keeps items apart and channels, rows and columns as they are")),
    }
}
