//! Whole frames encoded on the GPU by nvJPEG, for avatars that are kept there whole.

use std::sync::Arc;

use super::buffers::GeneratorBuffers;
use super::nvjpeg::{DevicePlanes, Encoder, EncoderSettings};
use super::shared::Shared;
use crate::backend::BackendError;
use crate::batch::PooledBuf;
use crate::cuda::{Context, DevicePtr, PinnedDown, Stream};
use crate::picture::Quality;
use crate::picture::template::SpliceError;

/// The encoder of one generator in a lane, which reads the planes that its batches leave.
pub(super) struct WholeFrames {
    encoder: Encoder,
    /// Of the encoder, unless setting it failed.
    quality: Option<Quality>,
    context: Arc<Context>,
    planes: DevicePtr,
    stride: usize,
    size_px: (usize, usize),
    down: PinnedDown<u8>,
}

impl WholeFrames {
    /// For a generator with these buffers; none where its frames are not whole.
    pub(super) fn of(
        shared: &Shared,
        stream: &Arc<Stream>,
        buffers: &GeneratorBuffers,
    ) -> Result<Option<Self>, BackendError> {
        let (Some(nvjpeg), Some(pasted)) = (&shared.nvjpeg, &buffers.pasted) else { return Ok(None) };
        let Some(strips) = buffers.shape.strips.filter(|strips| strips.whole) else { return Ok(None) };
        let quality = Quality::default();
        let settings = EncoderSettings { quality, size_px: strips.largest_px };
        // SAFETY: the stream is of the context that nvJPEG was started in.
        let encoder = unsafe { Encoder::new(Arc::clone(nvjpeg), settings, stream) }?;
        let down = PinnedDown::new(&shared.context, encoder.max_len())?;
        Ok(Some(Self {
            encoder,
            quality: Some(quality),
            context: Arc::clone(&shared.context),
            planes: pasted.planes.ptr(),
            stride: strips.stride,
            size_px: strips.largest_px,
            down,
        }))
    }

    /// Encodes frame `index` of the batch whose planes are there, and writes its JPEG to `out`.
    pub(super) fn encode(&mut self, index: usize, quality: Quality, out: &mut PooledBuf) -> Result<(), BackendError> {
        if self.quality != Some(quality) {
            self.quality = None;
            self.encoder.set_quality(quality)?;
            if self.encoder.max_len() > self.down.len() {
                self.down = PinnedDown::new(&self.context, self.encoder.max_len())?;
            }
            self.quality = Some(quality);
        }
        let (width, height) = (self.size_px.0.next_multiple_of(16), self.size_px.1.next_multiple_of(2));
        let y = self.planes.offset(index * self.stride);
        let u = y.offset(width * height);
        let v = u.offset(width * height / 4);
        let planes = DevicePlanes { planes: [y.0, u.0, v.0], luma_pitch: width, chroma_pitch: width / 2 };
        // SAFETY: the batch that wrote the planes has been waited for, and the next does not start before this returns.
        unsafe { self.encoder.encode(planes) }?;
        let len = self.encoder.retrieve(&mut self.down)?;
        out.make_room(len);
        out.fill(|bytes| {
            let room = SpliceError::Buffer { len: bytes.len() };
            bytes.get_mut(..len).ok_or(room)?.copy_from_slice(&self.down[..len]);
            Ok(len)
        })
    }
}
