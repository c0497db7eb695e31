//! Which source samples a destination sample reads, and with which 11-bit weights.
//!
//! Formulas and their order of operations: OpenCV `modules/imgproc/src/resize.cpp` (`interpolateCubic`, `hal::resize`),
//! in `f32` as there, because the rounded weights depend on it.

/// Bits of a weight: 2048 is one.
pub const WEIGHT_BITS: u32 = 11;
const WEIGHT_ONE: f32 = (1 << WEIGHT_BITS) as f32;

/// What one column or row of a resized picture is mixed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tap {
    /// Columns or rows of the source, each of which exists: the border is replicated already. Bilinear uses the first two.
    pub source: [u16; 4],
    /// Their weights; 2048 is one.
    pub weight: [i16; 4],
}

impl Tap {
    /// From indices below [`crate::picture::MAX_SIDE_PX`], which is far below 2^16.
    pub(super) fn new(source: [usize; 4], weight: [i16; 4]) -> Self {
        Self { source: source.map(|index| index as u16), weight }
    }

    /// Of two sources.
    pub(super) fn pair([first, second]: [usize; 2], weight: [i16; 2]) -> Self {
        Self::new([first, second, second, second], [weight[0], weight[1], 0, 0])
    }
}

/// All taps of a resize.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taps {
    /// One for each column of the result.
    pub columns: Vec<Tap>,
    /// One for each row of the result.
    pub rows: Vec<Tap>,
}

/// Where `dst` lies between source samples: the sample on its left (may be -1) and the way to the next, 0..1.
fn position(dst: usize, src_len: usize, dst_len: usize) -> (isize, f32) {
    // OpenCV inverts the rounded quotient dst/src rather than dividing src by dst.
    let scale = 1.0 / (dst_len as f64 / src_len as f64);
    let at = ((dst as f64 + 0.5) * scale - 0.5) as f32;
    let left = at.floor();
    (left as isize, at - left)
}

fn weight(w: f32) -> i16 {
    (w * WEIGHT_ONE).round_ties_even() as i16
}

/// First of the four taps (may be -2; the last may be `src_len + 1`) and their weights.
pub fn cubic(dst: usize, src_len: usize, dst_len: usize) -> (isize, [i16; 4]) {
    const A: f32 = -0.75;
    let (left, x) = position(dst, src_len, dst_len);
    let w0 = ((A * (x + 1.0) - 5.0 * A) * (x + 1.0) + 8.0 * A) * (x + 1.0) - 4.0 * A;
    let w1 = ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let w2 = ((A + 2.0) * (1.0 - x) - (A + 3.0)) * (1.0 - x) * (1.0 - x) + 1.0;
    let w3 = 1.0 - w0 - w1 - w2;
    (left - 1, [w0, w1, w2, w3].map(weight))
}

/// First of the two taps (may be -1; the second may be `src_len`) and their weights.
pub fn linear(dst: usize, src_len: usize, dst_len: usize) -> (isize, [i16; 2]) {
    let (left, x) = position(dst, src_len, dst_len);
    (left, [1.0 - x, x].map(weight))
}

/// The sample that stands for `index` when the border is replicated.
pub fn replicate(index: isize, len: usize) -> usize {
    index.clamp(0, len as isize - 1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_size_reads_each_sample_itself() {
        for i in 0..7 {
            assert_eq!(cubic(i, 7, 7), (i as isize - 1, [0, 2048, 0, 0]));
            assert_eq!(linear(i, 7, 7), (i as isize, [2048, 0]));
        }
    }

    #[test]
    fn halfway_weights_are_opencvs() {
        // Doubling puts samples a quarter and three quarters between neighbours.
        assert_eq!(cubic(1, 10, 20), (-1, [-216, 1800, 536, -72]));
        assert_eq!(cubic(0, 10, 20), (-2, [-72, 536, 1800, -216]));
        assert_eq!(linear(0, 10, 20), (-1, [512, 1536]));
    }

    #[test]
    fn taps_stay_within_the_padding_for_all_sizes() {
        for src in [1usize, 2, 3, 328, 16_384] {
            for dst in [1usize, 2, 3, 5, 240, 4_097, 16_384] {
                for i in 0..dst {
                    let first = cubic(i, src, dst).0;
                    assert!(first >= -2 && first + 3 <= src as isize + 1, "{src} {dst} {i}");
                }
            }
        }
    }
}
