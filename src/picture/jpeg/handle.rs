//! The thin layer over TurboJPEG: one handle, whose calls return `Result` and check every length before it crosses.
#![allow(unsafe_code, reason = "calls into libjpeg-turbo's C API")]

use std::ffi::{CStr, c_int, c_void};
use std::ptr::NonNull;

use turbojpeg_sys as tj;

use super::encoder::YuvPlanes;
use crate::picture::view::{View, ViewMut};

/// What libjpeg-turbo said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("libjpeg-turbo: {message}")]
pub struct JpegFault {
    /// Its own sentence.
    pub message: String,
}

/// A TurboJPEG compressor or decompressor.
pub struct Handle {
    raw: NonNull<c_void>,
}

// SAFETY: a TurboJPEG instance is a plain heap object with no ties to the thread that made it; its documentation only
// forbids concurrent use, which `&mut self` on every call that touches it excludes (the type is not `Sync`).
unsafe impl Send for Handle {}

/// Settings of [`Handle::set`]; numbers are TurboJPEG's own.
#[derive(Debug, Clone, Copy)]
pub enum Param {
    /// Write into the caller's buffer only: fail when it is full.
    NoRealloc = tj::TJPARAM_TJPARAM_NOREALLOC as isize,
    /// 1..=100.
    Quality = tj::TJPARAM_TJPARAM_QUALITY as isize,
    /// A `TJSAMP_*` number.
    Subsampling = tj::TJPARAM_TJPARAM_SUBSAMP as isize,
    /// MCUs between restart markers, 0 for none.
    RestartBlocks = tj::TJPARAM_TJPARAM_RESTARTBLOCKS as isize,
    /// Rows of MCUs between restart markers, 0 for none.
    RestartRows = tj::TJPARAM_TJPARAM_RESTARTROWS as isize,
    /// Scans of a progressive file that are still read.
    ScanLimit = tj::TJPARAM_TJPARAM_SCANLIMIT as isize,
    /// Largest `width * height` that is decoded.
    MaxPixels = tj::TJPARAM_TJPARAM_MAXPIXELS as isize,
}

/// `TJSAMP_420` for [`Param::Subsampling`].
pub const SUBSAMPLING_420: i32 = tj::TJSAMP_TJSAMP_420;

impl Handle {
    /// A new compressor with TurboJPEG's defaults.
    pub fn compressor() -> Result<Self, JpegFault> {
        Self::init(tj::TJINIT_TJINIT_COMPRESS)
    }

    /// A new decompressor with TurboJPEG's defaults: slow integer DCT, fancy upsampling.
    pub fn decompressor() -> Result<Self, JpegFault> {
        Self::init(tj::TJINIT_TJINIT_DECOMPRESS)
    }

    fn init(kind: tj::TJINIT) -> Result<Self, JpegFault> {
        // SAFETY: tj3Init takes a number and returns a fresh instance or null.
        let raw = unsafe { tj::tj3Init(kind as c_int) };
        NonNull::new(raw).map(|raw| Self { raw }).ok_or_else(|| JpegFault { message: "out of memory".into() })
    }

    /// Sets one parameter.
    pub fn set(&mut self, param: Param, value: i32) -> Result<(), JpegFault> {
        // SAFETY: `self.raw` is a live instance; a bad value is reported by the return code.
        let code = unsafe { tj::tj3Set(self.raw.as_ptr(), param as c_int, value) };
        self.check(code)
    }

    /// Encodes BGR pixels into `out`; returns the bytes written. Needs [`Param::NoRealloc`] set.
    pub fn compress(&mut self, picture: View<'_>, out: &mut [u8]) -> Result<usize, JpegFault> {
        let (width, height) = (int(picture.width_px())?, int(picture.height_px())?);
        let pitch = int(picture.stride())?;
        let (mut target, mut len) = (out.as_mut_ptr(), out.len() as tj::size_t);
        // SAFETY: `View` promises `height` rows of `width * 3` readable bytes, `pitch` apart. NOREALLOC makes the library
        // write at most `len` bytes at `target`, which is `out`, and never replace the pointer.
        let code = unsafe {
            tj::tj3Compress8(
                self.raw.as_ptr(),
                picture.data().as_ptr(),
                width,
                pitch,
                height,
                tj::TJPF_TJPF_BGR,
                &mut target,
                &mut len,
            )
        };
        self.check(code)?;
        Ok(len as usize)
    }

