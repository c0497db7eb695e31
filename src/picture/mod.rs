//! What happens to pixels: from an avatar's frame to the generator's input, and from the generator's output to a JPEG.
//!
//! ```text
//! file ─ decode ─▶ Image ─ crop ─▶ crop bytes ─ input ─▶ [6, S, S] f32 ─▶ (generator)
//!                    │                 │                                     │ [3, S, S] f32
//!                    └── frame copy ───┴────────────── composite ◀───────────┘
//!                                                          │ BGR
//!                                                   jpeg / png_out / template
//! ```
//!
//! Both backends agree on this module: its integer arithmetic gives the same bits on every CPU, and the CUDA kernels are
//! tested against it. Pictures are 8-bit BGR, interleaved, rows top to bottom, everywhere ([`CHANNELS`] bytes a pixel).
//!
//! Constructors allocate; `run`, `paste`, `fill` and `encode` borrow buffers whose sizes they publish.

mod composite;
mod crop;
mod decode;
mod geometry;
mod image;
mod input;
mod jpeg;
mod pack;
mod png_out;
mod rect;
mod resize;
mod surround;
pub mod template;
mod view;

pub use composite::{CompositeError, CompositeScratch, Compositor};
pub use crop::{CropError, cut_crop};
pub use decode::{DecodeError, MAX_FILE_BYTES, MAX_SIDE_PX, decode_bytes, decode_file, read_file};
pub use geometry::{ChannelOrder, GeneratorGeometry, GeometryError};
pub use image::{CHANNELS, Image, ImageError};
pub use input::PictureInput;
pub use jpeg::{JpegEncoder, JpegError, JpegFault, JpegSettings, Quality, YuvPlanes};
pub use pack::{PackError, Unpacker, pack};
pub use png_out::{PngError, encode_png};
pub use rect::Rect;
pub use resize::{Interpolation, ResizeError, ResizeScratch, Resizer, Tap, Taps};
pub use surround::Surround;
pub use view::{View, ViewMut};
