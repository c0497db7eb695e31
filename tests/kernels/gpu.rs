//! The kernels on GPU 0, as the daemon loads and launches them.

use std::sync::{Arc, OnceLock};

use lipsyncd::backend::cuda::kernels::Target;
use lipsyncd::backend::cuda::kernels::params::{FrameAddresses, FrameParams};
use lipsyncd::backend::cuda::launch::{FrameBatch, Kernels};
use lipsyncd::cuda::{Context, CudaError, DeviceBuf, DevicePtr, Driver, Plain, Priority, Stream};

use crate::pictures::{Batch, Frame, Tables};
use crate::runner::{Runner, TAIL, UNTOUCHED, Value};

/// GPU 0.
pub struct Device {
    context: Arc<Context>,
    stream: Stream,
    kernels: Kernels,
}

impl Device {
    /// The one of this process.
    pub fn get() -> &'static Self {
        static DEVICE: OnceLock<Device> = OnceLock::new();
        DEVICE.get_or_init(|| {
            let driver = Driver::load().unwrap_or_else(|error| panic!("{error}"));
            let context = Context::open(&driver, 0).unwrap();
            let target = Target { sm: context.gpu().sm, driver: driver.version().number() };
            let kernels = Kernels::load(&context, target).unwrap_or_else(|error| panic!("{error}"));
            let stream = Stream::new(&context, Priority::Normal).unwrap();
            Self { context, stream, kernels }
        })
    }

    fn upload<T: Plain>(&self, data: &[T]) -> DeviceBuf {
        DeviceBuf::from_slice(&self.context, data).unwrap()
    }

    /// What `enqueue` writes to a buffer of `len` untouched bytes.
    fn output(&self, len: usize, enqueue: impl FnOnce(&Stream, DevicePtr) -> Result<(), CudaError>) -> Vec<u8> {
        let mut bytes = vec![UNTOUCHED; len];
        let out = self.upload(&bytes);
        enqueue(&self.stream, out.ptr()).unwrap();
        self.stream.synchronize().unwrap();
        out.read(&mut bytes).unwrap();
        bytes
    }

    fn place(&self, batch: &Batch) -> Placed {
        let place = |(frame, tables): (&Frame, &Tables)| {
            [
                self.upload(&frame.crop),
                self.upload(&frame.strip),
                self.upload(&tables.columns),
                self.upload(&tables.rows),
            ]
        };
        let buffers: Vec<_> = batch.frames.iter().zip(&batch.tables()).map(place).collect();
        let addresses = |[crop, strip, columns, rows]: &[DeviceBuf; 4]| FrameAddresses {
            crop: crop.ptr().0,
            strip: strip.ptr().0,
            columns: columns.ptr().0,
            rows: rows.ptr().0,
        };
        let params: Vec<FrameParams> = batch.params(&buffers.iter().map(addresses).collect::<Vec<_>>());
        Placed { params: self.upload(&params), _buffers: buffers }
    }
}

/// A batch on the GPU.
struct Placed {
    params: DeviceBuf,
    _buffers: Vec<[DeviceBuf; 4]>,
}

impl Placed {
    fn frames(&self, batch: &Batch) -> FrameBatch {
        FrameBatch {
            params: self.params.ptr(),
            batch: batch.frames.len(),
            geometry: batch.geometry(),
            size_px: batch.input.geometry().size_px(),
        }
    }
}

impl Runner for &Device {
    fn gather_context<T: Value>(&self, features: &[f32], rows: &[i32], context: usize, feature_len: usize) -> Vec<u8> {
        let (from, which) = (self.upload(features), self.upload(rows));
        let shape = (rows.len() / context, context, feature_len);
        self.output(rows.len() * feature_len * size_of::<T>() + TAIL, |stream, out| {
            // SAFETY: all rows are of the features or -1, the output has its size, and `output` waits.
            unsafe { self.kernels.gather_context(stream, T::ELEMENT, [from.ptr(), which.ptr(), out], shape) }
        })
    }

    fn picture_input<T: Value>(&self, batch: &Batch) -> Vec<u8> {
        let placed = self.place(batch);
        let len = batch.frames.len() * batch.input.geometry().input_len() * size_of::<T>();
        self.output(len + TAIL, |stream, out| {
            // SAFETY: the batch is placed, the output has its size, and `output` waits.
            unsafe { self.kernels.picture_input(stream, T::ELEMENT, placed.frames(batch), out) }
        })
    }

    fn override_picture(&self, values: &[f32]) -> Vec<u8> {
        let from = self.upload(values);
        self.output(values.len() * 2 + TAIL, |stream, out| {
            // SAFETY: both buffers have so many values, and `output` waits.
            unsafe { self.kernels.override_picture(stream, from.ptr(), out, values.len()) }
        })
    }

    fn paste_planes<T: Value>(&self, batch: &Batch, generated: &[T]) -> (Vec<u8>, Vec<u8>) {
        let (placed, pictures) = (self.place(batch), self.upload(generated));
        let mut bytes = vec![UNTOUCHED; batch.patched_len() + TAIL];
        let patched = self.upload(&bytes);
        let planes = self.output(batch.planes_len(), |stream, out| {
            let (frames, largest) = (placed.frames(batch), batch.largest_strip());
            let stages = [pictures.ptr(), patched.ptr(), out];
            // SAFETY: the batch is placed, the outputs have their sizes, and `output` waits.
            unsafe { self.kernels.paste_planes(stream, T::ELEMENT, frames, stages, largest) }
        });
        patched.read(&mut bytes).unwrap();
        (planes, bytes)
    }
}
