//! Bundles and their networks, as they come from outside.

mod bundle;
#[path = "../common/mod.rs"]
mod common;
mod half;
mod onnx;
mod passing;
mod weights;
