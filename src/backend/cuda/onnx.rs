//! ONNX Runtime's CUDA provider as an engine: for every network it can run, on every GPU that CUDA knows.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::engine::{BUCKETS, Buffers, GpuEngine, GpuModel, GpuNetwork, NetworkFile, Port, Ports};
use super::plan::Precision;
use super::prepare::prepare;
use super::scratch::Scratch;
use super::shared_library::try_open;
use crate::avatar::onnx::Edges;
use crate::backend::BackendError;
use crate::cuda::{DevicePtr, Stream};
use crate::onnxruntime::{DeviceBinding, DeviceNetwork, DeviceTensor, OnnxRuntime};

/// NVIDIA's library of convolutions, by the name that the provider opens it by when a network first needs it.
const CUDNN: &str = "libcudnn.so.9";

/// Whether cuDNN is there for the CUDA provider of `runtime`: where the system looks, or beside it.
///
/// # Errors
/// The loader's own words.
pub fn find_cudnn(runtime: &OnnxRuntime) -> Result<(), String> {
    let beside = runtime.info().path.with_file_name(CUDNN);
    try_open(Path::new(CUDNN)).or_else(|error| try_open(&beside).map_err(|_| error))
}

/// ONNX Runtime on one GPU.
pub struct OnnxEngine {
    runtime: OnnxRuntime,
    precision: Precision,
}

impl OnnxEngine {
    /// The engine, computing in `precision`.
    #[must_use]
    pub fn new(runtime: OnnxRuntime, precision: Precision) -> Self {
        Self { runtime, precision }
    }
}

impl GpuEngine for OnnxEngine {
    fn name(&self) -> String {
        let library = self.runtime.info().path.file_name().map(|name| name.to_string_lossy().into_owned());
        format!("ONNX Runtime's CUDA provider, {}", library.unwrap_or_default())
    }

    fn load(&self, network: NetworkFile<'_>) -> Result<Arc<dyn GpuModel>, BackendError> {
        let edges = if network.ports.are_half() { Edges::Half } else { Edges::Single };
        let prepared = prepare(network.content, self.precision, edges)
            .map_err(|source| BackendError::Prepare { path: network.path.to_owned(), source })?;
        if let Some(reason) = &prepared.one_by_one {
            tracing::warn!(
                network = %network.path.display(),
                "its batch is fixed to 1 ({reason}): frames are drawn one by one; export it with a dynamic batch"
            );
        }
        Ok(Arc::new(OnnxModel {
            runtime: self.runtime.clone(),
            path: network.path.to_owned(),
            one_by_one: prepared.one_by_one.is_some(),
            content: prepared.model,
            ports: network.ports.clone(),
        }))
    }
}

struct OnnxModel {
    runtime: OnnxRuntime,
    path: PathBuf,
    content: Vec<u8>,
    ports: Ports,
    one_by_one: bool,
}

impl GpuModel for OnnxModel {
    unsafe fn bind(
        &self,
        stream: &Arc<Stream>,
        buffers: &Buffers,
        _scratch: &mut Scratch,
    ) -> Result<Box<dyn GpuNetwork>, BackendError> {
        let gpu = stream.context().gpu().ordinal;
        // SAFETY: the result keeps the stream alive, which is of this GPU's primary context.
        let network =
            unsafe { DeviceNetwork::load(&self.runtime, &self.path, &self.content, gpu, stream.raw().cast()) }?;
        let bindings = if self.one_by_one {
            (0..buffers.max_batch).map(|item| self.tensors(buffers, item)).map(|(i, o)| (1, i, o)).collect::<Vec<_>>()
        } else {
            let (inputs, outputs) = self.tensors(buffers, 0);
            let sizes = BUCKETS.into_iter().filter(|&bucket| bucket <= buffers.max_batch);
            sizes.map(|bucket| (bucket, inputs.clone(), outputs.clone())).collect()
        };
        let bind = |(batch, inputs, outputs): (usize, Vec<_>, Vec<_>)| network.bind(gpu, batch, &inputs, &outputs);
        let bindings = bindings.into_iter().map(bind).collect::<Result<_, _>>()?;
        Ok(Box::new(OnnxNetwork { network, bindings, one_by_one: self.one_by_one, _stream: Arc::clone(stream) }))
    }
}

impl OnnxModel {
    /// The ports over `buffers`, from item `item` on.
    fn tensors(&self, buffers: &Buffers, item: usize) -> (Vec<DeviceTensor>, Vec<DeviceTensor>) {
        let tensor = |(port, &at): (&Port, &DevicePtr)| DeviceTensor {
            name: port.name.clone(),
            item: port.item.clone(),
            element: port.element,
            address: at.offset(item * port.bytes()).0,
        };
        let inputs = self.ports.inputs.iter().zip(&buffers.inputs).map(tensor).collect();
        (inputs, self.ports.outputs.iter().zip(&buffers.outputs).map(tensor).collect())
    }
}

struct OnnxNetwork {
    // Declared first so that they are released before the session they are of.
    /// One for each bucket, or for each item of a network that takes one at a time.
    bindings: Vec<DeviceBinding>,
    network: DeviceNetwork,
    one_by_one: bool,
    _stream: Arc<Stream>,
}

impl GpuNetwork for OnnxNetwork {
    unsafe fn enqueue(&mut self, batch: usize) -> Result<(), BackendError> {
        let range = if self.one_by_one {
            0..batch
        } else {
            let at = BUCKETS.iter().position(|&bucket| bucket == batch).unwrap_or(BUCKETS.len());
            at..at + 1
        };
        for binding in self.bindings.get(range).unwrap_or_default() {
            // SAFETY: promised by the caller.
            unsafe { self.network.enqueue(binding) }?;
        }
        Ok(())
    }
}
