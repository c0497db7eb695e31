//! Why a network is not for this engine.

use thiserror::Error;

use crate::avatar::onnx::OnnxError;
use crate::backend::cuda::kernels::KernelError;
use crate::cuda::CudaError;

/// Why the engine cannot run a network.
#[derive(Debug, Error)]
pub enum NativeError {
    /// It is not for this engine.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// There are no kernels for this GPU.
    #[error(transparent)]
    Kernels(#[from] KernelError),
    /// The driver refused.
    #[error("the GPU refused: {0}")]
    Cuda(#[from] CudaError),
    /// More values than the kernels number.
    #[error(
        "a tensor of it has {values} values, and the native engine takes {} in a batch of {batch}; lower max_batch",
        i32::MAX
    )]
    TooLarge {
        /// Of one item.
        values: usize,
        /// Items.
        batch: usize,
    },
}

/// Why a network cannot be compiled; another engine may still run it.
#[derive(Debug, Error)]
pub enum CompileError {
    /// The file is damaged.
    #[error("it cannot be read: {0}")]
    Onnx(#[from] OnnxError),
    /// The weights are elsewhere.
    #[error("its weights are in \"{location}\"; export it with its weights inside")]
    External {
        /// The file that holds them.
        location: String,
    },
    /// An operator, or a use of one, without a kernel.
    #[error("the native engine has no kernel for operator {op} that makes \"{tensor}\": {why}")]
    Operator {
        /// ONNX's name for it.
        op: String,
        /// Its output.
        tensor: String,
        /// What is not supported about it.
        why: &'static str,
    },
    /// A weight that float16 cannot hold.
    #[error(
        "{value} in weights \"{tensor}\" is beyond float16's 65504; run this network in float32 with another engine"
    )]
    Weight {
        /// The constant.
        tensor: String,
        /// The value.
        value: f32,
    },
    /// An input or output that is no picture, context, window or feature.
    #[error(
        "\"{tensor}\" is {found}; the native engine takes [N, C, H, W] with C, H and W fixed, and gives that or [N, C]"
    )]
    Edge {
        /// Its name.
        tensor: String,
        /// Its shape.
        found: String,
    },
    /// Not one output.
    #[error("it has {found} outputs; the native engine gives one")]
    Outputs {
        /// How many it has.
        found: usize,
    },
}
