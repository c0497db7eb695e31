//! What comes back from the GPU: packed planes of strips, one copy a batch, and the generator's own pictures where something
//! else than a spliced JPEG is wanted.

use std::sync::Arc;

use half::slice::HalfFloatSliceExt as _;

use super::buffers::{GeneratorBuffers, GeneratorShape};
use crate::backend::BackendError;
use crate::cuda::{Context, PinnedDown, Stream};
use crate::onnxruntime::Element;

/// A generator's results on the host.
pub(super) struct Readback {
    context: Arc<Context>,
    shape: GeneratorShape,
    most: usize,
    planes: Option<Arc<PinnedDown<u8>>>,
    /// Made when it is first needed.
    pixels: Option<Pixels>,
    /// One picture in single precision.
    picture: Vec<f32>,
}

enum Pixels {
    Half(PinnedDown<half::f16>),
    Single(PinnedDown<f32>),
}

impl Readback {
    pub(super) fn new(context: &Arc<Context>, most: usize, shape: GeneratorShape) -> Result<Self, BackendError> {
        let spliced = shape.strips.filter(|strips| !strips.whole);
        let planes = spliced.map(|strips| PinnedDown::new(context, most * strips.stride)).transpose()?.map(Arc::new);
        Ok(Self { context: Arc::clone(context), shape, most, planes, pixels: None, picture: Vec::new() })
    }

    fn picture_len(&self) -> usize {
        3 * self.shape.size_px * self.shape.size_px
    }

    /// Enqueues the copies of the first `len` frames.
    pub(super) fn start(
        &mut self,
        from: &GeneratorBuffers,
        len: usize,
        needs_pixels: bool,
        stream: &Stream,
    ) -> Result<(), BackendError> {
        if let (Some(down), Some(pasted), Some(strips)) = (&self.planes, &from.pasted, self.shape.strips) {
            // SAFETY: both are this generator's, which reads them after the stream has been waited for.
            unsafe { down.download(len * strips.stride, &pasted.planes, stream) }?;
        }
        if needs_pixels {
            let floats = len * self.picture_len();
            match self.pixels()? {
                // SAFETY: as above.
                Pixels::Half(down) => unsafe { down.download(floats, &from.generated, stream) }?,
                // SAFETY: as above.
                Pixels::Single(down) => unsafe { down.download(floats, &from.generated, stream) }?,
            }
        }
        Ok(())
    }

    fn pixels(&mut self) -> Result<&mut Pixels, BackendError> {
        let values = self.most * self.picture_len();
        if self.pixels.is_none() {
            self.picture.resize(self.picture_len(), 0.0);
            self.pixels = Some(match self.shape.element {
                Element::F16 => Pixels::Half(PinnedDown::new(&self.context, values)?),
                Element::F32 => Pixels::Single(PinnedDown::new(&self.context, values)?),
            });
        }
        // Just made, if it was not there.
        self.pixels.as_mut().ok_or(BackendError::Unloaded)
    }

    /// The planes of the batch, which has come back, and the bytes from one frame's to the next's; none when the avatar has no strips.
    pub(super) fn planes(&self) -> Option<(&Arc<PinnedDown<u8>>, usize)> {
        Some((self.planes.as_ref()?, self.shape.strips?.stride))
    }

    /// The generator's picture of frame `index`, `[3, size, size]`; empty when it was not asked for.
    pub(super) fn generated(&mut self, index: usize) -> &[f32] {
        let len = self.picture_len();
        match &self.pixels {
            Some(Pixels::Single(pixels)) => &pixels[index * len..][..len],
            Some(Pixels::Half(pixels)) => {
                pixels[index * len..][..len].convert_to_f32_slice(&mut self.picture);
                &self.picture
            }
            None => &[],
        }
    }
}
