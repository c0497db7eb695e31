//! Weights as the kernels read them, all in one run of bytes.

use half::f16;

use super::block_tiles::{BLOCK_TILES, fitting};
use super::pack_block;
use super::params::ConvTap;
use super::program::{Block, Conv, Depthwise, Op, Program, Step, VECTOR};
use super::tiles::is_narrow;

/// Bytes that every part starts at a multiple of.
const ALIGNMENT: usize = 256;

/// Rows and columns of a packed fragment.
pub(super) const FRAGMENT: usize = 16;

/// A convolution's weights: offsets into the bytes, and sizes in fragments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedConv {
    pub weights: usize,
    pub bias: usize,
    /// The taps of a window; none for one pixel's.
    pub taps: Option<usize>,
    /// Fragments along the sum, an even number.
    pub steps: usize,
    /// Fragments along the output channels.
    pub fragments: usize,
}

/// A depthwise convolution's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedDepthwise {
    pub weights: usize,
    pub bias: usize,
}

/// An inverted residual's: of its parts by themselves, and of each tile that takes it whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedBlock {
    pub expand: PackedConv,
    pub depthwise: PackedDepthwise,
    pub project: PackedConv,
    /// The network's last convolution by itself, and for a kernel that takes all at once.
    pub last: Option<(PackedConv, usize)>,
    pub whole: Vec<PackedWhole>,
}

/// For one tile of [`BLOCK_TILES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedWhole {
    /// Its index.
    pub tile: usize,
    pub weights: usize,
    pub bias: usize,
}

/// Of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packed {
    None,
    Conv(PackedConv),
    Depthwise(PackedDepthwise),
    Block(PackedBlock),
    /// Of each step; used where it is a constant for each channel.
    Pointwise(Vec<usize>),
}

/// The weights of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weights {
    pub bytes: Vec<u8>,
    /// One for each operation.
    pub ops: Vec<Packed>,
}

impl Weights {
    /// Packs the weights of `program`.
    #[must_use]
    pub fn new(program: &Program) -> Self {
        let mut weights = Self { bytes: Vec::new(), ops: Vec::new() };
        for op in &program.ops {
            let packed = match op {
                Op::Conv(op) => Packed::Conv(weights.conv(op)),
                Op::Depthwise(op) => Packed::Depthwise(weights.depthwise(op)),
                Op::Block(op) => Packed::Block(PackedBlock {
                    expand: weights.conv(&op.expand),
                    depthwise: weights.depthwise(&op.depthwise),
                    project: weights.conv(&op.project),
                    last: op
                        .export
                        .as_ref()
                        .map(|(conv, _)| (weights.conv(conv), weights.floats(&pack_block::last(conv)))),
                    whole: fitting(op).map(|tile| weights.whole(op, tile)).collect(),
                }),
                Op::Pointwise(op) => Packed::Pointwise(op.steps.iter().map(|step| weights.step(step)).collect()),
                Op::Import(_) | Op::Upsample(_) | Op::Export(_) => Packed::None,
            };
            weights.ops.push(packed);
        }
        weights
    }

    fn conv(&mut self, op: &Conv) -> PackedConv {
        let (depth, channels) = (op.depth(), op.to.channels);
        let steps = depth.div_ceil(FRAGMENT).next_multiple_of(2);
        let group = if is_narrow(channels) { FRAGMENT } else { 2 * FRAGMENT };
        let fragments = channels.next_multiple_of(group) / FRAGMENT;
        let weights = self.start();
        for fragment in 0..fragments {
            for step in 0..steps {
                put_fragment(&mut self.bytes, |row, column| {
                    let (row, channel) = (step * FRAGMENT + row, channel_of(fragment * FRAGMENT + column, group));
                    let inside = row < depth && channel < channels;
                    if inside { op.weights[channel * depth + row] } else { f16::ZERO }
                });
            }
        }
        let bias = self.floats(&op.bias);
        let taps = (!op.is_pointwise()).then(|| self.taps(op));
        PackedConv { weights, bias, taps, steps, fragments }
    }

    /// For each 8 values of a window, where they lie from its first pixel.
    fn taps(&mut self, op: &Conv) -> usize {
        let start = self.start();
        for row in 0..op.kernel[0] {
            for column in 0..op.kernel[1] {
                for channel in (0..op.from.channels).step_by(VECTOR) {
                    let tap = ConvTap { row: row as i16, column: column as i16, channel: channel as i32 };
                    self.bytes.extend_from_slice(&tap.row.to_le_bytes());
                    self.bytes.extend_from_slice(&tap.column.to_le_bytes());
                    self.bytes.extend_from_slice(&tap.channel.to_le_bytes());
                }
            }
        }
        start
    }

    fn depthwise(&mut self, op: &Depthwise) -> PackedDepthwise {
        PackedDepthwise { weights: self.floats(&op.weights), bias: self.floats(&op.bias) }
    }

    fn whole(&mut self, op: &Block, tile: usize) -> PackedWhole {
        let weights = self.start();
        self.bytes.extend_from_slice(&pack_block::chunks(op, &BLOCK_TILES[tile]));
        let bias = self.floats(&pack_block::bias(op, &BLOCK_TILES[tile]));
        PackedWhole { tile, weights, bias }
    }

    fn step(&mut self, step: &Step) -> usize {
        match step {
            Step::Channels(values) => self.floats(values),
            _ => 0,
        }
    }

    fn floats(&mut self, values: &[f32]) -> usize {
        let start = self.start();
        values.iter().for_each(|value| self.bytes.extend_from_slice(&value.to_le_bytes()));
        start
    }

    fn start(&mut self) -> usize {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
        self.bytes.len()
    }
}

/// 16 rows by 16 columns, as two B fragments of `mma.m16n8k16`: each lane's eight values together.
pub(super) fn put_fragment(bytes: &mut Vec<u8>, value: impl Fn(usize, usize) -> f16) {
    for lane in 0..32 {
        let (g, t) = (lane / 4, lane % 4);
        for tile in 0..2 {
            for row in [2 * t, 2 * t + 1, 2 * t + 8, 2 * t + 9] {
                bytes.extend_from_slice(&value(row, 8 * tile + g).to_le_bytes());
            }
        }
    }
}

/// The output channel behind packed column `column`. A thread of `conv.cu` holds two neighbouring columns of each 8: their order makes
/// the columns that one thread holds of a group of 32 or 16 neighbouring channels.
pub(super) fn channel_of(column: usize, group: usize) -> usize {
    let (at, tiles) = (column % group, group / 8);
    let (tile, pair, odd) = (at / 8, at % 8 / 2, at % 2);
    column - at + pair * 2 * tiles + 2 * tile + odd
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_columns_are_a_permutation_with_neighbours_in_each_thread() {
        for group in [16, 32] {
            let mut seen: Vec<_> = (0..2 * group).map(|column| channel_of(column, group)).collect();
            // Thread t holds columns 2t and 2t + 1 of each 8.
            for t in 0..4 {
                let held = (0..group / 8).flat_map(|tile| [8 * tile + 2 * t, 8 * tile + 2 * t + 1]);
                let first = t * group / 4;
                assert!(held.map(|column| seen[column]).eq(first..first + group / 4), "{group} {t}");
            }
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..2 * group));
        }
    }
}
