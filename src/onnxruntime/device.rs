//! Networks that ONNX Runtime's CUDA provider runs on a stream of ours, from and to buffers of ours on the GPU.
#![allow(unsafe_code)] // This is the project's binding to ONNX Runtime's C interface.

use std::ffi::{CString, c_void};
use std::path::{Path, PathBuf};
use std::ptr;

use ort::AsPointer as _;
use ort::ep::cuda::ConvAlgorithmSearch;
use ort::ep::{ArenaExtendStrategy, CUDA};
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::sys;

use super::binding::{Binding, MemoryInfo, Value, check};
use super::network::{load_error, one_line};
use super::{OnnxError, OnnxRuntime};

/// Element type of a tensor on the GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Element {
    /// float32.
    F32,
    /// float16.
    F16,
}

impl Element {
    /// Bytes of one element.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }

    fn onnx(self) -> sys::ONNXTensorElementDataType {
        match self {
            Self::F32 => sys::ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
            Self::F16 => sys::ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16,
        }
    }
}

/// A buffer on the GPU that is bound to a network's input or output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceTensor {
    /// Name in the graph.
    pub name: String,
    /// Shape of one item, without the batch.
    pub item: Vec<usize>,
    /// Element type.
    pub element: Element,
    /// Address on the GPU.
    pub address: u64,
}

/// A network loaded for one stream of one GPU. Its intermediate buffers are its own, so a lane has its own of these.
pub struct DeviceNetwork {
    session: Session,
    options: RunOptions,
    path: PathBuf,
}

/// A network's tensors bound to buffers, for one batch size.
pub struct DeviceBinding {
    // Declared first so that it is released before the values it refers to.
    binding: Binding,
    _values: Vec<Value>,
}

impl DeviceNetwork {
    /// Loads `model`, the content of `path`, for GPU `gpu` and the stream at `stream` (a `cudaStream_t`). Every operator must run on
    /// the GPU: a part that fell back to the CPU would wait for the stream in every run.
    ///
    /// # Safety
    /// The stream must be of that GPU's primary context and outlive the result.
    ///
    /// # Errors
    /// [`OnnxError::Load`] with ONNX Runtime's own words: without its CUDA provider's libraries, for one.
    pub unsafe fn load(
        runtime: &OnnxRuntime,
        path: &Path,
        model: &[u8],
        gpu: u32,
        stream: *mut c_void,
    ) -> Result<Self, OnnxError> {
        let provider = CUDA::default()
            .with_device_id(i32::try_from(gpu).unwrap_or(i32::MAX))
            .with_arena_extend_strategy(ArenaExtendStrategy::SameAsRequested)
            .with_conv_algorithm_search(ConvAlgorithmSearch::Heuristic)
            .with_tf32(false);
        // SAFETY: promised by the caller.
        let provider = unsafe { provider.with_compute_stream(stream.cast()) };
        let build = || -> ort::Result<Session> {
            Session::builder(&runtime.environment)?
                .with_optimization_level(GraphOptimizationLevel::All)?
                .with_intra_threads(1)?
                .with_inter_threads(1)?
                .with_config_entry("session.disable_cpu_ep_fallback", "1")?
                .with_execution_providers([provider.build().error_on_failure()])?
                .commit_from_memory(model)
        };
        let session = build().map_err(|error| load_error(path, &error))?;
        let options = RunOptions::asynchronous().map_err(|error| load_error(path, &error))?;
        Ok(Self { session, options, path: path.to_owned() })
    }

