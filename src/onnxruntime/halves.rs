//! A network in two halves: the first makes something of an item that is kept in a [`Bank`](super::Bank), the second goes on from there.
#![allow(unsafe_code)] // This is the project's binding to ONNX Runtime's C interface.

use std::ffi::{CString, c_char};
use std::ptr;

use ort::AsPointer as _;
use ort::sys;

use super::bank::{Blank, Kept};
use super::binding::{BoundTensor, MemoryInfo, Value, bind_error, check};
use super::network::one_line;
use super::{Network, OnnxError, TensorSpec};

/// The halves of a network and what passes between them.
#[derive(Clone)]
pub struct Halved {
    /// From the item to the seams.
    pub first: Network,
    /// From the seams and the other input to the output.
    pub second: Network,
    pub item: TensorSpec,
    pub seams: Vec<TensorSpec>,
    pub other: TensorSpec,
    pub output: TensorSpec,
    /// Whether the second takes the item itself as well.
    pub item_in_both: bool,
}

/// One thread's buffers for the two.
pub struct BoundHalves {
    first: Caller,
    second: Caller,
    item: BoundTensor,
    other: BoundTensor,
    output: BoundTensor,
    item_in_both: bool,
}

impl BoundHalves {
    /// Allocates the buffers.
    ///
    /// # Errors
    /// [`OnnxError::Bind`].
    pub fn new(halved: &Halved) -> Result<Self, OnnxError> {
        let memory = MemoryInfo::cpu().map_err(|error| bind_error(&halved.item, &error))?;
        let tensor = |spec| BoundTensor::new(spec, &memory).map_err(|error| bind_error(spec, &error));
        let seams = || halved.seams.iter();
        let again = halved.item_in_both.then_some(&halved.item);
        Ok(Self {
            first: Caller::new(&halved.first, [&halved.item], seams())?,
            second: Caller::new(&halved.second, seams().chain([&halved.other]).chain(again), [&halved.output])?,
            item: tensor(&halved.item)?,
            other: tensor(&halved.other)?,
            output: tensor(&halved.output)?,
            item_in_both: halved.item_in_both,
        })
    }

    /// The buffer of the item, to be written before [`Self::make`], and before [`Self::go_on`] where the second half takes it too.
    pub fn item_mut(&mut self) -> &mut [f32] {
        self.item.as_mut_slice()
    }

    /// The buffer of the other input, to be written before [`Self::go_on`].
    pub fn other_mut(&mut self) -> &mut [f32] {
        self.other.as_mut_slice()
    }

    /// Runs the first half from the item into `blank`, which must be of a bank of these seams.
    ///
    /// # Errors
    /// [`OnnxError::Run`]; the bank's item is empty then.
    pub fn make<'a>(&mut self, blank: Blank<'a>) -> Result<Kept<'a>, OnnxError> {
        // SAFETY: the item is this value's own, and the blank is its holder's alone.
        unsafe { self.first.call([&self.item.value], blank.values()) }?;
        Ok(blank.keep())
    }

    /// Runs the second half from what is kept and the other input.
    ///
    /// # Errors
    /// [`OnnxError::Run`].
    pub fn go_on(&mut self, kept: Kept<'_>) -> Result<&[f32], OnnxError> {
        let again = self.item_in_both.then_some(&self.item.value);
        let inputs = kept.values().iter().chain([&self.other.value]).chain(again);
        // SAFETY: what is kept is only read from now on; the rest is this value's own.
        unsafe { self.second.call(inputs, [&self.output.value]) }?;
        Ok(self.output.as_slice())
    }
}

/// Shapes of what `network` makes of zeros, one for each of `outputs`; `None` when one of them is not of float32.
///
/// # Errors
/// [`OnnxError`].
pub fn output_shapes(
    network: &Network,
    input: &TensorSpec,
    outputs: &[&str],
) -> Result<Option<Vec<Vec<i64>>>, OnnxError> {
    let memory = MemoryInfo::cpu().map_err(|error| bind_error(input, &error))?;
    let tensor = BoundTensor::new(input, &memory).map_err(|error| bind_error(input, &error))?;
    let specs: Vec<_> = outputs.iter().map(|&name| TensorSpec::new(name, &[])).collect();
    let mut caller = Caller::new(network, [input], &specs)?;
    // SAFETY: the input is alive, and the outputs are allocated by ONNX Runtime.
    unsafe { caller.call([&tensor.value], []) }?;
    let made: Vec<_> = caller.outputs.iter().map(|&raw| Value(raw)).collect();
    made.iter().map(|value| float_shape(value).map_err(|error| bind_error(input, &error))).collect()
}

