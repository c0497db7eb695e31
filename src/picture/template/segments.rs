//! The restart segments of a baseline JPEG: where each one's entropy-coded bytes end (ITU-T T.81, B.1 and F.1.2.3).

use super::header::Header;

const EOI: u8 = 0xD9;
/// The first of the eight restart markers (T.81, table B.1).
const RST0: u8 = 0xD0;

/// The marker that follows segment `index` of a file, unless it is the last.
pub(super) fn restart_marker(index: usize) -> u8 {
    RST0 + (index % 8) as u8
}

/// Why bytes are no baseline JPEG with restart segments in order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// The header breaks off or holds something that is no marker segment.
    #[error("the JPEG header is broken at byte {at}")]
    Header {
        /// Where.
        at: usize,
    },
    /// The scan holds a marker that does not belong there.
    #[error("marker {marker:#04X} at byte {at} of the JPEG does not belong into its scan")]
    Marker {
        /// Second byte of the marker.
        marker: u8,
        /// Where.
        at: usize,
    },
    /// There is no end marker, or something follows it.
    #[error("the JPEG has {len} bytes but no end marker in the last two")]
    End {
        /// Bytes of the file.
        len: usize,
    },
    /// The number of segments is not the layout's.
    #[error("the JPEG has {got} restart segments, its layout {expected}")]
    Count {
        /// Segments of the layout.
        expected: usize,
        /// Segments found.
        got: usize,
    },
    /// Its blocks cannot be read: other tables or sampling than templates have, or damage.
    #[error("the JPEG's coefficients cannot be read as a baseline scan in 4:2:0; make the templates again")]
    Coding,
    /// Offsets are kept in 32 bits.
    #[error("a JPEG of {len} bytes is too long for an index")]
    TooLong {
        /// Bytes of the file.
        len: usize,
    },
}

/// Writes into `ends` the offset of each segment's end, where its marker stands (the last one's is the end marker), and
/// returns the offset of the scan's first byte. `ends` is cleared first and grows only past its capacity.
///
/// # Errors
/// [`SegmentError`] for anything but a baseline JPEG of one scan whose markers count from RST0 in order; for another
/// number of segments than `expected`.
pub fn index_segments(jpeg: &[u8], expected: usize, ends: &mut Vec<u32>) -> Result<usize, SegmentError> {
    ends.clear();
    if u32::try_from(jpeg.len()).is_err() {
        return Err(SegmentError::TooLong { len: jpeg.len() });
    }
    let scan = Header::read(jpeg)?.scan;
    let mut at = scan;
    loop {
        at = find_ff(jpeg, at).ok_or(SegmentError::End { len: jpeg.len() })?;
        let marker = *jpeg.get(at + 1).ok_or(SegmentError::End { len: jpeg.len() })?;
        if marker != 0 {
            if ends.len() == expected {
                return Err(SegmentError::Count { expected, got: ends.len() + 1 });
            }
            let restart = restart_marker(ends.len());
            ends.push(at as u32);
            if marker == EOI {
                break;
            }
            if marker != restart {
                return Err(SegmentError::Marker { marker, at });
            }
        }
        at += 2;
    }
    if at + 2 != jpeg.len() {
        return Err(SegmentError::End { len: jpeg.len() });
    }
    if ends.len() != expected {
        return Err(SegmentError::Count { expected, got: ends.len() });
    }
    Ok(scan)
}

/// The first byte `FF` at or after `from`. Eight bytes a step: the search reads every byte of every patch.
pub(super) fn find_ff(bytes: &[u8], from: usize) -> Option<usize> {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let (words, tail) = bytes.get(from..)?.as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        // A byte of the complement is zero where the byte is FF; its lowest zero byte sets the lowest high bit (Mycroft).
        let inverted = !u64::from_le_bytes(*word);
        let zeros = inverted.wrapping_sub(LOW) & !inverted & HIGH;
        if zeros != 0 {
            return Some(from + i * 8 + zeros.trailing_zeros() as usize / 8);
        }
    }
    let start = from + words.len() * 8;
    tail.iter().position(|&byte| byte == 0xFF).map(|i| start + i)
}

#[cfg(test)]
mod tests;
