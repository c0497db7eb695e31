//! Enough of ONNX to check networks before any runtime opens them (inputs, outputs, opset, external data), and to change them: a fixed
//! batch made dynamic, float32 made float16, weights taken inside, a generator cut in two where sound comes in.
//!
//! Field numbers are those of `onnx.proto` (IR version 10), read with a small walker of the protobuf wire
//! format: the full schema would bring a code generator and copies of every weight.

mod blocked;
mod error;
mod external;
mod half;
mod network;
mod node;
mod ops;
mod outside;
mod parts;
mod patch;
mod quicker;
mod rebatch;
mod role;
mod shuffle;
mod split;
mod tensor;
mod trace;
mod value_info;
mod view;
mod wire;
mod write;

pub use error::OnnxError;
pub use half::{Edges, HalfError, HalfReport, to_half};
pub(crate) use network::Network;
pub(crate) use node::Node;
pub use outside::{Outside, with_weights};
pub use parts::repeated;
pub use quicker::quicker;
pub use rebatch::{Refusal, rebatch};
pub(crate) use role::picture_size;
pub use role::{
    Batch, EncoderShape, FEATURE_LEN, GeneratorShape, MEL_WINDOW_LEN, Port, RoleError, recognise_encoder,
    recognise_generator,
};

pub use split::{Halves, split};
pub(crate) use tensor::Constant;
pub use value_info::{Dim, TensorInfo};
pub(crate) use view::read_model;
pub use view::{ExternalData, GraphInfo, MAX_MODEL_BYTES, read_graph};

#[cfg(test)]
mod build;
