//! The functions used, as `nvjpeg.h` of CUDA 12 and 13 declares them.

use std::ffi::{c_int, c_uchar, c_void};

use cudarc::driver::sys::CUstream;

use super::error::{NvJpegError, Status};
use crate::backend::cuda::shared_library::{LibraryError, Opened};

pub type Handle = *mut c_void;
pub type State = *mut c_void;
pub type Params = *mut c_void;
type Code = c_int;

/// `NVJPEG_CSS_420`.
pub const SUBSAMPLING_420: c_int = 2;

/// `nvjpegImage_t`.
#[repr(C)]
pub struct Image {
    /// Device addresses of Y, U and V.
    pub channel: [*mut c_uchar; 4],
    /// Bytes between their rows.
    pub pitch: [usize; 4],
}

macro_rules! functions {
    ($($field:ident: $name:literal ($($parameter:ty),*),)*) => {
        /// nvJPEG's functions; a CUDA runtime stream is a driver's.
        #[derive(Debug)]
        pub struct Functions {
            $(pub $field: unsafe extern "C" fn($($parameter),*) -> Code,)*
        }

        impl Functions {
            /// Looks all of them up.
            pub fn of(library: &Opened) -> Result<Self, LibraryError> {
                Ok(Self {
                    // SAFETY: the types are nvjpeg.h's, and whoever keeps these keeps the library.
                    $($field: unsafe { library.function($name) }?,)*
                })
            }
        }
    };
}

functions! {
    get_property: c"nvjpegGetProperty" (c_int, *mut c_int),
    create: c"nvjpegCreateSimple" (*mut Handle),
    destroy: c"nvjpegDestroy" (Handle),
    state_create: c"nvjpegEncoderStateCreate" (Handle, *mut State, CUstream),
    state_destroy: c"nvjpegEncoderStateDestroy" (State),
    params_create: c"nvjpegEncoderParamsCreate" (Handle, *mut Params, CUstream),
    params_destroy: c"nvjpegEncoderParamsDestroy" (Params),
    params_quality: c"nvjpegEncoderParamsSetQuality" (Params, c_int, CUstream),
    params_optimized_huffman: c"nvjpegEncoderParamsSetOptimizedHuffman" (Params, c_int, CUstream),
    params_sampling: c"nvjpegEncoderParamsSetSamplingFactors" (Params, c_int, CUstream),
    buffer_size: c"nvjpegEncodeGetBufferSize" (Handle, Params, c_int, c_int, *mut usize),
    encode_yuv: c"nvjpegEncodeYUV" (Handle, State, Params, *const Image, c_int, c_int, c_int, CUstream),
    retrieve: c"nvjpegEncodeRetrieveBitstream" (Handle, State, *mut c_uchar, *mut usize, CUstream),
}

/// `Err` when `function` answered anything but success.
pub fn check(function: &'static str, code: Code) -> Result<(), NvJpegError> {
    if code == 0 { Ok(()) } else { Err(NvJpegError::Call { function, status: Status(code) }) }
}
