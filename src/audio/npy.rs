//! A matrix as a NumPy file.

use std::io::{self, Write};

/// Header bytes before the padding: magic, version and the length field.
const PREAMBLE_BYTES: usize = 10;
const ALIGNMENT_BYTES: usize = 64;

/// Writes `values` as a `.npy` (format 1.0) of shape `[values.len() / columns, columns]`, little-endian
/// float32, C order, as `numpy.load` reads it.
///
/// Layout: numpy's `numpy/lib/format.py`, "Format Version 1.0".
///
/// # Errors
/// Whatever `out` fails with; `InvalidInput` when `values` is not a whole number of rows.
pub fn write_npy(out: &mut impl Write, values: &[f32], columns: usize) -> io::Result<()> {
    if columns == 0 || !values.len().is_multiple_of(columns) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{} values do not make rows of {columns}", values.len()),
        ));
    }
    let rows = values.len() / columns;
    let dictionary = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    let unpadded = PREAMBLE_BYTES + dictionary.len() + 1;
    let header_bytes = unpadded.next_multiple_of(ALIGNMENT_BYTES) - PREAMBLE_BYTES;
    // Two usize in decimal and the fixed text stay far below the 64 KiB the length field can say.
    let length = u16::try_from(header_bytes).map_err(io::Error::other)?;

    out.write_all(b"\x93NUMPY\x01\x00")?;
    out.write_all(&length.to_le_bytes())?;
    writeln!(out, "{dictionary:<width$}", width = header_bytes - 1)?;
    let mut buffer = [0; 16_384];
    for part in values.chunks(buffer.len() / 4) {
        let bytes = &mut buffer[..part.len() * 4];
        for (slot, value) in bytes.as_chunks_mut().0.iter_mut().zip(part) {
            *slot = value.to_le_bytes();
        }
        out.write_all(bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `numpy.save` (2.4.6) writes for `np.array([[1, -2.5, 0]], '<f4')`.
    const FROM_NUMPY: &[u8] = b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, \
        'shape': (1, 3), }                                                          \n\
        \x00\x00\x80\x3f\x00\x00\x20\xc0\x00\x00\x00\x00";

    #[test]
    fn bytes_are_those_of_numpy() {
        let mut out = Vec::new();
        write_npy(&mut out, &[1.0, -2.5, 0.0], 3).unwrap();
        assert_eq!(out.escape_ascii().to_string(), FROM_NUMPY.escape_ascii().to_string());
    }

    #[test]
    fn data_starts_aligned_whatever_the_shape() {
        for rows in [0, 1, 9, 10, 99_999] {
            let mut out = Vec::new();
            write_npy(&mut out, &vec![0.0; rows * 2], 2).unwrap();
            let header = 10 + usize::from(u16::from_le_bytes([out[8], out[9]]));
            assert_eq!(header % ALIGNMENT_BYTES, 0);
            assert_eq!(out.len(), header + rows * 8);
            assert_eq!(out[header - 1], b'\n');
        }
    }

    #[test]
    fn ragged_rows_are_refused() {
        for (len, columns) in [(5, 2), (0, 0), (4, 0)] {
            let error = write_npy(&mut Vec::new(), &vec![0.0; len], columns).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
    }
}
