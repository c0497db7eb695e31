//! The GPU of the machine that tests run on.

use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum as _;
use lipsyncd::backend::Backend;
use lipsyncd::backend::cuda::plan::Precision;
use lipsyncd::backend::cuda::{CudaBackend, CudaOptions, EngineChoice};

/// GPU 0 with the engine that `LIPSYNCD_GPU_ENGINE` names, or the best there is; without one the test fails with the sentence that
/// says what is missing.
pub fn cuda_backend(precision: Precision) -> Arc<dyn Backend> {
    let engine = std::env::var("LIPSYNCD_GPU_ENGINE");
    let engine = engine.map_or(EngineChoice::Auto, |word| EngineChoice::from_str(&word, false).unwrap());
    let onnxruntime = std::env::var_os("LIPSYNCD_ONNXRUNTIME").map(PathBuf::from);
    let options = CudaOptions { engine, precision, ..CudaOptions::of_gpu(0, onnxruntime) };
    Arc::new(CudaBackend::open(&options).unwrap_or_else(|error| panic!("{error}")))
}
