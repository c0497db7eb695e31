//! The kernels around the networks, loaded and ready to be enqueued.

use std::sync::Arc;

use super::kernels::params::Geometry;
use super::kernels::{self, LoadError, Target, Unit, grid, names};
use crate::cuda::{Context, CudaError, DevicePtr, Function, Stream};
use crate::kernel_params;
use crate::onnxruntime::Element;

/// The functions of one loaded image. Each has a form for networks in half and one for networks in single precision.
#[derive(Debug)]
pub struct Kernels {
    gather_context: Pair,
    picture_input: Pair,
    patch_crop: Pair,
    paste_planes: Function,
    override_picture: Function,
}

#[derive(Debug)]
struct Pair {
    f16: Function,
    f32: Function,
}

impl Pair {
    fn of(&self, element: Element) -> &Function {
        match element {
            Element::F16 => &self.f16,
            Element::F32 => &self.f32,
        }
    }
}

/// A batch of frames on the GPU.
#[derive(Debug, Clone, Copy)]
pub struct FrameBatch {
    /// `[batch]` of [`super::kernels::params::FrameParams`].
    pub params: DevicePtr,
    /// Frames of the launch; those beyond the slot's repeat its last.
    pub batch: usize,
    /// What they share.
    pub geometry: Geometry,
    /// Pixels a side of the generator's picture.
    pub size_px: usize,
}

impl Kernels {
    /// Loads them for the GPU of `context`.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn load(context: &Arc<Context>, target: Target) -> Result<Self, LoadError> {
        let module = kernels::load(context, Unit::Frames, target)?;
        let pair = |f16, f32| Ok::<_, CudaError>(Pair { f16: module.function(f16)?, f32: module.function(f32)? });
        Ok(Self {
            gather_context: pair(names::GATHER_CONTEXT_F16, names::GATHER_CONTEXT_F32)?,
            picture_input: pair(names::PICTURE_INPUT_F16, names::PICTURE_INPUT_F32)?,
            patch_crop: pair(names::PATCH_CROP_F16, names::PATCH_CROP_F32)?,
            paste_planes: module.function(names::PASTE_PLANES)?,
            override_picture: module.function(names::OVERRIDE_PICTURE_F16)?,
        })
    }

    /// Enqueues the gathering of `batch` contexts of `rows_each` features: row `rows[i]` of `features` `[_, feature_len]` f32
    /// becomes row `i` of `out`.
    ///
    /// # Safety
    /// As [`Function::launch`]: `rows` must hold `batch * rows_each` numbers of rows that `features` has, or -1.
    ///
    /// # Errors
    /// [`CudaError`].
    pub unsafe fn gather_context(
        &self,
        stream: &Stream,
        element: Element,
        [features, rows, out]: [DevicePtr; 3],
        (batch, rows_each, feature_len): (usize, usize, usize),
    ) -> Result<(), CudaError> {
        let feature_len = feature_len as i32;
        let params = kernel_params![features, rows, out, feature_len];
        // SAFETY: the arguments are of the types that `names` gives, the rest is promised by the caller.
        unsafe { self.gather_context.of(element).launch(stream, grid::gather_context(batch, rows_each), params) }
    }

    /// Enqueues the making of a batch's picture inputs, `out` `[batch, 6, size, size]`.
    ///
    /// # Safety
    /// As [`Function::launch`].
    ///
    /// # Errors
    /// [`CudaError`].
    pub unsafe fn picture_input(
        &self,
        stream: &Stream,
        element: Element,
        frames: FrameBatch,
        out: DevicePtr,
    ) -> Result<(), CudaError> {
        let FrameBatch { params: at, batch, geometry, size_px } = frames;
        let params = kernel_params![at, out, geometry];
        // SAFETY: as above.
        unsafe { self.picture_input.of(element).launch(stream, grid::picture_input(batch, size_px), params) }
    }

    /// Enqueues the conversion of `count` floats at `from` to half precision at `out`.
    ///
    /// # Safety
    /// As [`Function::launch`].
    ///
    /// # Errors
    /// [`CudaError`].
    pub unsafe fn override_picture(
        &self,
        stream: &Stream,
        from: DevicePtr,
        out: DevicePtr,
        count: usize,
    ) -> Result<(), CudaError> {
        let values = count as u32;
        let params = kernel_params![from, out, values];
        // SAFETY: as above.
        unsafe { self.override_picture.launch(stream, grid::override_picture(count), params) }
    }

    /// Enqueues the pasting of a batch's pictures, `generated` `[batch, 3, size, size]`, into the planes at `out`, by way of `patched`
    /// `[batch, side, side, 4]` bytes, for strips of at most `largest_px`.
    ///
    /// # Safety
    /// As [`Function::launch`].
    ///
    /// # Errors
    /// [`CudaError`].
    pub unsafe fn paste_planes(
        &self,
        stream: &Stream,
        element: Element,
        frames: FrameBatch,
        [generated, patched, out]: [DevicePtr; 3],
        largest_px: (usize, usize),
    ) -> Result<(), CudaError> {
        let FrameBatch { params: at, batch, geometry, .. } = frames;
        let params = kernel_params![generated, at, patched, geometry];
        // SAFETY: as above.
        unsafe {
            self.patch_crop.of(element).launch(stream, grid::patch_crop(batch, geometry.crop_side_px()), params)
        }?;
        let params = kernel_params![patched, at, out, geometry];
        // SAFETY: as above.
        unsafe { self.paste_planes.launch(stream, grid::paste_planes(batch, largest_px), params) }
    }
}
