//! Owners of nvJPEG's objects.

use std::ffi::c_int;
use std::ptr::null_mut;
use std::sync::Arc;

use super::binding::{Handle, Image, Params, SUBSAMPLING_420, State, check};
use super::error::{NvJpegError, Status};
use super::library::Library;
use crate::cuda::Stream;
use crate::picture::{MAX_SIDE_PX, Quality};

/// nvJPEG on the current GPU: what all encoders of a context share.
#[derive(Debug)]
pub struct NvJpeg {
    handle: Handle,
    library: Library,
}

// SAFETY: NVIDIA's documentation ("Thread Safety"): a handle may be used by several threads at a time; states may not.
unsafe impl Send for NvJpeg {}
// SAFETY: as above.
unsafe impl Sync for NvJpeg {}

impl NvJpeg {
    /// Starts it in this thread's CUDA context.
    ///
    /// # Errors
    /// [`NvJpegError::Start`] when there is no GPU, no driver or an older one.
    pub fn new(library: Library) -> Result<Self, NvJpegError> {
        let mut handle = null_mut();
        // SAFETY: it writes a handle.
        let code = unsafe { (library.functions.create)(&mut handle) };
        if code != 0 {
            return Err(NvJpegError::Start { version: library.version(), status: Status(code) });
        }
        Ok(Self { handle, library })
    }
}

impl Drop for NvJpeg {
    fn drop(&mut self) {
        // SAFETY: it was created, and every encoder that used it is gone: they keep it alive. Nobody is left to tell of a failure.
        let _ = unsafe { (self.library.functions.destroy)(self.handle) };
    }
}

/// What one encoder makes.
#[derive(Debug, Clone, Copy)]
pub struct EncoderSettings {
    /// Of the JPEG.
    pub quality: Quality,
    /// Width and height of every picture.
    pub size_px: (usize, usize),
}

/// YUV 4:2:0 planes of one picture in device memory, as `paste_planes` lays them out: luma 16 and chroma 8 bytes wider at a
/// time.
#[derive(Debug, Clone, Copy)]
pub struct DevicePlanes {
    /// Device addresses of Y, U, V.
    pub planes: [u64; 3],
    /// Bytes between rows of Y, a multiple of 8.
    pub luma_pitch: usize,
    /// Bytes between rows of U and of V, a multiple of 8.
    pub chroma_pitch: usize,
}

/// One picture at a time, on one stream.
#[derive(Debug)]
pub struct Encoder {
    state: State,
    params: Params,
    stream: Arc<Stream>,
    settings: EncoderSettings,
    max_len: usize,
    nvjpeg: Arc<NvJpeg>,
}

// SAFETY: a state may move between threads as long as one at a time uses it, which `&mut self` sees to.
unsafe impl Send for Encoder {}

impl Encoder {
    /// An encoder on `stream`. The first picture allocates in device and in pinned memory; those after it do not.
    ///
    /// # Errors
    /// [`NvJpegError::Planes`] for a size that cannot be, [`NvJpegError::Call`].
    ///
    /// # Safety
    /// `stream` is of the context that `nvjpeg` was started in.
    pub unsafe fn new(
        nvjpeg: Arc<NvJpeg>,
        settings: EncoderSettings,
        stream: &Arc<Stream>,
    ) -> Result<Self, NvJpegError> {
        size(settings)?;
        let (state, params, nvjpeg_of) = (null_mut(), null_mut(), Arc::clone(&nvjpeg));
        let mut encoder = Self { state, params, stream: Arc::clone(stream), settings, max_len: 0, nvjpeg: nvjpeg_of };
        let (handle, functions, stream) = (nvjpeg.handle, &nvjpeg.library.functions, stream.raw());
        // SAFETY: the handle is alive, and so is the stream, which is of its context by the caller's word; it writes a state.
        let code = unsafe { (functions.state_create)(handle, &mut encoder.state, stream) };
        check("nvjpegEncoderStateCreate", code)?;
        // SAFETY: as above; it writes parameters.
        let code = unsafe { (functions.params_create)(handle, &mut encoder.params, stream) };
        check("nvjpegEncoderParamsCreate", code)?;
        // SAFETY: the parameters are alive, and so is the stream. Standard tables: the same as the CPU's encoder, and a pass less.
        let code = unsafe { (functions.params_optimized_huffman)(encoder.params, 0, stream) };
        check("nvjpegEncoderParamsSetOptimizedHuffman", code)?;
        // SAFETY: as above.
        let code = unsafe { (functions.params_sampling)(encoder.params, SUBSAMPLING_420, stream) };
        check("nvjpegEncoderParamsSetSamplingFactors", code)?;
        encoder.set_quality(settings.quality)?;
        Ok(encoder)
    }

