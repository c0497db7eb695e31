//! The shapes in which `kernels/native/block.cu` takes an inverted residual.

use std::ffi::CStr;

use super::program::{Block, VECTOR};

/// One of `block.cu`'s variants.
#[derive(Debug, PartialEq, Eq)]
pub struct BlockTile {
    pub kernel: &'static CStr,
    /// Input channels it has room for, in sixteens.
    pub steps: usize,
    /// Output channels it has room for, in eights.
    pub tiles: usize,
    pub stride: usize,
    /// Output rows of a warp.
    pub rows: usize,
    /// Wide channels it works on at a time, in sixteens.
    pub planes: usize,
    /// At which of the network's edges it stands.
    pub edge: Edge,
}

/// Whether a block stands at one of the network's edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// At neither.
    None,
    /// It reads the planes of the network's input.
    In,
    /// It ends in the network's last convolution, and writes the planes of its output.
    Out,
}

/// Warps of a block, each with some rows of the output.
const WARPS: usize = 4;

/// Output columns of a block.
const WIDTH: usize = 16;

/// Threads of a block.
pub const THREADS: u32 = 128;

macro_rules! tile {
    ($name:literal, $edge:expr, $steps:literal, $tiles:literal, $stride:literal, $rows:literal, $planes:literal) => {
        BlockTile {
            kernel: match CStr::from_bytes_with_nul(
                concat!($name, "_", $steps, "_", $tiles, "_", $stride, "_", $rows, "_", $planes, "\0").as_bytes(),
            ) {
                Ok(name) => name,
                Err(_) => panic!("a name holds a zero"),
            },
            steps: $steps,
            tiles: $tiles,
            stride: $stride,
            rows: $rows,
            planes: $planes,
            edge: $edge,
        }
    };
    ($steps:literal, $tiles:literal, $stride:literal, $rows:literal, $planes:literal) => {
        tile!("block", Edge::None, $steps, $tiles, $stride, $rows, $planes)
    };
}

/// As `block.cu` lists them.
pub static BLOCK_TILES: [BlockTile; 23] = [
    tile!(1, 2, 1, 4, 1),
    tile!(1, 4, 1, 4, 1),
    tile!(2, 2, 1, 4, 1),
    tile!(2, 4, 1, 4, 1),
    tile!(2, 4, 1, 2, 1),
    tile!(2, 8, 1, 2, 1),
    tile!(4, 2, 1, 4, 1),
    tile!(4, 2, 1, 4, 2),
    tile!(4, 2, 1, 2, 2),
    tile!(4, 4, 1, 4, 1),
    tile!(4, 4, 1, 2, 2),
    tile!(4, 8, 1, 2, 1),
    tile!(8, 4, 1, 2, 1),
    tile!(8, 8, 1, 2, 1),
    tile!(1, 4, 2, 2, 1),
    tile!(2, 4, 2, 2, 1),
    tile!(2, 4, 2, 1, 1),
    tile!(2, 8, 2, 1, 1),
    tile!(4, 8, 2, 1, 1),
    tile!(4, 16, 2, 1, 1),
    tile!("block_in", Edge::In, 1, 2, 1, 4, 1),
    tile!("block_in", Edge::In, 1, 4, 1, 4, 1),
    tile!("block_out", Edge::Out, 1, 2, 1, 4, 1),
];

impl BlockTile {
    /// Rows of a block's output.
    #[must_use]
    pub fn height(&self) -> usize {
        self.rows * WARPS
    }

    /// Bytes of a chunk of weights.
    #[must_use]
    pub fn chunk_bytes(&self) -> usize {
        self.planes * (self.steps * 512 + 64 + 640 + self.tiles * 256)
    }

    /// Bytes of shared memory of a block.
    #[must_use]
    pub fn shared_bytes(&self) -> u32 {
        let (width, height) = ((WIDTH - 1) * self.stride + 3, (self.height() - 1) * self.stride + 3);
        let pixels = width * height;
        let input = (pixels * self.steps * 32).next_multiple_of(128);
        let wide = pixels.div_ceil(16) * 512 * self.planes;
        (input + 2 * wide + 3 * self.chunk_bytes()) as u32
    }

    /// Blocks for `items` of a block's output.
    #[must_use]
    pub fn blocks(&self, block: &Block, items: usize) -> usize {
        let to = block.project.to;
        items * to.width.div_ceil(WIDTH) * to.height.div_ceil(self.height())
    }

    /// Whether it has room for `block`, not more than twice as much as that needs, and does what it does.
    #[must_use]
    pub fn fits(&self, block: &Block) -> bool {
        let (from, to) = (block.expand.from, block.project.to);
        let snug = |room: usize, needed: usize, least: usize| room == needed.next_power_of_two().max(least);
        let adds = block.project.residual.is_none_or(|residual| residual == from && self.stride == 1);
        let edge = match (&block.import, &block.export) {
            (None, None) => self.edge == Edge::None,
            // Planes of one vector.
            (Some(_), None) => self.edge == Edge::In && from.channels == VECTOR,
            (None, Some(_)) => self.edge == Edge::Out,
            (Some(_), Some(_)) => false,
        };
        edge && block.depthwise.stride == [self.stride; 2]
            && adds
            && snug(self.steps, from.channels.div_ceil(16), 1)
            && snug(self.tiles, to.channels.div_ceil(8), 2)
    }
}

/// The tiles that have room for `block`.
pub fn fitting(block: &Block) -> impl Iterator<Item = usize> {
    (0..BLOCK_TILES.len()).filter(move |&tile| BLOCK_TILES[tile].fits(block))
}
