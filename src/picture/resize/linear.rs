//! The bilinear passes: each source row is interpolated along the row once, then two such rows are mixed.

use super::taps::{self, Tap, Taps};
use crate::picture::image::CHANNELS;
use crate::picture::view::{View, ViewMut};

#[derive(Debug)]
pub struct Plan {
    columns: Vec<Column>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Column {
    /// First byte of the left and of the right pixel.
    start: [usize; 2],
    weights: [i32; 2],
}

#[derive(Debug)]
struct Row {
    source: [usize; 2],
    weights: [i32; 2],
}

impl Plan {
    pub fn new(src: (usize, usize), dst: (usize, usize)) -> Self {
        let column = |x| {
            let (left, mut weights) = taps::linear(x, src.0, dst.0);
            // OpenCV drops the fraction outside the outermost centres along a row, but keeps it across rows: both see
            // one replicated sample, yet its vertical pass truncates the two products apart.
            if left < 0 || left + 1 >= src.0 as isize {
                weights = [1 << taps::WEIGHT_BITS, 0];
            }
            let start = [left.max(0), left + 1].map(|x| taps::replicate(x, src.0) * CHANNELS);
            Column { start, weights: weights.map(i32::from) }
        };
        let row = |y| {
            let (upper, weights) = taps::linear(y, src.1, dst.1);
            let source = [upper, upper + 1].map(|y| taps::replicate(y, src.1));
            Row { source, weights: weights.map(i32::from) }
        };
        Self { columns: (0..dst.0).map(column).collect(), rows: (0..dst.1).map(row).collect() }
    }

    pub fn taps(&self) -> Taps {
        let column = |column: &Column| pair(column.start.map(|at| at / CHANNELS), column.weights);
        let row = |row: &Row| pair(row.source, row.weights);
        Taps { columns: self.columns.iter().map(column).collect(), rows: self.rows.iter().map(row).collect() }
    }

    /// Two interpolated rows.
    pub fn scratch_len(&self) -> usize {
        2 * self.columns.len() * CHANNELS
    }

    pub fn run(&self, src: View<'_>, mut dst: ViewMut<'_>, scratch: &mut [i32]) {
        let (even, odd) = scratch.split_at_mut(self.columns.len() * CHANNELS);
        let lines = [even, odd];
        // Consecutive source rows differ in parity, so the two that a row needs never share a line.
        let mut held = [None; 2];
        for (y, row) in self.rows.iter().enumerate() {
            for source in row.source {
                if held[source % 2] != Some(source) {
                    mix_columns(&self.columns, src.row(source), lines[source % 2]);
                    held[source % 2] = Some(source);
                }
            }
            let [upper, lower] = row.source.map(|source| &*lines[source % 2]);
            mix_rows([upper, lower], row.weights, dst.row_mut(y));
        }
    }
}

fn pair(source: [usize; 2], weights: [i32; 2]) -> Tap {
    Tap::pair(source, weights.map(|weight| weight as i16))
}

fn mix_columns(columns: &[Column], row: &[u8], out: &mut [i32]) {
    for (column, out) in columns.iter().zip(out.chunks_exact_mut(CHANNELS)) {
        let left = &row[column.start[0]..][..CHANNELS];
        let right = &row[column.start[1]..][..CHANNELS];
        let [wl, wr] = column.weights;
        for channel in 0..CHANNELS {
            out[channel] = i32::from(left[channel]) * wl + i32::from(right[channel]) * wr;
        }
    }
}

/// OpenCV's `VResizeLinear` for bytes: products cut to their high 16 bits, then rounded by two more.
fn mix_rows([upper, lower]: [&[i32]; 2], [wu, wl]: [i32; 2], out: &mut [u8]) {
    for ((out, &upper), &lower) in out.iter_mut().zip(upper).zip(lower) {
        let sum = ((wu * (upper >> 4)) >> 16) + ((wl * (lower >> 4)) >> 16);
        *out = ((sum + 2) >> 2).clamp(0, 255) as u8;
    }
}

/// The rounded mean of each 2x2 block, which OpenCV takes for an exact halving.
pub fn halve(src: View<'_>, mut dst: ViewMut<'_>) {
    for y in 0..dst.height_px() {
        let (upper, lower) = (src.row(2 * y), src.row(2 * y + 1));
        let blocks = upper.chunks_exact(2 * CHANNELS).zip(lower.chunks_exact(2 * CHANNELS));
        for (out, (upper, lower)) in dst.row_mut(y).chunks_exact_mut(CHANNELS).zip(blocks) {
            for channel in 0..CHANNELS {
                let four = [upper[channel], upper[channel + CHANNELS], lower[channel], lower[channel + CHANNELS]];
                let sum: u16 = four.into_iter().map(u16::from).sum();
                out[channel] = ((sum + 2) >> 2) as u8;
            }
        }
    }
}