    /// Has the pictures from now on encoded at `quality`; [`Self::max_len`] changes with it.
    ///
    /// # Errors
    /// [`NvJpegError::Call`]; it must then be set again before the next picture.
    pub fn set_quality(&mut self, quality: Quality) -> Result<(), NvJpegError> {
        self.settings.quality = quality;
        let (width, height) = size(self.settings)?;
        let (handle, functions) = (self.nvjpeg.handle, &self.nvjpeg.library.functions);
        // SAFETY: the parameters are alive, and so is the stream.
        let code = unsafe { (functions.params_quality)(self.params, c_int::from(quality.get()), self.stream.raw()) };
        check("nvjpegEncoderParamsSetQuality", code)?;
        // SAFETY: handle and parameters are alive; it writes a size.
        let code = unsafe { (functions.buffer_size)(handle, self.params, width, height, &mut self.max_len) };
        check("nvjpegEncodeGetBufferSize", code)
    }

    /// Bytes that no JPEG of these settings exceeds.
    #[must_use]
    pub fn max_len(&self) -> usize {
        self.max_len
    }

    /// Encodes a picture, in the order of the stream. It stays inside until [`Encoder::retrieve`], or the next takes its place.
    ///
    /// # Errors
    /// [`NvJpegError::Planes`] for pitches too small or not multiples of 8, [`NvJpegError::Call`].
    ///
    /// # Safety
    /// The planes are readable device memory of the encoder's context, as large as the settings and pitches say, until the
    /// stream has passed this; what wrote them was enqueued on the encoder's stream, or it waits for an event after that.
    pub unsafe fn encode(&mut self, planes: DevicePlanes) -> Result<(), NvJpegError> {
        let (width, height) = size(self.settings)?;
        check_planes(self.settings, planes)?;
        let [y, u, v] = planes.planes.map(|address| address as *mut u8);
        let image = Image {
            channel: [y, u, v, null_mut()],
            pitch: [planes.luma_pitch, planes.chroma_pitch, planes.chroma_pitch, 0],
        };
        let (handle, functions) = (self.nvjpeg.handle, &self.nvjpeg.library.functions);
        // SAFETY: all objects are alive; the caller vouches for the planes, which are only read.
        let code = unsafe {
            (functions.encode_yuv)(
                handle,
                self.state,
                self.params,
                &image,
                SUBSAMPLING_420,
                width,
                height,
                self.stream.raw(),
            )
        };
        check("nvjpegEncodeYUV", code)
    }

