//! Writing one restart segment out of parts of others: bits that are not whole bytes, stuffed and padded (T.81, B.1.1.5, F.1.2.3).

use super::huffman::Codes;
use super::macroblocks::Levels;
use super::seam::{Filling, Run, Seam};
use super::splice::{Cursor, SpliceError};

/// Writes the segment that `background` becomes when the MCUs between its seams are those of `filling` in `row`.
pub(super) fn join(
    out: &mut Cursor<'_>,
    codes: &Codes,
    (background, seam): (&[u8], &Seam),
    (row, filling): (&[u8], &Filling),
) -> Result<(), SpliceError> {
    let mut sink = BitSink { out, held: 0, bits: 0 };
    sink.copy(background, 0, seam.before_end)?;
    sink.run(codes, row, &filling.run, seam.before)?;
    if let Some(after) = &seam.after {
        sink.run(codes, background, after, filling.levels)?;
    }
    sink.finish()
}

struct BitSink<'o, 'b> {
    out: &'o mut Cursor<'b>,
    /// Bits not yet written, the last ones lowest; above them is rubbish.
    held: u64,
    bits: u32,
}

impl BitSink<'_, '_> {
    /// Writes a run of MCUs that follows DC values of `before`.
    fn run(&mut self, codes: &Codes, segment: &[u8], run: &Run, before: Levels) -> Result<(), SpliceError> {
        let [(_, y), cb, cr] = run.head.spans;
        let copied = [(y, cb.0), (cb.1, cr.0), (cr.1, run.end)];
        for (component, (from, to)) in copied.into_iter().enumerate() {
            let difference = i32::from(run.head.levels[component]) - i32::from(before[component]);
            let (bits, count) = codes.component(component).dc_bits(difference).ok_or(SpliceError::Coding)?;
            self.put(bits, count)?;
            self.copy(segment, from, to)?;
        }
        Ok(())
    }

    /// Writes the bits of `segment` from place `from` to place `to`.
    fn copy(&mut self, segment: &[u8], from: u32, to: u32) -> Result<(), SpliceError> {
        let (first, last) = ((from / 8) as usize, (to / 8) as usize);
        let (skipped, taken) = (from % 8, to % 8);
        let byte = |at: usize| segment.get(at).copied().map(u32::from).ok_or(SpliceError::Coding);
        if from > to || last > segment.len() {
            return Err(SpliceError::Coding);
        }
        if first == last {
            let count = taken - skipped;
            return if count == 0 { Ok(()) } else { self.put(byte(first)? >> (8 - taken), count) };
        }
        self.put(byte(first)?, 8 - skipped)?;
        let stuffed = usize::from(byte(first)? == 0xFF);
        self.copy_bytes(segment.get(first + 1 + stuffed..last).unwrap_or_default())?;
        if taken > 0 { self.put(byte(last)? >> (8 - taken), taken) } else { Ok(()) }
    }

    /// Writes whole bytes, which are stuffed as in the file.
    fn copy_bytes(&mut self, mut bytes: &[u8]) -> Result<(), SpliceError> {
        while let Some((&first, rest)) = bytes.split_first() {
            if let Some((word, rest)) = bytes.split_first_chunk() {
                let word = u32::from_be_bytes(*word);
                if !has_ff(word) {
                    self.put(word, 32)?;
                    bytes = rest;
                    continue;
                }
            }
            self.put(u32::from(first), 8)?;
            bytes = if first == 0xFF { rest.get(1..).unwrap_or_default() } else { rest };
        }
        Ok(())
    }

    /// Writes the lowest `count` bits of `bits`, at most 32.
    fn put(&mut self, bits: u32, count: u32) -> Result<(), SpliceError> {
        let bits = u64::from(bits) & ((1 << count) - 1);
        self.held = self.held << count | bits;
        self.bits += count;
        if self.bits >= 32 {
            self.bits -= 32;
            self.stuff((self.held >> self.bits) as u32)?;
        }
        Ok(())
    }

    fn stuff(&mut self, word: u32) -> Result<(), SpliceError> {
        if !has_ff(word) {
            return self.out.put(&word.to_be_bytes());
        }
        word.to_be_bytes().into_iter().try_for_each(|byte| self.stuff_byte(byte))
    }

    fn stuff_byte(&mut self, byte: u8) -> Result<(), SpliceError> {
        if byte == 0xFF { self.out.put(&[0xFF, 0]) } else { self.out.put(&[byte]) }
    }

    /// Fills the last byte with ones.
    fn finish(mut self) -> Result<(), SpliceError> {
        let padding = self.bits.wrapping_neg() % 8;
        self.put((1 << padding) - 1, padding)?;
        while self.bits > 0 {
            self.bits -= 8;
            self.stuff_byte((self.held >> self.bits) as u8)?;
        }
        Ok(())
    }
}

/// Whether one of four bytes is FF: a byte of the complement is zero there (Mycroft).
fn has_ff(word: u32) -> bool {
    let inverted = !word;
    inverted.wrapping_sub(0x0101_0101) & !inverted & 0x8080_8080 != 0
}
