//! The engine as the lanes know engines.

use std::sync::Arc;

use super::kernels::NativeKernels;
use super::model::{NativeModel, Ways};
use super::network::NativeNetwork;
use super::{CompileError, NativeError};
use crate::backend::BackendError;
use crate::backend::cuda::engine::{Buffers, GpuEngine, GpuModel, GpuNetwork, NetworkFile, Ports};
use crate::backend::cuda::scratch::Scratch;
use crate::cuda::{Context, Driver, Stream};
use crate::onnxruntime::Element;

/// The engine on one GPU.
#[derive(Debug)]
pub struct NativeEngine {
    kernels: Arc<NativeKernels>,
}

impl NativeEngine {
    /// Loads the kernels for the GPU of `context`.
    ///
    /// # Errors
    /// [`NativeError::Kernels`], [`NativeError::Cuda`].
    pub fn open(driver: &Driver, context: &Arc<Context>) -> Result<Self, NativeError> {
        Ok(Self { kernels: NativeKernels::load(driver, context)? })
    }
}

impl GpuEngine for NativeEngine {
    fn name(&self) -> String {
        "lipsyncd's own engine".to_owned()
    }

    fn load(&self, network: NetworkFile<'_>) -> Result<Arc<dyn GpuModel>, BackendError> {
        let error = |source| BackendError::Native { path: network.path.to_owned(), source };
        let element = network.ports.outputs.first().map_or(Element::F32, |port| port.element);
        let model = NativeModel::load(&self.kernels, network.content, element).map_err(error)?;
        let inputs = input_ports(&model, network.ports).map_err(|source| error(source.into()))?;
        let kept = crate::paths::cache_folder().map(|cache| cache.join("native"));
        if let Err(reason) = model.tune(kept.as_deref()) {
            tracing::warn!("{}: not measured how it runs fastest: {reason}", network.path.display());
        }
        Ok(Arc::new(PortedModel { model, inputs }))
    }
}

/// For each input of the program the port that feeds it; shapes must agree.
fn input_ports(model: &NativeModel, ports: &Ports) -> Result<Vec<usize>, CompileError> {
    let program = model.program();
    let output = ports.outputs.first().map_or(0, |port| port.len());
    if program.output.len() != output {
        let found = format!("{:?} for each item", program.output.item);
        return Err(CompileError::Edge { tensor: program.output.name.clone(), found });
    }
    let port_of = |edge: &super::program::Edge| {
        let fits = |port: &crate::backend::cuda::engine::Port| port.name == edge.name && port.len() == edge.len();
        let port = ports.inputs.iter().position(fits);
        let found = || format!("{:?} for each item", edge.item);
        port.ok_or_else(|| CompileError::Edge { tensor: edge.name.clone(), found: found() })
    };
    program.inputs.iter().map(port_of).collect()
}

struct PortedModel {
    model: Arc<NativeModel>,
    inputs: Vec<usize>,
}

impl GpuModel for PortedModel {
    unsafe fn bind(
        &self,
        stream: &Arc<Stream>,
        buffers: &Buffers,
        scratch: &mut Scratch,
    ) -> Result<Box<dyn GpuNetwork>, BackendError> {
        let inputs: Vec<_> = self.inputs.iter().map(|&port| buffers.inputs[port]).collect();
        let slab = scratch.take(self.model.slab_bytes(buffers.max_batch, Ways::Chosen))?;
        let ends = (&*inputs, buffers.outputs[0]);
        // SAFETY: promised by the caller: the ports' sizes are the edges', and networks of one scratch run one after the other.
        let network = unsafe { self.model.bind_in(ends, buffers.max_batch, Ways::Chosen, slab) };
        match network {
            Ok(network) => Ok(Box::new(PortedNetwork { network, stream: Arc::clone(stream) })),
            Err(NativeError::Cuda(error)) => Err(BackendError::Cuda(error)),
            Err(source) => Err(BackendError::Native { path: "the network".into(), source }),
        }
    }
}

struct PortedNetwork {
    network: NativeNetwork,
    stream: Arc<Stream>,
}

impl GpuNetwork for PortedNetwork {
    unsafe fn enqueue(&mut self, batch: usize) -> Result<(), BackendError> {
        // SAFETY: promised by the caller.
        Ok(unsafe { self.network.enqueue(batch, &self.stream) }?)
    }
}