    /// Waits for the picture encoded last, writes its JPEG to `out` and returns its length. Pinned memory is faster.
    ///
    /// (`nvjpegEncodeRetrieveBitstreamDevice` would leave the JPEG on the device; its next stop is a socket, so it is not bound.)
    ///
    /// # Errors
    /// [`NvJpegError::Buffer`] when it does not fit ([`Encoder::max_len`] always does), [`NvJpegError::Call`] when none was
    /// encoded, [`NvJpegError::Stream`].
    pub fn retrieve(&mut self, out: &mut [u8]) -> Result<usize, NvJpegError> {
        let (functions, stream) = (&self.nvjpeg.library.functions, self.stream.raw());
        let name = "nvjpegEncodeRetrieveBitstream";
        let mut len = 0;
        // The length is known only once the GPU is done.
        self.synchronize()?;
        // SAFETY: all objects are alive; without a buffer it writes the length alone.
        let code = unsafe { (functions.retrieve)(self.nvjpeg.handle, self.state, null_mut(), &mut len, stream) };
        check(name, code)?;
        if len > out.len() {
            return Err(NvJpegError::Buffer { needed: len, got: out.len() });
        }
        // SAFETY: all objects are alive; it writes at most `len` bytes, which the buffer has, and the stream is waited for
        // before the buffer is the caller's again.
        let code = unsafe { (functions.retrieve)(self.nvjpeg.handle, self.state, out.as_mut_ptr(), &mut len, stream) };
        // Even after a failure something may be on its way into the buffer.
        let arrived = self.synchronize();
        check(name, code)?;
        arrived?;
        Ok(len)
    }

    fn synchronize(&self) -> Result<(), NvJpegError> {
        self.stream.synchronize().map_err(NvJpegError::Stream)
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        let functions = &self.nvjpeg.library.functions;
        // The stream may still be encoding; should it have failed, there is nothing left to wait for.
        let _ = self.synchronize();
        if !self.params.is_null() {
            // SAFETY: they were created, and are destroyed once. Nobody is left to tell of a failure, here and below.
            let _ = unsafe { (functions.params_destroy)(self.params) };
        }
        if !self.state.is_null() {
            // SAFETY: as above.
            let _ = unsafe { (functions.state_destroy)(self.state) };
        }
    }
}

/// The settings' size as nvJPEG takes it.
fn size(settings: EncoderSettings) -> Result<(c_int, c_int), NvJpegError> {
    let (width, height) = settings.size_px;
    if ![width, height].iter().all(|side| (1..=MAX_SIDE_PX).contains(side)) {
        let none = DevicePlanes { planes: [0; 3], luma_pitch: 0, chroma_pitch: 0 };
        return Err(wrong(settings, none, "sides go from 1 to 16384"));
    }
    Ok((width as c_int, height as c_int))
}

fn check_planes(settings: EncoderSettings, planes: DevicePlanes) -> Result<(), NvJpegError> {
    let width = settings.size_px.0;
    if planes.luma_pitch < width || planes.chroma_pitch < width.div_ceil(2) {
        return Err(wrong(settings, planes, "the pitches are less than a row"));
    }
    // Reported by NVIDIA's users for this call, and true of what our kernels write.
    if !planes.luma_pitch.is_multiple_of(8) || !planes.chroma_pitch.is_multiple_of(8) {
        return Err(wrong(settings, planes, "the pitches must be multiples of 8"));
    }
    Ok(())
}

fn wrong(settings: EncoderSettings, planes: DevicePlanes, reason: &'static str) -> NvJpegError {
    let (width_px, height_px) = settings.size_px;
    let DevicePlanes { luma_pitch, chroma_pitch, .. } = planes;
    NvJpegError::Planes { width_px, height_px, luma_pitch, chroma_pitch, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_that_cannot_be_read_are_refused_before_the_library_sees_them() {
        let settings = EncoderSettings { quality: Quality::default(), size_px: (1279, 720) };
        let check = |luma_pitch, chroma_pitch| {
            check_planes(settings, DevicePlanes { planes: [0; 3], luma_pitch, chroma_pitch })
        };
        assert!(check(1280, 640).is_ok());
        for (luma, chroma) in [(1272, 640), (1280, 632), (1284, 640), (1280, 644)] {
            let error = check(luma, chroma).unwrap_err().to_string();
            assert!(error.contains(&format!("1279x720 pixels in planes {luma} and {chroma}")), "{error}");
        }
        for size_px in [(0, 9), (9, 16_385)] {
            assert!(size(EncoderSettings { size_px, ..settings }).is_err());
        }
    }
}
