//! Four dot products at once: the resampler's inner loop.

use multiversion::multiversion;

/// Dot products worked on together, so that one's additions fill the time another's take.
pub(super) const GROUP: usize = 4;

/// Partial sums of a dot product: two AVX registers of `f32`. Fixed, and with it the order of the additions, so that no
/// bit depends on the machine.
pub(super) const LANES: usize = 16;

/// The dot product of each window with its row; all are of one length, a multiple of [`LANES`].
///
/// `f32` throughout: 16 partial sums of a few dozen products each stay within -140 dB of the exact sum, far below
/// both the filter's stopband and the bottom of the mel scale.
pub(super) fn dots(windows: [&[f32]; GROUP], rows: [&[f32]; GROUP]) -> [f32; GROUP] {
    let mut sums = [[0.0; LANES]; GROUP];
    if rows.iter().all(|row| std::ptr::eq(row.as_ptr(), rows[0].as_ptr())) {
        shared_row_sums(windows, rows[0], &mut sums);
    } else {
        lane_sums(windows, rows, &mut sums);
    }
    sums.map(total)
}

#[multiversion(targets("x86_64+avx2"))]
fn lane_sums(windows: [&[f32]; GROUP], rows: [&[f32]; GROUP], out: &mut [[f32; LANES]; GROUP]) {
    let [w0, w1, w2, w3] = windows.map(|window| window.as_chunks::<LANES>().0.iter());
    let [r0, r1, r2, r3] = rows.map(|row| row.as_chunks::<LANES>().0.iter());
    let mut sums = [[0.0; LANES]; GROUP];
    for (((p0, p1), p2), p3) in w0.zip(r0).zip(w1.zip(r1)).zip(w2.zip(r2)).zip(w3.zip(r3)) {
        for (sum, (window, row)) in sums.iter_mut().zip([p0, p1, p2, p3]) {
            add_products(sum, window, row);
        }
    }
    *out = sums;
}

/// Where every output has the same phase: the row is loaded once for all of them.
#[multiversion(targets("x86_64+avx2"))]
fn shared_row_sums(windows: [&[f32]; GROUP], row: &[f32], out: &mut [[f32; LANES]; GROUP]) {
    let [w0, w1, w2, w3] = windows.map(|window| window.as_chunks::<LANES>().0.iter());
    let mut sums = [[0.0; LANES]; GROUP];
    for ((((row, w0), w1), w2), w3) in row.as_chunks::<LANES>().0.iter().zip(w0).zip(w1).zip(w2).zip(w3) {
        for (sum, window) in sums.iter_mut().zip([w0, w1, w2, w3]) {
            add_products(sum, window, row);
        }
    }
    *out = sums;
}

#[inline(always)] // Into the loops above, which are compiled for wider vectors as well.
fn add_products(sums: &mut [f32; LANES], window: &[f32; LANES], row: &[f32; LANES]) {
    for lane in 0..LANES {
        sums[lane] += window[lane] * row[lane];
    }
}

fn total(sums: [f32; LANES]) -> f32 {
    let [s0, s1, s2, s3] =
        sums.as_chunks::<4>().0.iter().fold([0.0; 4], |all, part| std::array::from_fn(|lane| all[lane] + part[lane]));
    (s0 + s2) + (s1 + s3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_row_changes_no_bit() {
        let values: Vec<f32> = (0..400).map(|n| (n as f32 * 0.37).sin()).collect();
        let row: Vec<f32> = (0..96).map(|n| (n as f32 * 0.11).cos()).collect();
        let windows: [&[f32]; GROUP] = std::array::from_fn(|at| &values[at * 31..][..96]);
        let copies: [Vec<f32>; GROUP] = std::array::from_fn(|_| row.clone());
        let apart = dots(windows, std::array::from_fn(|at| &copies[at][..]));
        assert_eq!(dots(windows, [&row[..]; GROUP]).map(f32::to_bits), apart.map(f32::to_bits));
        for (window, dot) in windows.iter().zip(apart) {
            let exact: f64 = window.iter().zip(&row).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            assert!((f64::from(dot) - exact).abs() < 1e-5, "{dot} {exact}");
        }
    }
}