    /// Binds buffers for runs over `batch` items; binding is no copy.
    ///
    /// # Errors
    /// [`OnnxError::Bind`] naming the tensor that ONNX Runtime refused.
    pub fn bind(
        &self,
        gpu: u32,
        batch: usize,
        inputs: &[DeviceTensor],
        outputs: &[DeviceTensor],
    ) -> Result<DeviceBinding, OnnxError> {
        let refused = |tensor: &str, error: &ort::Error| OnnxError::Bind {
            tensor: tensor.to_owned(),
            shape: Vec::new(),
            reason: one_line(error),
        };
        let memory = MemoryInfo::cuda(gpu).map_err(|error| refused("", &error))?;
        let binding = Binding::new(&self.session).map_err(|error| refused("", &error))?;
        let mut values = Vec::new();
        let sides = [(inputs, ort::api().BindInput), (outputs, ort::api().BindOutput)];
        for (tensors, bind) in sides {
            for tensor in tensors {
                let value = view(tensor, batch, &memory).map_err(|error| refused(&tensor.name, &error))?;
                let name = CString::new(tensor.name.as_str()).map_err(|error| refused(&tensor.name, &error.into()))?;
                // SAFETY: binding, name and value are live; ONNX Runtime copies the name and takes its own reference to
                // the value.
                unsafe { check(bind(binding.0, name.as_ptr(), value.0)) }
                    .map_err(|error| refused(&tensor.name, &error))?;
                values.push(value);
            }
        }
        Ok(DeviceBinding { binding, _values: values })
    }

    /// Enqueues a run on the network's stream and returns; the stream may be under capture.
    ///
    /// # Safety
    /// The buffers of `binding`, which must be of this network, must be alive and used by nothing else until the stream has
    /// passed the run.
    ///
    /// # Errors
    /// [`OnnxError::Run`] with ONNX Runtime's own words.
    pub unsafe fn enqueue(&mut self, binding: &DeviceBinding) -> Result<(), OnnxError> {
        let session = self.session.ptr().cast_mut();
        // SAFETY: session, options and binding are live, the buffers are promised by the caller.
        unsafe { check((ort::api().RunWithBinding)(session, self.options.0, binding.binding.0)) }
            .map_err(|error| OnnxError::Run { network: self.path.to_path_buf(), reason: one_line(&error) })
    }
}

/// A view of the first `batch` items at the tensor's address.
fn view(tensor: &DeviceTensor, batch: usize, memory: &MemoryInfo) -> ort::Result<Value> {
    let shape: Vec<i64> =
        std::iter::once(&batch).chain(&tensor.item).map(|&dim| i64::try_from(dim).unwrap_or(i64::MAX)).collect();
    let elements = tensor.item.iter().fold(batch, |elements, &dim| elements.saturating_mul(dim));
    let address = ptr::with_exposed_provenance_mut(usize::try_from(tensor.address).unwrap_or_default());
    let bytes = elements.saturating_mul(tensor.element.bytes());
    // SAFETY: the address is a GPU's and never touched here; what is bound there must live as long as the binding is run, which
    // `enqueue` demands.
    unsafe { Value::over(address, bytes, &shape, tensor.element.onnx(), memory) }
}

struct RunOptions(*mut sys::OrtRunOptions);

// SAFETY: options are read by runs only, and a network is run by one thread at a time.
unsafe impl Send for RunOptions {}

impl RunOptions {
    /// Options under which a run does not wait for the GPU (`run_options_config_keys.h`).
    fn asynchronous() -> ort::Result<Self> {
        let mut raw = ptr::null_mut();
        // SAFETY: a plain constructor writing one pointer.
        unsafe { check((ort::api().CreateRunOptions)(&raw mut raw))? };
        let options = Self(raw);
        // SAFETY: the options are live; key and value are copied.
        unsafe {
            check((ort::api().AddRunConfigEntry)(
                options.0,
                c"disable_synchronize_execution_providers".as_ptr(),
                c"1".as_ptr(),
            ))?;
        }
        Ok(options)
    }
}

impl Drop for RunOptions {
    fn drop(&mut self) {
        // SAFETY: the pointer came from CreateRunOptions and is released once.
        unsafe { (ort::api().ReleaseRunOptions)(self.0) }
    }
}
