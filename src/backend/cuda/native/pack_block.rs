//! An inverted residual's weights as `kernels/native/block.cu` reads them: chunk by chunk, what some of the wide channels need.

use half::f16;

use super::block_tiles::BlockTile;
use super::pack::{FRAGMENT, channel_of, put_fragment};
use super::program::{Block, Conv};

/// Wide channels of a plane.
const PLANE: usize = FRAGMENT;

/// The chunks for `tile`, one after the other; wide channels beyond the last have zero weights.
#[must_use]
pub fn chunks(block: &Block, tile: &BlockTile) -> Vec<u8> {
    let planes = chunk_count(block, tile) * tile.planes;
    let mut bytes = Vec::with_capacity(planes / tile.planes * tile.chunk_bytes());
    for plane in 0..planes {
        put_plane(&mut bytes, block, tile, plane * PLANE);
    }
    debug_assert_eq!(bytes.len(), planes / tile.planes * tile.chunk_bytes());
    bytes
}

/// Chunks that [`chunks`] makes.
#[must_use]
pub fn chunk_count(block: &Block, tile: &BlockTile) -> usize {
    block.expand.to.channels.div_ceil(PLANE * tile.planes)
}

/// The bias of the projection, with zeros up to the tile's channels.
#[must_use]
pub fn bias(block: &Block, tile: &BlockTile) -> Vec<f32> {
    let mut bias = block.project.bias.clone();
    bias.resize(tile.tiles * 8, 0.0);
    bias
}

/// The network's last convolution for a `block_out` kernel: `[4][16]`, then its bias, `[4]`.
#[must_use]
pub fn last(conv: &Conv) -> Vec<f32> {
    const PLANES: usize = 4;
    let value = |plane: usize, channel: usize| {
        let inside = plane < conv.to.channels && channel < conv.from.channels;
        if inside { conv.weights[plane * conv.from.channels + channel].to_f32() } else { 0.0 }
    };
    let weights = (0..PLANES * FRAGMENT).map(|at| value(at / FRAGMENT, at % FRAGMENT));
    weights.chain((0..PLANES).map(|plane| conv.bias.get(plane).copied().unwrap_or(0.0))).collect()
}

/// Weights of wide channels `first` to `first + 15`.
fn put_plane(bytes: &mut Vec<u8>, block: &Block, tile: &BlockTile, first: usize) {
    let (inputs, wide, outputs) = (block.expand.from.channels, block.expand.to.channels, block.project.to.channels);
    // Thread t of a quad has the wide channels 4t to 4t + 3 throughout, whatever a fragment calls its columns and rows.
    for step in 0..tile.steps {
        put_fragment(bytes, |row, column| {
            let (input, channel) = (step * FRAGMENT + row, first + channel_of(column, PLANE));
            let inside = input < inputs && channel < wide;
            if inside { block.expand.weights[channel * inputs + input] } else { f16::ZERO }
        });
    }
    put_floats(bytes, first, wide, |channel| block.expand.bias[channel]);
    for tap in 0..9 {
        put_floats(bytes, first, wide, |channel| block.depthwise.weights[tap * wide + channel]);
    }
    put_floats(bytes, first, wide, |channel| block.depthwise.bias[channel]);
    let group = if tile.tiles >= 4 { 2 * FRAGMENT } else { FRAGMENT };
    for fragment in 0..tile.tiles / 2 {
        put_fragment(bytes, |row, column| {
            let (channel, output) = (first + wide_of(row), channel_of(fragment * FRAGMENT + column, group));
            let inside = channel < wide && output < outputs;
            if inside { block.project.weights[output * wide + channel] } else { f16::ZERO }
        });
    }
}

fn put_floats(bytes: &mut Vec<u8>, first: usize, channels: usize, value: impl Fn(usize) -> f32) {
    for channel in first..first + PLANE {
        let value = if channel < channels { value(channel) } else { 0.0 };
        bytes.extend_from_slice(&value.to_le_bytes());
    }
}

/// The wide channel behind row `row` of a fragment: a thread holds rows 2t, 2t + 1, 2t + 8 and 2t + 9, its channels 4t to 4t + 3.
fn wide_of(row: usize) -> usize {
    row % 8 / 2 * 4 + row / 8 * 2 + row % 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_has_the_same_wide_channels_as_columns_and_as_rows() {
        for t in 0..4 {
            let rows = [2 * t, 2 * t + 1, 2 * t + 8, 2 * t + 9].map(wide_of);
            let columns = [2 * t, 2 * t + 1, 2 * t + 8, 2 * t + 9].map(|column| channel_of(column, PLANE));
            let own = [0, 1, 2, 3].map(|channel| 4 * t + channel);
            assert_eq!((rows, columns), (own, own));
        }
    }
}