    /// Encodes 4:2:0 planes into `out`; returns the bytes written. Needs [`Param::NoRealloc`] set.
    pub fn compress_yuv420(&mut self, planes: YuvPlanes<'_>, out: &mut [u8]) -> Result<usize, JpegFault> {
        let (width, height) = (int(planes.width_px())?, int(planes.height_px())?);
        let luma_stride = int(planes.luma_stride())?;
        let chroma_stride = int(planes.chroma_stride())?;
        let sources = [planes.y().as_ptr(), planes.u().as_ptr(), planes.v().as_ptr()];
        let strides = [luma_stride, chroma_stride, chroma_stride];
        let (mut target, mut len) = (out.as_mut_ptr(), out.len() as tj::size_t);
        // SAFETY: `YuvPlanes` promises planes of the even-rounded size with these strides, which is what TurboJPEG reads
        // for 4:2:0; both arrays outlive the call. `target` and `len` as in `compress`.
        let code = unsafe {
            tj::tj3CompressFromYUVPlanes8(
                self.raw.as_ptr(),
                sources.as_ptr(),
                width,
                strides.as_ptr(),
                height,
                &mut target,
                &mut len,
            )
        };
        self.check(code)?;
        Ok(len as usize)
    }

    /// Width and height that the header of `jpeg` declares; either may be absurd (`-1` for a file of tables alone).
    pub fn read_size(&mut self, jpeg: &[u8]) -> Result<(i32, i32), JpegFault> {
        // SAFETY: pointer and length of one live slice, which the library only reads.
        let code = unsafe { tj::tj3DecompressHeader(self.raw.as_ptr(), jpeg.as_ptr(), jpeg.len() as tj::size_t) };
        self.check(code)?;
        // SAFETY: `self.raw` is a live instance.
        let width = unsafe { tj::tj3Get(self.raw.as_ptr(), tj::TJPARAM_TJPARAM_JPEGWIDTH as c_int) };
        // SAFETY: as above.
        let height = unsafe { tj::tj3Get(self.raw.as_ptr(), tj::TJPARAM_TJPARAM_JPEGHEIGHT as c_int) };
        Ok((width, height))
    }

    /// Decodes `jpeg` to BGR. `into` must have exactly the size that [`Handle::read_size`] gave for the same bytes.
    pub fn decompress(&mut self, jpeg: &[u8], mut into: ViewMut<'_>) -> Result<(), JpegFault> {
        let declared = self.read_size(jpeg)?;
        if declared != (int(into.width_px())?, int(into.height_px())?) {
            return Err(JpegFault { message: format!("the file declares {}x{} pixels", declared.0, declared.1) });
        }
        let pitch = int(into.stride())?;
        // SAFETY: the header of these same bytes, just read, declares `into`'s size, and no scaling or cropping is ever
        // set, so the library writes `height` rows of `width * 3` bytes, `pitch` apart: what `ViewMut` promises.
        let code = unsafe {
            tj::tj3Decompress8(
                self.raw.as_ptr(),
                jpeg.as_ptr(),
                jpeg.len() as tj::size_t,
                into.data_mut().as_mut_ptr(),
                pitch,
                tj::TJPF_TJPF_BGR,
            )
        };
        self.check(code)
    }

    fn check(&mut self, code: c_int) -> Result<(), JpegFault> {
        if code == 0 {
            return Ok(());
        }
        // SAFETY: `self.raw` is a live instance; the string it returns is valid until the next call on it.
        let text = unsafe { tj::tj3GetErrorStr(self.raw.as_ptr()) };
        // SAFETY: TurboJPEG returns a null-terminated string, copied before anything else happens.
        let message = unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned();
        Err(JpegFault { message })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: `self.raw` came from tj3Init and is destroyed once, here.
        unsafe { tj::tj3Destroy(self.raw.as_ptr()) }
    }
}

fn int(n: usize) -> Result<c_int, JpegFault> {
    c_int::try_from(n).map_err(|_| JpegFault { message: format!("a size of {n} is too large for a JPEG") })
}
