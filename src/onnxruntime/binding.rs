//! One thread's buffers, bound once to a network and run without an allocation.
#![allow(unsafe_code)] // This is the project's binding to ONNX Runtime's C interface.

use std::ffi::CString;
use std::ptr;

use ort::AsPointer as _;
use ort::session::Session;
use ort::sys;

use super::network::one_line;
use super::{Network, OnnxError, TensorSpec};

/// A cache line of floats: what the buffers are made of, so that they are aligned for any SIMD width.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Line([f32; Line::FLOATS]);

impl Line {
    const FLOATS: usize = 16;
}

/// ONNX Runtime's view of memory of ours.
pub(super) struct Value(pub(super) *mut sys::OrtValue);

// SAFETY: a value has one owner and ONNX Runtime does not tie it to a thread.
unsafe impl Send for Value {}

impl Value {
    /// A tensor of `shape` in the `bytes` bytes at `data`, which is stored without being touched.
    ///
    /// # Safety
    /// The memory must outlive every run that uses the value, and nothing else may use it meanwhile.
    pub(super) unsafe fn over(
        data: *mut std::ffi::c_void,
        bytes: usize,
        shape: &[i64],
        element: sys::ONNXTensorElementDataType,
        memory: &MemoryInfo,
    ) -> ort::Result<Self> {
        let mut value = ptr::null_mut();
        // SAFETY: `shape` outlives the call, which copies it; the rest is promised by the caller.
        unsafe {
            check((ort::api().CreateTensorWithDataAsOrtValue)(
                memory.0,
                data,
                bytes,
                shape.as_ptr(),
                shape.len(),
                element,
                &raw mut value,
            ))?;
        }
        Ok(Self(value))
    }

    /// As [`Self::over`], of float32 on the host.
    ///
    /// # Safety
    /// As [`Self::over`].
    pub(super) unsafe fn floats(data: *mut f32, spec: &TensorSpec, memory: &MemoryInfo) -> ort::Result<Self> {
        let element = sys::ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
        // SAFETY: promised by the caller.
        unsafe { Self::over(data.cast(), spec.elements() * size_of::<f32>(), &spec.shape, element, memory) }
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        // SAFETY: the pointer came from CreateTensorWithDataAsOrtValue and is released once.
        unsafe { (ort::api().ReleaseValue)(self.0) }
    }
}

/// One bound tensor: its buffer and ONNX Runtime's view of it.
pub(super) struct BoundTensor {
    // Declared first: released before the memory it refers to.
    pub(super) value: Value,
    lines: Vec<Line>,
    elements: usize,
}

impl BoundTensor {
    pub(super) fn new(spec: &TensorSpec, memory: &MemoryInfo) -> ort::Result<Self> {
        let elements = spec.elements();
        let mut lines = vec![Line([0.0; Line::FLOATS]); elements.div_ceil(Line::FLOATS).max(1)];
        // SAFETY: `lines` holds at least `elements` floats and is never resized, so the address stays valid until this tensor drops.
        let value = unsafe { Value::floats(lines.as_mut_ptr().cast(), spec, memory) }?;
        Ok(Self { value, lines, elements })
    }

    pub(super) fn as_slice(&self) -> &[f32] {
        // SAFETY: `lines` is `elements` floats or more, without padding (`Line` is exactly its array),
        // and ONNX Runtime writes to it only while the one that owns it is run, `BoundNetwork` or `BoundHalves`, which borrows it exclusively.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.elements) }
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: as in `as_slice`, and `&mut self` makes this the only view.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.elements) }
    }
}

/// A network with its input and output buffers bound: write the inputs, [`run`](Self::run), read the
/// outputs. Nothing of ours allocates in a run.
pub struct BoundNetwork {
    // Declared first so that it is released before the tensors it refers to.
    binding: Binding,
    inputs: Vec<BoundTensor>,
    outputs: Vec<BoundTensor>,
    network: Network,
}

/// Which buffer each input and output of a session is.
pub(super) struct Binding(pub(super) *mut sys::OrtIoBinding);

// SAFETY: ONNX Runtime does not tie a binding to a thread.
unsafe impl Send for Binding {}

impl Binding {
    /// Nothing bound yet. The session must outlive the binding.
    pub(super) fn new(session: &Session) -> ort::Result<Self> {
        let mut raw = ptr::null_mut();
        // SAFETY: the session is live; the call writes one pointer.
        unsafe { check((ort::api().CreateIoBinding)(session.ptr().cast_mut(), &raw mut raw))? };
        Ok(Self(raw))
    }
}

impl Drop for Binding {
    fn drop(&mut self) {
        // SAFETY: the pointer came from CreateIoBinding and is released once.
        unsafe { (ort::api().ReleaseIoBinding)(self.0) }
    }
}

// SAFETY: the binding and the tensors are owned by this value alone and ONNX Runtime ties neither to a
// thread; `Session` is itself Send and Sync.
unsafe impl Send for BoundNetwork {}

const _: () = {
    const fn shared_between_threads<T: Send + Sync>() {}
    shared_between_threads::<Network>();
};

