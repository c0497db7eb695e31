//! A matrix as a NumPy file.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Header bytes before the padding: magic, version and the length field.
const PREAMBLE_BYTES: usize = 10;
const ALIGNMENT_BYTES: usize = 64;

/// Values turned into bytes at a time.
const BLOCK_VALUES: usize = 4096;

/// Writes `values` as a `.npy` (format 1.0) of shape `[values.len() / columns, columns]`, little-endian
/// float32, C order, as `numpy.load` reads it.
///
/// Layout: numpy's `numpy/lib/format.py`, "Format Version 1.0".
///
/// # Errors
/// Whatever `out` fails with; `InvalidInput` when `values` is not a whole number of rows.
pub fn write_npy(out: &mut impl Write, values: &[f32], columns: usize) -> io::Result<()> {
    let rows = whole_rows(values, columns)?;
    out.write_all(header(rows, columns).as_slice())?;
    in_bytes(values, &mut |bytes| out.write_all(bytes))
}

/// A `.npy` as [`write_npy`] makes it, on disk, whose rows are written by several threads in any order.
#[derive(Debug)]
pub struct NpyFile {
    file: File,
    columns: usize,
    header_bytes: usize,
    /// Whether it has positions to write at, as a pipe has not.
    seekable: bool,
}

impl NpyFile {
    /// Creates the file, or empties it, and writes the header for a shape of `[rows, columns]`.
    ///
    /// # Errors
    /// Those of the system.
    pub fn create(path: &Path, rows: usize, columns: usize) -> io::Result<Self> {
        let mut file = File::create(path)?;
        let header = header(rows, columns);
        file.write_all(&header)?;
        let seekable = file.metadata()?.is_file();
        Ok(Self { file, columns, header_bytes: header.len(), seekable })
    }

    /// Whether rows may be written in any order; if not, they must come in their own.
    #[must_use]
    pub fn takes_any_order(&self) -> bool {
        self.seekable
    }

    /// Writes `values`, whole rows of which the first is row `first`.
    ///
    /// # Errors
    /// Those of the system; `InvalidInput` when `values` is not a whole number of rows.
    pub fn write_rows(&self, first: usize, values: &[f32]) -> io::Result<()> {
        whole_rows(values, self.columns)?;
        let mut at = (self.header_bytes + first * self.columns * size_of::<f32>()) as u64;
        in_bytes(values, &mut |bytes| {
            let start = at;
            at += bytes.len() as u64;
            if self.seekable { self.file.write_all_at(bytes, start) } else { (&self.file).write_all(bytes) }
        })
    }
}

/// How many rows `values` are.
fn whole_rows(values: &[f32], columns: usize) -> io::Result<usize> {
    if columns == 0 || !values.len().is_multiple_of(columns) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{} values do not make rows of {columns}", values.len()),
        ));
    }
    Ok(values.len() / columns)
}

/// Everything before the values.
fn header(rows: usize, columns: usize) -> Vec<u8> {
    let dictionary = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    let header_bytes = (PREAMBLE_BYTES + dictionary.len() + 1).next_multiple_of(ALIGNMENT_BYTES);
    let length = header_bytes - PREAMBLE_BYTES;
    // Two usize in decimal and the fixed text stay far below the 64 KiB the length field can say.
    let [low, high, ..] = length.to_le_bytes();
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend([low, high]);
    bytes.extend(format!("{dictionary:<width$}\n", width = length - 1).into_bytes());
    bytes
}

/// Gives `write` the little-endian bytes of `values`, a block at a time.
fn in_bytes(values: &[f32], write: &mut impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut buffer = [0; BLOCK_VALUES * size_of::<f32>()];
    for part in values.chunks(BLOCK_VALUES) {
        let bytes = &mut buffer[..size_of_val(part)];
        for (slot, value) in bytes.as_chunks_mut().0.iter_mut().zip(part) {
            *slot = value.to_le_bytes();
        }
        write(bytes)?;
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
    fn rows_written_backwards_make_the_same_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.npy");
        let values: Vec<f32> = (0..30_000).map(|n| n as f32).collect();
        let file = NpyFile::create(&path, 10_000, 3).unwrap();
        assert!(file.takes_any_order());
        for (first, end) in [(7000, 10_000), (0, 100), (100, 7000)] {
            file.write_rows(first, &values[first * 3..end * 3]).unwrap();
        }
        let mut expected = Vec::new();
        write_npy(&mut expected, &values, 3).unwrap();
        assert!(std::fs::read(&path).unwrap() == expected);
    }

    #[test]
    fn ragged_rows_are_refused() {
        for (len, columns) in [(5, 2), (0, 0), (4, 0)] {
            let error = write_npy(&mut Vec::new(), &vec![0.0; len], columns).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
    }
}
