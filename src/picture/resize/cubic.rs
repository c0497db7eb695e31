//! The bicubic passes: each destination row first mixes four source rows, then four neighbours along the row.
//!
//! The loops are compiled for AVX2 too and the CPU's is chosen at run time: twice as fast. All of it is integer
//! arithmetic that cannot overflow, so both give the same bits.

use multiversion::multiversion;

use super::taps::{self, Tap, Taps, WEIGHT_BITS};
use crate::picture::image::CHANNELS;
use crate::picture::view::{View, ViewMut};

/// Pixels that the replicated border adds on each side of a mixed row.
const PAD_PX: usize = 2;
/// Both passes' weights are taken off at once.
const SHIFT: u32 = 2 * WEIGHT_BITS;
const HALF: i32 = 1 << (SHIFT - 1);
/// Values a pixel's sums are computed in: its three channels and one to fill a vector register.
const LANES: usize = 4;

#[derive(Debug)]
pub struct Plan {
    src_width: usize,
    columns: Vec<Column>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Column {
    /// Index of the first tap's first value in a padded row; 13 values from there on exist.
    start: usize,
    weights: [i32; 4],
}

#[derive(Debug)]
struct Row {
    source: [usize; 4],
    weights: [i16; 4],
}

impl Plan {
    pub fn new(src: (usize, usize), dst: (usize, usize)) -> Self {
        let column = |x| {
            let (first, weights) = taps::cubic(x, src.0, dst.0);
            let start = (first + PAD_PX as isize).max(0) as usize * CHANNELS;
            Column { start, weights: weights.map(i32::from) }
        };
        let row = |y| {
            let (first, weights) = taps::cubic(y, src.1, dst.1);
            Row { source: std::array::from_fn(|k| taps::replicate(first + k as isize, src.1)), weights }
        };
        Self { src_width: src.0, columns: (0..dst.0).map(column).collect(), rows: (0..dst.1).map(row).collect() }
    }

    pub fn taps(&self) -> Taps {
        let column = |column: &Column| {
            let source = |k| taps::replicate((column.start / CHANNELS + k) as isize - PAD_PX as isize, self.src_width);
            Tap::new(std::array::from_fn(source), column.weights.map(|weight| weight as i16))
        };
        let row = |row: &Row| Tap::new(row.source, row.weights);
        Taps { columns: self.columns.iter().map(column).collect(), rows: self.rows.iter().map(row).collect() }
    }

    /// A padded row of mixed rows and a row of sums, each with one value more for the fourth lane of the last pixel.
    pub fn scratch_len(&self) -> usize {
        self.padded_len() + self.columns.len() * CHANNELS + 1
    }

    fn padded_len(&self) -> usize {
        (self.src_width + 2 * PAD_PX) * CHANNELS + 1
    }

    pub fn run(&self, src: View<'_>, mut dst: ViewMut<'_>, scratch: &mut [i32]) {
        let (padded, sums) = scratch.split_at_mut(self.padded_len());
        // Read, though not used, by the fourth lane of the last column.
        if let Some(beyond) = padded.last_mut() {
            *beyond = 0;
        }
        let inner = PAD_PX * CHANNELS..(PAD_PX + self.src_width) * CHANNELS;
        for (y, row) in self.rows.iter().enumerate() {
            mix_rows(row.source.map(|y| src.row(y)), row.weights, &mut padded[inner.clone()]);
            replicate_ends(padded, inner.clone());
            mix_columns(&self.columns, padded, sums);
            round(sums, dst.row_mut(y));
        }
    }
}

/// Weighted sum of four rows; `i16` weights let the compiler use 16-bit multiplications.
#[multiversion(targets("x86_64+avx2"))]
fn mix_rows(source: [&[u8]; 4], weights: [i16; 4], out: &mut [i32]) {
    let [a, b, c, d] = source.map(|row| &row[..out.len()]);
    let [wa, wb, wc, wd] = weights;
    let term = |value: u8, weight: i16| i32::from(i16::from(value)) * i32::from(weight);
    for (i, out) in out.iter_mut().enumerate() {
        *out = term(a[i], wa) + term(b[i], wb) + term(c[i], wc) + term(d[i], wd);
    }
}

fn replicate_ends(padded: &mut [i32], inner: std::ops::Range<usize>) {
    for pad in 0..PAD_PX {
        padded.copy_within(inner.start..inner.start + CHANNELS, pad * CHANNELS);
        padded.copy_within(inner.end - CHANNELS..inner.end, inner.end + pad * CHANNELS);
    }
}

/// Weighted sums of four neighbouring pixels, in lanes of four: the fourth is the next pixel's first, which that one
/// overwrites.
#[multiversion(targets("x86_64+avx2"))]
fn mix_columns(columns: &[Column], padded: &[i32], sums: &mut [i32]) {
    const TAPS: usize = 3 * CHANNELS + LANES;
    for (i, column) in columns.iter().enumerate() {
        let taps = &padded[column.start..][..TAPS];
        let [w0, w1, w2, w3] = column.weights;
        let mut lanes = [0; LANES];
        for (l, lane) in lanes.iter_mut().enumerate() {
            let (left, right) = (taps[l] * w0 + taps[l + CHANNELS] * w1, taps[l + 2 * CHANNELS] * w2);
            *lane = left + right + taps[l + 3 * CHANNELS] * w3;
        }
        sums[i * CHANNELS..][..LANES].copy_from_slice(&lanes);
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn round(sums: &[i32], out: &mut [u8]) {
    for (out, sum) in out.iter_mut().zip(sums) {
        *out = ((sum + HALF) >> SHIFT).clamp(0, 255) as u8;
    }
}