impl BoundNetwork {
    /// Allocates and binds a buffer for every input and output, in the order given.
    ///
    /// # Errors
    /// [`OnnxError::Bind`] naming the tensor that ONNX Runtime refused.
    pub fn new(network: &Network, inputs: &[TensorSpec], outputs: &[TensorSpec]) -> Result<Self, OnnxError> {
        let unnamed = |error| bind_error(&TensorSpec::new("", &[]), &error);
        let memory = MemoryInfo::cpu().map_err(unnamed)?;
        let binding = Binding::new(&network.session).map_err(unnamed)?;
        let mut bound = Self { binding, inputs: Vec::new(), outputs: Vec::new(), network: network.clone() };
        for spec in inputs {
            let tensor = bound.bind(spec, &memory, ort::api().BindInput)?;
            bound.inputs.push(tensor);
        }
        for spec in outputs {
            let tensor = bound.bind(spec, &memory, ort::api().BindOutput)?;
            bound.outputs.push(tensor);
        }
        Ok(bound)
    }

    fn bind(&self, spec: &TensorSpec, memory: &MemoryInfo, bind: BindCall) -> Result<BoundTensor, OnnxError> {
        let tensor = BoundTensor::new(spec, memory).map_err(|error| bind_error(spec, &error))?;
        let name = CString::new(spec.name.as_str()).map_err(|error| bind_error(spec, &error.into()))?;
        // SAFETY: binding, name and value are live; ONNX Runtime copies the name and takes its own
        // reference to the value, whose buffer `self.inputs`/`self.outputs` keep until after the binding.
        unsafe { check(bind(self.binding.0, name.as_ptr(), tensor.value.0)) }
            .map_err(|error| bind_error(spec, &error))?;
        Ok(tensor)
    }

    /// The buffer of input `index`, to be written before a run.
    pub fn input_mut(&mut self, index: usize) -> &mut [f32] {
        self.inputs[index].as_mut_slice()
    }

    /// The buffer of output `index`, as the last run left it.
    #[must_use]
    pub fn output(&self, index: usize) -> &[f32] {
        self.outputs[index].as_slice()
    }

    /// Runs the network on the calling thread, inputs to outputs.
    ///
    /// # Errors
    /// [`OnnxError::Run`] with ONNX Runtime's own words.
    pub fn run(&mut self) -> Result<(), OnnxError> {
        // SAFETY: `&mut self` keeps every bound buffer from being read or written meanwhile; OrtApi's
        // Run is safe to call on one session from many threads.
        unsafe {
            check((ort::api().RunWithBinding)(self.network.session.ptr().cast_mut(), ptr::null(), self.binding.0))
        }
        .map_err(|error| OnnxError::Run { network: self.network.path().to_owned(), reason: one_line(&error) })
    }
}

type BindCall = unsafe extern "system" fn(
    *mut sys::OrtIoBinding,
    *const std::ffi::c_char,
    *const sys::OrtValue,
) -> sys::OrtStatusPtr;

/// Where a tensor's memory lies.
pub(super) struct MemoryInfo(pub(super) *mut sys::OrtMemoryInfo);

impl MemoryInfo {
    pub(super) fn cpu() -> ort::Result<Self> {
        let mut info = ptr::null_mut();
        // SAFETY: a plain constructor writing one pointer.
        unsafe {
            check((ort::api().CreateCpuMemoryInfo)(
                sys::OrtAllocatorType::OrtDeviceAllocator,
                sys::OrtMemType::OrtMemTypeDefault,
                &raw mut info,
            ))?;
        }
        Ok(Self(info))
    }

    /// The memory of GPU `gpu`.
    pub(super) fn cuda(gpu: u32) -> ort::Result<Self> {
        let mut info = ptr::null_mut();
        // SAFETY: a plain constructor that copies the name and writes one pointer.
        unsafe {
            check((ort::api().CreateMemoryInfo)(
                c"Cuda".as_ptr(),
                sys::OrtAllocatorType::OrtDeviceAllocator,
                i32::try_from(gpu).unwrap_or(i32::MAX),
                sys::OrtMemType::OrtMemTypeDefault,
                &raw mut info,
            ))?;
        }
        Ok(Self(info))
    }
}

impl Drop for MemoryInfo {
    fn drop(&mut self) {
        // SAFETY: the pointer came from one of the constructors and is released once.
        unsafe { (ort::api().ReleaseMemoryInfo)(self.0) }
    }
}

/// Turns a status into a result, taking the status.
///
/// # Safety
/// `status` must come straight from a call of ONNX Runtime's C interface.
pub(super) unsafe fn check(status: sys::OrtStatusPtr) -> ort::Result<()> {
    // SAFETY: promised by the caller.
    unsafe { ort::Error::result_from_status(status) }
}

pub(super) fn bind_error(spec: &TensorSpec, error: &ort::Error) -> OnnxError {
    OnnxError::Bind { tensor: spec.name.clone(), shape: spec.shape.clone(), reason: one_line(error) }
}
