//! Which input is what, recognised by shape: exporters name inputs as they like.

use thiserror::Error;

use super::tensor::F32;
use super::value_info::{Dim, TensorInfo};
use super::view::GraphInfo;

/// Floats of one feature: the audio encoder's output for one video frame.
pub const FEATURE_LEN: usize = 512;
/// Mel frames the audio encoder sees for one video frame.
pub const MEL_WINDOW_LEN: usize = 16;
/// Rows and columns of the published audio input, `[2 * context, 16, 16]`, when a network leaves them open.
const AUDIO_SIDE: u64 = 16;

/// One input or output of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    pub name: String,
    /// Place among the graph's fed inputs, or its outputs.
    pub index: usize,
}

/// How many items a network takes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batch {
    /// Exactly one.
    One,
    Dynamic,
}

/// A generator: picture `[N, 6, size, size]` and audio `[N, C, H, W]` in, `[N, 3, size, size]` out; f32.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratorShape {
    pub picture: Port,
    pub audio: Port,
    pub output: Port,
    /// `C`, `H`, `W` of the audio input; their product is context * [`FEATURE_LEN`].
    pub audio_dims: [usize; 3],
    pub batch: Batch,
}

/// An audio encoder: mel windows `[N, 1, mels, 16]` in, `[N, feature_len]` out; f32.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncoderShape {
    pub mel: Port,
    pub feature: Port,
    pub feature_len: usize,
    pub batch: Batch,
}

/// Why a network cannot play its role.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RoleError {
    #[error("it takes {found}, not {expected}")]
    InputCount { expected: String, found: String },
    #[error("no input has the shape {expected}; it takes {found}")]
    NoInput { expected: String, found: String },
    #[error("its two inputs cannot be told apart: {found}")]
    Ambiguous { found: String },
    #[error("its picture input is {found}x{found}, but generator.size is {size}")]
    Size { found: u64, size: u32 },
    #[error("no single output has the shape {expected}; it gives {found}")]
    Output { expected: String, found: String },
    #[error("\"{tensor}\" is {element}, not float32")]
    Element { tensor: String, element: &'static str },
    #[error("the batch of \"{tensor}\" is fixed to {found}")]
    FixedBatch { tensor: String, found: u64 },
}

impl RoleError {
    /// What to do about it.
    pub fn fix(&self) -> String {
        match self {
            Self::InputCount { .. } | Self::NoInput { .. } | Self::Output { .. } => {
                "export the network of the published recipe, or correct the sizes in avatar.toml".to_owned()
            }
            Self::Ambiguous { .. } => "export it with its channel counts fixed".to_owned(),
            Self::Size { found, .. } => format!("set generator.size = {found} (and the mask), or export it again"),
            Self::Element { .. } => "export it with float32 inputs and outputs".to_owned(),
            Self::FixedBatch { .. } => "export it with a dynamic batch, or with a batch of 1".to_owned(),
        }
    }
}

/// Finds a generator's picture and audio inputs and its output.
///
/// Symbolic dimensions fit anything; what is fixed must agree with `size_px` and `context`.
///
/// # Errors
/// See [`RoleError`].
pub fn recognise_generator(graph: &GraphInfo, size_px: u32, context: usize) -> Result<GeneratorShape, RoleError> {
    let [first, second] = graph.inputs.as_slice() else {
        let side = size_px;
        let expected = format!("a picture [N, 6, {side}, {side}] and a context [N, 32, 16, 16]");
        return Err(RoleError::InputCount { expected, found: shapes(&graph.inputs) });
    };
    let size = u64::from(size_px);
    let audio_len = (context * FEATURE_LEN) as u64;
    let fits_picture = |tensor: &TensorInfo| fits(tensor, &[6, size, size]);
    let fit = |picture: &TensorInfo, audio: &TensorInfo| {
        if fits_picture(picture) { solve_audio(audio, audio_len) } else { None }
    };
    let (picture, audio, audio_dims) = match (fit(first, second), fit(second, first)) {
        (Some(dims), None) => (port(first, 0), port(second, 1), dims),
        (None, Some(dims)) => (port(second, 1), port(first, 0), dims),
        (Some(_), Some(_)) => return Err(RoleError::Ambiguous { found: shapes(&graph.inputs) }),
        (None, None) => return Err(explain_generator(graph, size_px, context)),
    };
    let output = find_output(graph, &[3, size, size])?;
    let batch = batch_of(&[first, second], &graph.outputs[output.index])?;
    Ok(GeneratorShape { picture, audio, output, audio_dims, batch })
}

/// Finds an audio encoder's input and output.
///
/// # Errors
/// See [`RoleError`].
pub fn recognise_encoder(graph: &GraphInfo, mels: usize) -> Result<EncoderShape, RoleError> {
    let [mel] = graph.inputs.as_slice() else {
        let expected = format!("one mel window [N, 1, {mels}, {MEL_WINDOW_LEN}]");
        return Err(RoleError::InputCount { expected, found: shapes(&graph.inputs) });
    };
    let expected = [1, mels as u64, MEL_WINDOW_LEN as u64];
    if !fits(mel, &expected) {
        return Err(RoleError::NoInput { expected: shape(&expected), found: shapes(&graph.inputs) });
    }
    let feature = find_output(graph, &[FEATURE_LEN as u64])?;
    let batch = batch_of(&[mel], &graph.outputs[feature.index])?;
    Ok(EncoderShape { mel: port(mel, 0), feature, feature_len: FEATURE_LEN, batch })
}

