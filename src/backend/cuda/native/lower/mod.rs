//! Operations as launches: which kernel, how many blocks, what it is handed.
//!
//! | file | operations |
//! | --- | --- |
//! | `convolution` | convolutions, blocks |
//! | `others` | all others |

mod convolution;
mod others;

use std::ffi::CStr;

use super::arena::Arena;
use super::block_tiles::BLOCK_TILES;
use super::pack::{Packed, PackedBlock, Weights};
use super::params::{Address, Params};
use super::program::{Activation, Block, Op, Program, View};
use super::tiles::{TILES, usual};

/// A kernel, ready to be enqueued.
#[derive(Debug, Clone, Copy)]
pub struct Launch {
    pub kernel: &'static CStr,
    pub blocks: [u32; 3],
    pub threads: u32,
    pub shared_bytes: u32,
    pub params: Params,
}

/// Where everything lies on the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// In the program's order, `[max_batch, ...]`.
    pub inputs: Vec<Address>,
    pub output: Address,
    /// The packed weights.
    pub weights: Address,
    /// `max_batch` times the arena.
    pub arena: Address,
    pub max_batch: usize,
}

/// How one operation runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Choice {
    /// In the only way there is.
    Plain,
    /// A convolution in tile `.0` of [`TILES`].
    Conv(usize),
    /// A block as three kernels: the tiles of its expansion and projection.
    Apart(usize, usize),
    /// A block as one kernel, tile `.0` of [`BLOCK_TILES`].
    Whole(usize),
}

impl std::fmt::Display for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::Plain => f.write_str("plain"),
            Self::Conv(only) => f.write_str(TILES[only].name),
            Self::Apart(first, last) => write!(f, "{}+{}", TILES[first].name, TILES[last].name),
            Self::Whole(only) => f.write_str(&BLOCK_TILES[only].kernel.to_string_lossy()),
        }
    }
}

/// Everything a launch is made from.
#[derive(Debug, Clone, Copy)]
pub struct Lowering<'a> {
    pub program: &'a Program,
    pub weights: &'a Weights,
    pub arena: &'a Arena,
    pub addresses: &'a Addresses,
}

/// Launches of one operation at most.
pub const MOST_LAUNCHES: usize = 6;

/// Launches in order, the rest none.
type Launches = [Option<Launch>; MOST_LAUNCHES];

impl Lowering<'_> {
    /// The launches of operation `index` over `batch` items, in order.
    ///
    /// # Panics
    /// When `choice` is another kind's than the operation's.
    #[must_use]
    pub fn launches(&self, index: usize, choice: Choice, batch: usize) -> Launches {
        match (&self.program.ops[index], &self.weights.ops[index], choice) {
            (Op::Import(op), ..) => one(self.import(op, batch)),
            (Op::Export(op), ..) => one(self.export(op, batch)),
            (Op::Conv(op), Packed::Conv(packed), Choice::Conv(tile)) => one(self.conv(op, packed, tile, batch)),
            (Op::Depthwise(op), Packed::Depthwise(packed), Choice::Plain) => one(self.depthwise(op, packed, batch)),
            (Op::Block(op), Packed::Block(packed), Choice::Apart(first, last)) => {
                self.apart(op, packed, [first, last], batch)
            }
            (Op::Block(op), Packed::Block(packed), Choice::Whole(tile)) => {
                match packed.whole.iter().find(|whole| whole.tile == tile) {
                    Some(whole) => one(self.whole(op, packed, whole, batch)),
                    None => unreachable!("{op:?} in tile {tile}"),
                }
            }
            (Op::Upsample(op), ..) => one(self.upsample(op, batch)),
            (Op::Pointwise(op), Packed::Pointwise(constants), _) => one(self.pointwise(op, constants, batch)),
            (op, _, choice) => unreachable!("{op:?} as {choice:?}"),
        }
    }

    /// A block's parts one after the other, the network's edges with them.
    fn apart(&self, op: &Block, packed: &PackedBlock, [first, last]: [usize; 2], batch: usize) -> Launches {
        let end = op.export.as_ref().zip(packed.last).map(|((conv, export), (packed, _))| {
            // Too small a part to be worth measuring.
            let tile = usual(batch * conv.to.pixels(), conv.to.channels, 1);
            (self.conv(conv, &packed, tile, batch), self.export(export, batch))
        });
        [
            op.import.as_ref().map(|import| self.import(import, batch)),
            Some(self.conv(&op.expand, &packed.expand, first, batch)),
            Some(self.depthwise(&op.depthwise, &packed.depthwise, batch)),
            Some(self.conv(&op.project, &packed.project, last, batch)),
            end.map(|(conv, _)| conv),
            end.map(|(_, export)| export),
        ]
    }

    /// Where a view's first value lies.
    #[must_use]
    pub fn address(&self, view: View) -> Address {
        let values = view.first * size_of::<half::f16>();
        self.addresses.arena + (self.arena.offsets[view.buffer] * self.addresses.max_batch + values) as u64
    }

    fn weight(&self, offset: usize) -> Address {
        self.addresses.weights + offset as u64
    }
}

fn one(launch: Launch) -> Launches {
    [Some(launch), None, None, None, None, None]
}

/// A kernel with a thread for each of `count` things.
fn line(kernel: &'static CStr, count: usize, threads: u32, params: Params) -> Launch {
    Launch { kernel, blocks: [count.div_ceil(threads as usize) as u32, 1, 1], threads, shared_bytes: 0, params }
}

fn size(view: View) -> [i32; 2] {
    [int(view.height), int(view.width)]
}

fn activation(activation: Activation) -> i32 {
    match activation {
        Activation::None => 0,
        Activation::Relu => 1,
        Activation::Sigmoid => 2,
        Activation::Tanh => 3,
    }
}

/// Sizes here come from a program whose arena fits the device, far below 2^31 values a buffer.
fn int(value: usize) -> i32 {
    debug_assert!(i32::try_from(value).is_ok());
    value as i32
}
