//! Convolutions and blocks.

use super::super::block_tiles::{BLOCK_TILES, Edge, THREADS};
use super::super::pack::{PackedBlock, PackedConv, PackedDepthwise, PackedWhole};
use super::super::pack_block::chunk_count;
use super::super::params::{BlockParams, ConvParams, DepthwiseParams, Params};
use super::super::program::{Block, Conv, Depthwise};
use super::super::tiles::TILES;
use super::{Launch, Lowering, activation, int, line, size};

/// Threads of a block of `depthwise_*`.
const DEPTHWISE_THREADS: u32 = 128;

impl Lowering<'_> {
    pub(super) fn conv(&self, op: &Conv, packed: &PackedConv, tile: usize, batch: usize) -> Launch {
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

    pub(super) fn depthwise(&self, op: &Depthwise, packed: &PackedDepthwise, batch: usize) -> Launch {
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

    /// A block as one kernel.
    pub(super) fn whole(&self, op: &Block, packed: &PackedBlock, whole: &PackedWhole, batch: usize) -> Launch {
        let tile = &BLOCK_TILES[whole.tile];
        let (source, sink) = (op.expand.from, op.project.to);
        let import = op.import.as_ref().filter(|_| tile.edge == Edge::In);
        let export = op.export.as_ref().zip(packed.last).filter(|_| tile.edge == Edge::Out);
        let planes = import.map(|import| self.program.inputs[import.input].item[0]);
        let params = BlockParams {
            from: import.map_or_else(|| self.address(source), |import| self.addresses.inputs[import.input]),
            weights: self.weight(whole.weights),
            bias: self.weight(whole.bias),
            to: if export.is_some() { self.addresses.output } else { self.address(sink) },
            chunks: int(chunk_count(op, tile)),
            vectors: int(source.channels / 8),
            channels: int(sink.channels),
            from_pitch: int(source.pitch),
            to_pitch: int(sink.pitch),
            from_size: size(source),
            to_size: size(sink),
            add_input: i32::from(op.project.residual.is_some()),
            planes: int(planes.unwrap_or(self.program.output.item[0])),
            activation: export.map_or(0, |((last, _), _)| activation(last.activation)),
            last: export.map_or(0, |(_, (_, last))| self.weight(last)),
        };
        Launch {
            kernel: tile.kernel,
            blocks: [tile.blocks(op, batch) as u32, 1, 1],
            threads: THREADS,
            shared_bytes: tile.shared_bytes(),
            params: Params::Block(params),
        }
    }
}