/// The side of the generator's picture, in pixels, when the graph fixes it: that of an input `[N, 6, S, S]`.
pub(crate) fn picture_size(graph: &GraphInfo) -> Option<u64> {
    graph.inputs.iter().find_map(|input| match input.dims.as_deref() {
        Some([_, Dim::Fixed(6), Dim::Fixed(h), Dim::Fixed(w)]) if h == w => Some(*h),
        _ => None,
    })
}

/// The most useful reason why neither assignment of the two inputs fits.
fn explain_generator(graph: &GraphInfo, size_px: u32, context: usize) -> RoleError {
    let size = u64::from(size_px);
    if let Some(found) = picture_size(graph).filter(|&found| found != size) {
        return RoleError::Size { found, size: size_px };
    }
    let expected = if graph.inputs.iter().any(|input| fits(input, &[6, size, size])) {
        format!("[N, C, H, W] with C * H * W = {} (context {context} * {FEATURE_LEN})", context * FEATURE_LEN)
    } else {
        shape(&[6, size, size])
    };
    RoleError::NoInput { expected, found: shapes(&graph.inputs) }
}

fn port(tensor: &TensorInfo, index: usize) -> Port {
    Port { name: tensor.name.clone(), index }
}

/// Whether `tensor` is `[N, expected...]` as far as its dimensions are fixed.
fn fits(tensor: &TensorInfo, expected: &[u64]) -> bool {
    let Some([_, rest @ ..]) = tensor.dims.as_deref() else {
        return false;
    };
    rest.len() == expected.len()
        && rest.iter().zip(expected).all(|(dim, size)| !matches!(dim, Dim::Fixed(found) if found != size))
}

/// `C, H, W` of `[N, C, H, W]` whose product is `len`; open dimensions are solved for.
fn solve_audio(tensor: &TensorInfo, len: u64) -> Option<[usize; 3]> {
    let [_, dims @ ..] = tensor.dims.as_deref()? else {
        return None;
    };
    let dims: &[Dim; 3] = dims.try_into().ok()?;
    let mut sizes = [0; 3];
    for (size, dim) in sizes.iter_mut().zip(dims) {
        if let Dim::Fixed(fixed) = dim {
            *size = *fixed;
        }
    }
    // Rows and columns left open take the published side, where another dimension can make up for it.
    if sizes.iter().filter(|&&size| size == 0).count() > 1 {
        for size in &mut sizes[1..] {
            if *size == 0 {
                *size = AUDIO_SIDE;
            }
        }
    }
    let fixed = sizes.iter().filter(|&&size| size != 0).try_fold(1_u64, |product, &size| product.checked_mul(size))?;
    for size in &mut sizes {
        if *size == 0 {
            *size = len.is_multiple_of(fixed).then_some(len / fixed)?;
        }
    }
    let product = sizes.iter().try_fold(1_u64, |product, &size| product.checked_mul(size))?;
    (product == len).then_some(sizes.map(|size| size as usize))
}

fn find_output(graph: &GraphInfo, expected: &[u64]) -> Result<Port, RoleError> {
    let mut fitting = graph.outputs.iter().enumerate().filter(|(_, output)| fits(output, expected));
    match (fitting.next(), fitting.next()) {
        (Some((index, output)), None) => Ok(port(output, index)),
        _ => Err(RoleError::Output { expected: shape(expected), found: shapes(&graph.outputs) }),
    }
}

/// One batch for the network: dynamic only when every input's is.
fn batch_of(inputs: &[&TensorInfo], output: &TensorInfo) -> Result<Batch, RoleError> {
    let mut batch = Batch::Dynamic;
    for tensor in inputs.iter().copied().chain([output]) {
        if tensor.element != Some(F32) {
            let element = tensor.element_name();
            return Err(RoleError::Element { tensor: tensor.name.clone(), element });
        }
        match tensor.dims.as_deref() {
            Some([Dim::Fixed(1), ..]) => batch = Batch::One,
            Some([Dim::Fixed(found), ..]) => {
                return Err(RoleError::FixedBatch { tensor: tensor.name.clone(), found: *found });
            }
            _ => {}
        }
    }
    Ok(batch)
}

fn shape(sizes: &[u64]) -> String {
    let sizes: Vec<_> = sizes.iter().map(u64::to_string).collect();
    format!("[N, {}]", sizes.join(", "))
}

fn shapes(tensors: &[TensorInfo]) -> String {
    let all: Vec<_> = tensors.iter().map(TensorInfo::to_string).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(" and ") }
}

#[cfg(test)]
#[path = "role_tests.rs"]
mod tests;
