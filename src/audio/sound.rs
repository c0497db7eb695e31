//! A whole sound that can be read from any place on.

use std::convert::Infallible;
use std::ops::Range;

/// Mono samples at one rate, in memory, in a file, or computed when they are read.
///
/// Several threads may read at once, each its own part: that is how a long file is worked on by all cores without
/// ever being in memory whole.
pub trait Sound: Sync {
    /// Why samples cannot be had.
    type Error;

    /// Number of samples.
    fn samples(&self) -> usize;

    /// Gives `take` the samples of `range`, in order, in blocks that are never empty.
    ///
    /// # Errors
    /// Those of the sound's source; `take` may have had some of the samples by then.
    ///
    /// # Panics
    /// When `range` reaches past the end.
    fn read(&self, range: Range<usize>, take: &mut dyn FnMut(&[f32])) -> Result<(), Self::Error>;
}

impl Sound for [f32] {
    type Error = Infallible;

    fn samples(&self) -> usize {
        self.len()
    }

    fn read(&self, range: Range<usize>, take: &mut dyn FnMut(&[f32])) -> Result<(), Infallible> {
        if !range.is_empty() {
            take(&self[range]);
        }
        Ok(())
    }
}
