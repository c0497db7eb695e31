//! From a network's file to what an engine is given: its batch made dynamic where that can be, its precision as asked.

use super::plan::Precision;
use crate::avatar::onnx::{Dim, Edges, GraphInfo, HalfError, HalfReport, OnnxError, TensorInfo, rebatch, to_half};

/// Why a network cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Onnx(#[from] OnnxError),
    /// It has no half-precision form.
    #[error(transparent)]
    Half(#[from] HalfError),
}

/// A network ready for an engine.
#[derive(Debug)]
pub struct Prepared {
    /// The ONNX file's new content.
    pub model: Vec<u8>,
    /// Whether it takes one item at a time, and nothing can be done about it.
    pub one_by_one: Option<String>,
    /// What halving did to the weights.
    pub half: Option<HalfReport>,
}

/// Prepares `network`, the content of an ONNX file. `edges` matters in half precision only.
///
/// # Errors
/// [`PrepareError`].
pub fn prepare(network: &[u8], precision: Precision, edges: Edges) -> Result<Prepared, PrepareError> {
    let info = GraphInfo::parse(network)?;
    let (batched, one_by_one) = if is_batch_fixed(&info.inputs) {
        match rebatch(network) {
            Ok(batched) => (Some(batched), None),
            Err(refusal) => (None, Some(refusal.to_string())),
        }
    } else {
        (None, None)
    };
    let batched = batched.as_deref().unwrap_or(network);
    let (model, half) = match precision {
        Precision::Fp32 => (batched.to_vec(), None),
        Precision::Fp16 => to_half(batched, edges).map(|(model, report)| (model, Some(report)))?,
    };
    Ok(Prepared { model, one_by_one, half })
}

/// Whether an input is declared with a batch of exactly one.
fn is_batch_fixed(inputs: &[TensorInfo]) -> bool {
    inputs.iter().any(|input| input.dims.as_ref().is_some_and(|dims| dims.first() == Some(&Dim::Fixed(1))))
}
