//! The operators through which a batch can be followed, and the rank of what comes out of them.
//!
//! Each rule ensures that the first dimension of the output is the batch when that of the input is, and that
//! no item sees another. An operator or a use of one without a rule is refused: a refusal costs speed, a wrong
//! rule a wrong picture. Semantics: <https://onnx.ai/onnx/operators/>.

use super::node::Node;
use super::trace::{Flow, Trace};

/// The rank of the node's output, its first dimension the batch; `None` when that cannot be shown.
pub(super) fn output_rank(node: &Node<'_>, trace: &Trace<'_>) -> Option<usize> {
    if node.op != "Split" && node.outputs.len() != 1 {
        return None;
    }
    match node.op {
        // Normalising over the batch mixes its items.
        "BatchNormalization" if node.int_or("training_mode", 0) != 0 => None,
        "Relu" | "LeakyRelu" | "Sigmoid" | "Tanh" | "Elu" | "Selu" | "Softplus" | "Softsign" | "HardSigmoid"
        | "HardSwish" | "Gelu" | "Mish" | "Exp" | "Log" | "Sqrt" | "Reciprocal" | "Abs" | "Neg" | "Erf" | "Floor"
        | "Ceil" | "Cast" | "Clip" | "Dropout" => first_batched(node, trace),
        "Conv"
        | "ConvTranspose"
        | "BatchNormalization"
        | "InstanceNormalization"
        | "GroupNormalization"
        | "MaxPool"
        | "AveragePool"
        | "LpPool"
        | "GlobalAveragePool"
        | "GlobalMaxPool"
        | "LRN"
        | "DepthToSpace"
        | "SpaceToDepth" => first_batched(node, trace).filter(|&rank| rank >= 3),
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "PRelu" | "Min" | "Max" | "Sum" => elementwise(node, trace),
        "Concat" => concat(node, trace),
        "Flatten" => {
            let rank = first_batched(node, trace)?;
            (axis(node.int_or("axis", 1), rank)? == 1).then_some(2)
        }
        "Gemm" => gemm(node, trace),
        "MatMul" => mat_mul(node, trace),
        "Transpose" => {
            let rank = first_batched(node, trace)?;
            let perm = node.ints("perm")?;
            (perm.len() == rank && perm.first() == Some(&0)).then_some(rank)
        }
        // Below opset 13 the default axis is 1, from 13 on the last: neither is the batch for two dimensions or more.
        "Softmax" | "LogSoftmax" | "LayerNormalization" => {
            let rank = first_batched(node, trace)?;
            (rank >= 2 && axis(node.int_or("axis", -1), rank)? != 0).then_some(rank)
        }
        "Split" => {
            let rank = first_batched(node, trace)?;
            (axis(node.int_or("axis", 0), rank)? != 0).then_some(rank)
        }
        "Squeeze" | "Unsqueeze" | "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin" | "ReduceL2" => {
            change_axes(node, trace)
        }
        "Slice" => {
            let rank = first_batched(node, trace)?;
            let axes = trace.constant(node, 3)?.ints()?;
            axes.iter().all(|&at| axis(at, rank).is_some_and(|at| at != 0)).then_some(rank)
        }
        "Pad" => pad(node, trace),
        "Resize" | "Upsample" => resize(node, trace),
        _ => None,
    }
}

/// The rank of input 0, which is batched, when all the others are constant.
fn first_batched(node: &Node<'_>, trace: &Trace<'_>) -> Option<usize> {
    let rank = trace.rank(node, 0)?;
    let others = 1..node.inputs.len();
    let constant = |index| node.input(index).is_none() || trace.constant(node, index).is_some();
    others.into_iter().all(constant).then_some(rank)
}

/// An axis counted from the front.
fn axis(axis: i64, rank: usize) -> Option<usize> {
    let from_front = if axis < 0 { axis.checked_add(i64::try_from(rank).ok()?)? } else { axis };
    usize::try_from(from_front).ok().filter(|&axis| axis < rank)
}

