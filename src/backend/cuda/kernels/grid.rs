//! How many threads each kernel wants: the rules that `kernels/*.cu` state in their headers.

use crate::cuda::Grid;

/// Threads of a block, where a kernel's threads form a line.
const LINE: usize = 256;
/// Threads of a block, where they form a picture: 32 quads along a row make whole memory transactions.
const TILE: (usize, usize) = (32, 8);
/// Pixels of a row that one thread of `picture_input` makes, and values that one of `override_picture` does.
const RUN: usize = 8;

fn grid(blocks: [usize; 3], (x, y): (usize, usize)) -> Grid {
    // Even the largest batch of the largest pictures stays far below 2^32.
    Grid { blocks: blocks.map(|n| n as u32), threads: [x as u32, y as u32, 1], shared_bytes: 0 }
}

/// `gather_context_*`: a block for each of the `context` rows of each frame.
#[must_use]
pub fn gather_context(batch: usize, context: usize) -> Grid {
    grid([batch * context, 1, 1], (LINE / 2, 1))
}

/// `picture_input_*`: a thread for 8 pixels of a row, frames along y.
#[must_use]
pub fn picture_input(batch: usize, size_px: usize) -> Grid {
    let runs = size_px * size_px.div_ceil(RUN);
    grid([runs.div_ceil(LINE), batch, 1], (LINE, 1))
}

/// `override_picture_f16`: a thread for 8 of `count` values.
#[must_use]
pub fn override_picture(count: usize) -> Grid {
    grid([count.div_ceil(RUN).div_ceil(LINE), 1, 1], (LINE, 1))
}

/// `patch_crop_*`: a thread for each pixel of a crop of `side_px`, frames along y.
#[must_use]
pub fn patch_crop(batch: usize, side_px: usize) -> Grid {
    grid([(side_px * side_px).div_ceil(LINE), batch, 1], (LINE, 1))
}

/// `paste_planes`: a thread for 2x2 pixels of the largest strip's planes, frames along z. `largest_strip_px` is the
/// largest width and the largest height of any strip in the batch.
#[must_use]
pub fn paste_planes(batch: usize, largest_strip_px: (usize, usize)) -> Grid {
    let (width, height) = largest_strip_px;
    let quads = (width.next_multiple_of(16) / 2, height.div_ceil(2));
    grid([quads.0.div_ceil(TILE.0), quads.1.div_ceil(TILE.1), batch], TILE)
}
