//! Bicubic and bilinear resizing of BGR8 as OpenCV's fixed-point code does it, with the same bits on every CPU.
//!
//! Pixel centres are at half positions (`src = (dst + 0.5) * scale - 0.5`), the border is replicated, and there is no
//! antialiasing. Weights have 11 bits, as in OpenCV's `resize.cpp` (`INTER_RESIZE_COEF_BITS`).
//!
//! * **Cubic**: `A = -0.75`; the sum over the 4x4 neighbours is exact in `i32` and rounded once, half up, so the order of
//!   the passes is free: rows first here, which leaves the pass that does not vectorise on the fewer rows when shrinking.
//!   OpenCV built with Intel's IPP takes a float path instead, which differs by one level in about 4 % of the bytes; its
//!   own path (`cv2.setUseOptimized(False)`) differs in one byte of 100,000, where its vector code rounds ties in float.
//! * **Linear**: columns first, then rows with OpenCV's two truncating shifts; an exact halving is a 2x2 mean, as there.

mod cubic;
mod linear;
mod taps;

pub use taps::{Tap, Taps};

use super::view::{View, ViewMut};

/// How a pixel is made from its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Interpolation {
    /// 4x4 neighbours, `INTER_CUBIC`: the recipe's.
    #[default]
    Cubic,
    /// 2x2 neighbours, `INTER_LINEAR`: what some avatars were trained with.
    Linear,
}

/// Why a resize cannot be planned or run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResizeError {
    /// A side is zero or above [`super::MAX_SIDE_PX`].
    #[error("resizing {src:?} to {dst:?} pixels is impossible: sides go from 1 to {max}", max = super::MAX_SIDE_PX)]
    Size {
        /// Width and height resized from.
        src: (usize, usize),
        /// Width and height resized to.
        dst: (usize, usize),
    },
    /// A picture has not the size that was planned.
    #[error("this resizer was made for {expected:?} pixels, it was given {got:?}")]
    Mismatch {
        /// Width and height planned.
        expected: (usize, usize),
        /// Width and height given.
        got: (usize, usize),
    },
    /// The scratch was not fitted to this resizer.
    #[error("the resize scratch holds {got} values, this resizer needs {expected}: fit it first")]
    Scratch {
        /// Values needed.
        expected: usize,
        /// Values there are.
        got: usize,
    },
}

/// Working rows of a resize, reusable for any resizer it was fitted to.
#[derive(Debug, Default)]
pub struct ResizeScratch {
    values: Vec<i32>,
}

impl ResizeScratch {
    /// Empty; [`ResizeScratch::fit`] makes it large enough.
    pub fn new() -> Self {
        Self::default()
    }

    /// Grows it so that `resizer` runs without allocating; never shrinks it.
    pub fn fit(&mut self, resizer: &Resizer) {
        if self.values.len() < resizer.scratch_len() {
            self.values.resize(resizer.scratch_len(), 0);
        }
    }
}

/// The tables of one resize, from one size to another. Immutable: share it between threads.
#[derive(Debug)]
pub struct Resizer {
    src: (usize, usize),
    dst: (usize, usize),
    plan: Plan,
}

#[derive(Debug)]
enum Plan {
    Cubic(cubic::Plan),
    Linear(linear::Plan),
    Halve,
}

impl Resizer {
    /// Plans a resize between two sizes, each `(width, height)` in pixels.
    ///
    /// # Errors
    /// [`ResizeError::Size`] when a side is zero or above [`super::MAX_SIDE_PX`].
    pub fn new(src: (usize, usize), dst: (usize, usize), interpolation: Interpolation) -> Result<Self, ResizeError> {
        let side = 1..=super::MAX_SIDE_PX;
        if [src.0, src.1, dst.0, dst.1].iter().any(|n| !side.contains(n)) {
            return Err(ResizeError::Size { src, dst });
        }
        let plan = match interpolation {
            Interpolation::Cubic => Plan::Cubic(cubic::Plan::new(src, dst)),
            Interpolation::Linear if src == (2 * dst.0, 2 * dst.1) => Plan::Halve,
            Interpolation::Linear => Plan::Linear(linear::Plan::new(src, dst)),
        };
        Ok(Self { src, dst, plan })
    }

    /// What each column and each row of the result is mixed from, for whoever does it elsewhere.
    ///
    /// An exact halving comes as bilinear taps with weights of one half, whose arithmetic gives the 2x2 mean to the bit.
    pub fn taps(&self) -> Taps {
        match &self.plan {
            Plan::Cubic(plan) => plan.taps(),
            Plan::Linear(plan) => plan.taps(),
            Plan::Halve => linear::Plan::new(self.src, self.dst).taps(),
        }
    }

    fn scratch_len(&self) -> usize {
        match &self.plan {
            Plan::Cubic(plan) => plan.scratch_len(),
            Plan::Linear(plan) => plan.scratch_len(),
            Plan::Halve => 0,
        }
    }

    /// Resizes `src` into `dst` without allocating. What `scratch` held before does not matter.
    ///
    /// # Errors
    /// [`ResizeError::Mismatch`] for other sizes than planned, [`ResizeError::Scratch`] for a scratch not fitted.
    pub fn run(&self, src: View<'_>, dst: ViewMut<'_>, scratch: &mut ResizeScratch) -> Result<(), ResizeError> {
        for (expected, got) in
            [(self.src, (src.width_px(), src.height_px())), (self.dst, (dst.width_px(), dst.height_px()))]
        {
            if expected != got {
                return Err(ResizeError::Mismatch { expected, got });
            }
        }
        let (expected, got) = (self.scratch_len(), scratch.values.len());
        if got < expected {
            return Err(ResizeError::Scratch { expected, got });
        }
        let values = &mut scratch.values[..expected];
        match &self.plan {
            Plan::Cubic(plan) => plan.run(src, dst, values),
            Plan::Linear(plan) => plan.run(src, dst, values),
            Plan::Halve => linear::halve(src, dst),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