/// The shape of a tensor, when it is of float32.
fn float_shape(value: &Value) -> ort::Result<Option<Vec<i64>>> {
    let api = ort::api();
    let mut info = ptr::null_mut();
    let mut element = sys::ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    let mut rank = 0;
    // SAFETY: the value is a live tensor; each call writes what it is given, and the information is released once.
    unsafe {
        check((api.GetTensorTypeAndShape)(value.0, &raw mut info))?;
        let read = check((api.GetTensorElementType)(info, &raw mut element))
            .and_then(|()| check((api.GetDimensionsCount)(info, &raw mut rank)));
        let mut shape = vec![0; rank];
        let read = read.and_then(|()| check((api.GetDimensions)(info, shape.as_mut_ptr(), rank)));
        (api.ReleaseTensorTypeAndShapeInfo)(info);
        read?;
        Ok((element == sys::ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT).then_some(shape))
    }
}

/// A network whose tensors are named with every run, without an allocation of ours.
struct Caller {
    network: Network,
    /// What the pointers point at; inputs first.
    _names: Vec<CString>,
    input_names: Vec<*const c_char>,
    output_names: Vec<*const c_char>,
    inputs: Vec<*const sys::OrtValue>,
    outputs: Vec<*mut sys::OrtValue>,
}

// SAFETY: the pointers are to the names this value owns, and to values that are read in a call alone.
unsafe impl Send for Caller {}

impl Caller {
    fn new<'a>(
        network: &Network,
        inputs: impl IntoIterator<Item = &'a TensorSpec>,
        outputs: impl IntoIterator<Item = &'a TensorSpec>,
    ) -> Result<Self, OnnxError> {
        let named =
            |spec: &TensorSpec| CString::new(spec.name.as_str()).map_err(|error| bind_error(spec, &error.into()));
        let mut names = inputs.into_iter().map(named).collect::<Result<Vec<_>, _>>()?;
        let input_count = names.len();
        for output in outputs {
            names.push(named(output)?);
        }
        let pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
        let (input_names, output_names) = pointers.split_at(input_count);
        Ok(Self {
            network: network.clone(),
            input_names: input_names.to_vec(),
            output_names: output_names.to_vec(),
            inputs: Vec::with_capacity(input_count),
            outputs: vec![ptr::null_mut(); output_names.len()],
            _names: names,
        })
    }

    /// Runs the network on the calling thread. Outputs that are not given are allocated by ONNX Runtime and left in `self.outputs`.
    ///
    /// # Safety
    /// The values must be alive and of the network's shapes, the outputs used by nobody else.
    unsafe fn call<'a>(
        &mut self,
        inputs: impl IntoIterator<Item = &'a Value>,
        outputs: impl IntoIterator<Item = &'a Value>,
    ) -> Result<(), OnnxError> {
        self.inputs.clear();
        self.inputs.extend(inputs.into_iter().map(|value| value.0.cast_const()));
        self.outputs.fill(ptr::null_mut());
        self.outputs.iter_mut().zip(outputs).for_each(|(to, value)| *to = value.0);
        debug_assert_eq!(self.inputs.len(), self.input_names.len());
        // SAFETY: names and values are alive, as many as are said; OrtApi's Run is safe to call on one session from many threads.
        unsafe {
            check((ort::api().Run)(
                self.network.session.ptr().cast_mut(),
                ptr::null(),
                self.input_names.as_ptr(),
                self.inputs.as_ptr(),
                self.inputs.len(),
                self.output_names.as_ptr(),
                self.output_names.len(),
                self.outputs.as_mut_ptr(),
            ))
        }
        .map_err(|error| OnnxError::Run { network: self.network.path().to_owned(), reason: one_line(&error) })
    }
}
