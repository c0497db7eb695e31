//! Operations as launches: which kernel, how many blocks, what it is handed.

use std::ffi::CStr;

use super::arena::Arena;
use super::block_tiles::{BLOCK_TILES, THREADS};
use super::pack::{Packed, PackedConv, PackedDepthwise, PackedWhole, Weights};
use super::pack_block::chunk_count;
use super::params::{
    Address, BlockParams, ConvParams, DepthwiseParams, ExpressionStep, Params, PlanesParams, PointwiseParams,
    UpsampleParams,
};
use super::program::{
    Activation, Block, Conv, Depthwise, Doubling, Op, Place, Pointwise, Program, Step, Target, Upsample, View,
};
use super::tiles::TILES;
use crate::onnxruntime::Element;

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
        let tile = |tile: usize| format!("{}x{}", TILES[tile].rows, TILES[tile].columns);
        match *self {
            Self::Plain => f.write_str("plain"),
            Self::Conv(only) => f.write_str(&tile(only)),
            Self::Apart(first, last) => write!(f, "{}+{}", tile(first), tile(last)),
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

/// Threads of a block, as the kernels' files say.
const DEPTHWISE_THREADS: u32 = 128;
const UPSAMPLE_THREADS: u32 = 256;
const PLANES_THREADS: u32 = 128;
const POINTWISE_THREADS: u32 = 256;

/// Launches of one operation at most.
pub const MOST_LAUNCHES: usize = 3;

impl Lowering<'_> {
    /// The launches of operation `index` over `batch` items, in order.
    ///
    /// # Panics
    /// When `choice` is another kind's than the operation's.
    #[must_use]
    pub fn launches(&self, index: usize, choice: Choice, batch: usize) -> [Option<Launch>; MOST_LAUNCHES] {
        let one = |launch| [Some(launch), None, None];
        match (&self.program.ops[index], &self.weights.ops[index], choice) {
            (Op::Import(op), ..) => {
                let from = self.addresses.inputs[op.input];
                let edge = &self.program.inputs[op.input];
                let kernel = if edge.element == Element::F16 { c"import_f16" } else { c"import_f32" };
                one(planes(kernel, [from, self.address(op.to)], edge.item[0], op.to, batch))
            }
            (Op::Export(op), ..) => {
                let edge = &self.program.output;
                let kernel = if edge.element == Element::F16 { c"export_f16" } else { c"export_f32" };
                // Padding above the planes is not read.
                let channels = edge.item[0].next_multiple_of(8);
                let from = View { channels, ..op.from };
                one(planes(kernel, [self.address(from), self.addresses.output], edge.item[0], from, batch))
            }
            (Op::Conv(op), Packed::Conv(packed), Choice::Conv(tile)) => one(self.conv(op, packed, tile, batch)),
            (Op::Depthwise(op), Packed::Depthwise(packed), Choice::Plain) => one(self.depthwise(op, packed, batch)),
            (Op::Block(op), Packed::Block(packed), Choice::Apart(first, last)) => [
                Some(self.conv(&op.expand, &packed.expand, first, batch)),
                Some(self.depthwise(&op.depthwise, &packed.depthwise, batch)),
                Some(self.conv(&op.project, &packed.project, last, batch)),
            ],
            (Op::Block(op), Packed::Block(packed), Choice::Whole(tile)) => {
                match packed.whole.iter().find(|whole| whole.tile == tile) {
                    Some(whole) => one(self.whole(op, whole, batch)),
                    None => unreachable!("{op:?} in tile {tile}"),
                }
            }
            (Op::Upsample(op), ..) => one(self.upsample(op, batch)),
            (Op::Pointwise(op), Packed::Pointwise(constants), _) => one(self.pointwise(op, constants, batch)),
            (op, _, choice) => unreachable!("{op:?} as {choice:?}"),
        }
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

    fn conv(&self, op: &Conv, packed: &PackedConv, tile: usize, batch: usize) -> Launch {
        let tile = &TILES[tile];
        let pixels = batch * op.to.pixels();
        let params = ConvParams {
            from: self.address(op.from),
            weights: self.weight(packed.weights),
            bias: self.weight(packed.bias),
            residual: op.residual.map_or(0, |view| self.address(view)),
            to: self.address(op.to),
            taps: packed.taps.map_or(0, |taps| self.weight(taps)),
            pixels: int(pixels),
            vectors: int(op.depth() / 8),
            steps: int(packed.steps),
            fragments: int(packed.fragments),
            channels: int(op.to.channels),
            from_pitch: int(op.from.pitch),
            residual_pitch: int(op.residual.map_or(0, |view| view.pitch)),
            to_pitch: int(op.to.pitch),
            from_size: size(op.from),
            to_size: size(op.to),
            stride: op.stride.map(int),
            pads: op.pads.map(int),
            activation: activation(op.activation),
        };
        let kernel = if packed.taps.is_some() { tile.window } else { tile.pixel };
        let blocks = [tile.blocks(pixels, op.to.channels) as u32, 1, 1];
        let (threads, shared_bytes) = (tile.threads, tile.shared_bytes());
        Launch { kernel, blocks, threads, shared_bytes, params: Params::Conv(params) }
    }

    fn depthwise(&self, op: &Depthwise, packed: &PackedDepthwise, batch: usize) -> Launch {
        let (kernel, across, down) = match op.stride {
            [1, 1] => (c"depthwise_1", 4, 2),
            [2, 2] => (c"depthwise_2", 2, 2),
            _ => (c"depthwise_any", 1, 1),
        };
        let params = DepthwiseParams {
            from: self.address(op.from),
            weights: self.weight(packed.weights),
            bias: self.weight(packed.bias),
            to: self.address(op.to),
            items: int(batch),
            channels: int(op.to.channels),
            from_pitch: int(op.from.pitch),
            to_pitch: int(op.to.pitch),
            from_size: size(op.from),
            to_size: size(op.to),
            stride: op.stride.map(int),
            pads: op.pads.map(int),
            activation: activation(op.activation),
        };
        let count = batch * op.to.height.div_ceil(down) * op.to.width.div_ceil(across) * op.to.channels / 4;
        line(kernel, count, DEPTHWISE_THREADS, Params::Depthwise(params))
    }

    fn whole(&self, op: &Block, packed: &PackedWhole, batch: usize) -> Launch {
        let tile = &BLOCK_TILES[packed.tile];
        let (from, to) = (op.expand.from, op.project.to);
        let params = BlockParams {
            from: self.address(from),
            weights: self.weight(packed.weights),
            bias: self.weight(packed.bias),
            to: self.address(to),
            chunks: int(chunk_count(op, tile)),
            vectors: int(from.channels / 8),
            channels: int(to.channels),
            from_pitch: int(from.pitch),
            to_pitch: int(to.pitch),
            from_size: size(from),
            to_size: size(to),
            add_input: i32::from(op.project.residual.is_some()),
        };
        Launch {
            kernel: tile.kernel,
            blocks: [tile.blocks(op, batch) as u32, 1, 1],
            threads: THREADS,
            shared_bytes: tile.shared_bytes(),
            params: Params::Block(params),
        }
    }

    fn upsample(&self, op: &Upsample, batch: usize) -> Launch {
        let params = UpsampleParams {
            from: self.address(op.from),
            to: self.address(op.to),
            items: int(batch),
            channels: int(op.to.channels),
            from_pitch: int(op.from.pitch),
            to_pitch: int(op.to.pitch),
            from_size: size(op.from),
        };
        let kernel = match op.doubling {
            Doubling::Linear => c"upsample_linear",
            Doubling::Nearest => c"upsample_nearest",
        };
        line(kernel, batch * op.to.pixels() * op.to.channels / 8, UPSAMPLE_THREADS, Params::Upsample(params))
    }

    fn pointwise(&self, op: &Pointwise, constants: &[usize], batch: usize) -> Launch {
        let [channels, height, width] = op.item;
        let (to, padded, pitch, halves) = match op.target {
            Target::Stored(view) => (self.address(view), view.channels, view.pitch, true),
            Target::Output => (self.addresses.output, 0, 0, self.program.output.element == Element::F16),
        };
        let values = height * width * if padded > 0 { padded } else { channels };
        let mut params = PointwiseParams {
            to,
            count: int(batch * values),
            steps: int(op.steps.len()),
            channels: int(channels),
            size: [int(height), int(width)],
            padded: int(padded),
            pitch: int(pitch),
            halves: i32::from(halves),
            step: Default::default(),
        };
        for (to, (step, &constant)) in params.step.iter_mut().zip(op.steps.iter().zip(constants)) {
            *to = self.step(step, constant);
        }
        line(c"pointwise", batch * values, POINTWISE_THREADS, Params::Pointwise(params))
    }

    fn step(&self, step: &Step, constant: usize) -> ExpressionStep {
        let of = |kind| ExpressionStep { kind, ..ExpressionStep::default() };
        match step {
            Step::Load(load) => ExpressionStep {
                from: self.address(load.from),
                place: match load.place {
                    Place::Same => 0,
                    Place::Everywhere => 1,
                    Place::Shuffled => 2,
                },
                first: int(load.first),
                step: int(load.step),
                pitch: int(load.from.pitch),
                width: int(load.from.width),
                pixels: int(load.from.pixels()),
                ..of(0)
            },
            Step::Constant(value) => ExpressionStep { constant: *value, ..of(1) },
            Step::Channels(_) => ExpressionStep { from: self.weight(constant), ..of(2) },
            Step::Add => of(3),
            Step::Subtract => of(4),
            Step::Multiply => of(5),
            Step::Activate(kind) => ExpressionStep { first: activation(*kind), ..of(6) },
        }
    }
}

/// `import_*` or `export_*` between planes and `pixels`.
fn planes(kernel: &'static CStr, [from, to]: [Address; 2], planes: usize, pixels: View, batch: usize) -> Launch {
    let params = PlanesParams {
        from,
        to,
        planes: int(planes),
        channels: int(pixels.channels),
        pitch: int(pixels.pitch),
        pixels: int(pixels.pixels()),
    };
    let blocks = [pixels.pixels().div_ceil(PLANES_THREADS as usize), pixels.channels / 8, batch].map(|n| n as u32);
    Launch { kernel, blocks, threads: PLANES_THREADS, shared_bytes: 0, params: Params::Planes(params) }
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
