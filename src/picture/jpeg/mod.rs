//! JPEG through libjpeg-turbo's TurboJPEG API.
//!
//! Three floors: the C symbols (crate `turbojpeg-sys`), `handle` (codes turned into results; all the unsafe code
//! of this folder), and the safe owners [`JpegEncoder`] here and `decode`.
//!
//! Every encode uses the slow integer DCT, 4:2:0 and the standard Huffman tables. Optimised tables are never switched on:
//! libjpeg keeps them in the compressor once made, and segments encoded with them cannot be spliced.

mod encoder;
mod handle;

pub use encoder::{JpegEncoder, JpegError, JpegSettings, Quality, YuvPlanes};
pub use handle::JpegFault;
pub(in crate::picture) use handle::{Handle, Param};