/// Broadcasting aligns last dimensions, so batched operands need one rank, and a constant must have no
/// size of its own where the batch is.
fn elementwise(node: &Node<'_>, trace: &Trace<'_>) -> Option<usize> {
    let mut ranks = (0..node.inputs.len()).filter_map(|index| trace.rank(node, index));
    let rank = ranks.next()?;
    let fits = |index| match trace.flow(node.input(index)?)? {
        Flow::Batch { rank: other } => (*other == rank).then_some(()),
        Flow::Constant(constant) => {
            let below = constant.dims.len() < rank;
            let beside = constant.dims.len() == rank && constant.dims.first() == Some(&1);
            (below || beside).then_some(())
        }
    };
    (0..node.inputs.len()).try_for_each(fits)?;
    Some(rank)
}

fn concat(node: &Node<'_>, trace: &Trace<'_>) -> Option<usize> {
    let rank = trace.rank(node, 0)?;
    let same_rank = (0..node.inputs.len()).all(|index| trace.rank(node, index) == Some(rank));
    let at = axis(node.ints("axis")?.first().copied()?, rank)?;
    (same_rank && at != 0).then_some(rank)
}

fn gemm(node: &Node<'_>, trace: &Trace<'_>) -> Option<usize> {
    let rank = first_batched(node, trace)?;
    let addend_fits = match (node.input(2), trace.constant(node, 2)) {
        (None, _) => true,
        (Some(_), Some(addend)) => addend.dims.len() < 2 || addend.dims.first() == Some(&1),
        (Some(_), None) => false,
    };
    (rank == 2 && node.int_or("transA", 0) == 0 && addend_fits).then_some(2)
}

fn mat_mul(node: &Node<'_>, trace: &Trace<'_>) -> Option<usize> {
    let rank = trace.rank(node, 0)?;
    match trace.flow(node.input(1)?)? {
        Flow::Batch { rank: other } => (rank >= 3 && *other == rank).then_some(rank),
        Flow::Constant(weights) => (rank >= 2 && weights.dims.len() == 2).then_some(rank),
    }
}

/// Axes are an attribute in older operator sets and a constant input in newer ones; without any, all
/// are meant, the batch too.
fn change_axes(node: &Node<'_>, trace: &Trace<'_>) -> Option<usize> {
    let rank = first_batched(node, trace)?;
    let axes = match node.ints("axes") {
        Some(axes) => axes.to_vec(),
        None => trace.constant(node, 1)?.ints()?,
    };
    let after = match node.op {
        "Unsqueeze" => rank.checked_add(axes.len())?,
        "Squeeze" => rank.checked_sub(axes.len())?,
        _ if node.int_or("keepdims", 1) == 0 => rank.checked_sub(axes.len())?,
        _ => rank,
    };
    let counted_in = if node.op == "Unsqueeze" { after } else { rank };
    let spares_batch = axes.iter().all(|&at| axis(at, counted_in).is_some_and(|at| at != 0));
    (!axes.is_empty() && spares_batch && after >= 1).then_some(after)
}

fn pad(node: &Node<'_>, trace: &Trace<'_>) -> Option<usize> {
    let rank = first_batched(node, trace)?;
    let pads = match node.ints("pads") {
        Some(pads) => pads.to_vec(),
        None => trace.constant(node, 1)?.ints()?,
    };
    let whole = node.input(3).is_none() && pads.len() == rank.checked_mul(2)?;
    (whole && pads.first() == Some(&0) && pads.get(rank) == Some(&0)).then_some(rank)
}

/// Only by scales: a constant target size names the batch, and no value of it means "any".
fn resize(node: &Node<'_>, trace: &Trace<'_>) -> Option<usize> {
    let rank = first_batched(node, trace)?;
    // Resize-11 put the region of interest before the scales.
    let (region, scales) = if node.op == "Upsample" || node.inputs.len() == 2 { (None, 1) } else { (node.input(1), 2) };
    let scales = trace.constant(node, scales)?;
    let no_region = region.is_none() || trace.constant(node, 1)?.len() == Some(0);
    let whole = node.input(3).is_none() && node.ints("axes").is_none() && scales.len() == Some(rank);
    (no_region && whole && scales.first_f32() == Some(1.0)).then_some(rank)
}
