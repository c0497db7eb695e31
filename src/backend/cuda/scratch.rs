//! Memory between the layers of a network. A lane runs one network at a time, so all its networks share it: what an avatar costs on
//! the GPU beside its pictures is its weights.

use std::sync::Arc;

use crate::cuda::{Context, CudaError, DeviceBuf};

/// A lane's scratch memory. Networks hold on to the buffer they were bound with, since graphs have its address; a larger network gets a larger
/// one, which later networks share.
#[derive(Debug)]
pub struct Scratch {
    context: Arc<Context>,
    buffers: Vec<Arc<DeviceBuf>>,
}

impl Scratch {
    /// None yet.
    #[must_use]
    pub fn new(context: &Arc<Context>) -> Self {
        Self { context: Arc::clone(context), buffers: Vec::new() }
    }

    /// A buffer of `bytes` at least, which everybody may write who runs on the lane.
    ///
    /// # Errors
    /// [`CudaError`] when the GPU has no room for it.
    pub fn take(&mut self, bytes: usize) -> Result<Arc<DeviceBuf>, CudaError> {
        self.trim();
        if let Some(buffer) = self.buffers.iter().find(|buffer| buffer.bytes() >= bytes) {
            return Ok(Arc::clone(buffer));
        }
        let buffer = Arc::new(DeviceBuf::new(&self.context, bytes)?);
        self.buffers.push(Arc::clone(&buffer));
        Ok(buffer)
    }

    /// Gives back the buffers of networks that are gone.
    pub fn trim(&mut self) {
        // Held here alone: nobody is bound to it.
        self.buffers.retain(|buffer| Arc::strong_count(buffer) > 1);
    }
}
