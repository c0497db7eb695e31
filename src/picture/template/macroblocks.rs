//! Where the MCUs of a restart segment begin, and the DC values there: what it takes to put a run of MCUs between others.
//!
//! A block's bits depend on its neighbours in one thing: each component's first DC value in an MCU is written as the difference
//! to the one before (ITU-T T.81, F.1.2.1). So a run of MCUs moves to another place by writing three differences anew and copying
//! all other bits, shifted.

use super::huffman::{Codes, Coding, Step};
use super::segments::{SegmentError, find_ff};

/// Blocks of each component in an MCU of 4:2:0, in their order.
const BLOCKS: [usize; 3] = [4, 1, 1];
/// Coefficients of a block.
const COEFFICIENTS: u8 = 64;
/// Largest size of a DC difference of 8-bit samples (table F.1).
const LARGEST_DC_SIZE: u8 = 11;
/// Bytes behind the segment's own that a window may reach into.
const PADDING: usize = 8;

/// DC values of Y, Cb and Cr.
pub(super) type Levels = [i16; 3];

/// Where an MCU begins. Places are bits of the segment's bytes as they are in the file, stuffing included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// Its first DC value of each component.
    pub levels: Levels,
    /// Where each of these is written: its first bit, and the bit after.
    pub spans: [(u32, u32); 3],
}

/// Reads a segment MCU by MCU.
pub(super) struct Walk<'a> {
    codes: &'a Codes,
    /// The segment without stuffing, and [`PADDING`] zeros.
    plain: &'a [u8],
    /// The next bits, from the top down; then zeros.
    window: u64,
    /// How many of them are there.
    held: u32,
    /// The first byte of `plain` that is not among them.
    next: usize,
    levels: Levels,
    places: Places<'a>,
}

impl<'a> Walk<'a> {
    /// Begins at the start of `segment`, using `plain` as working memory.
    pub fn new(codes: &'a Codes, segment: &'a [u8], plain: &'a mut Vec<u8>) -> Self {
        unstuff(segment, plain);
        let places = Places { segment, plain: 0, stuffed: 0 };
        Self { codes, plain, window: 0, held: 0, next: 0, levels: Levels::default(), places }
    }

    /// The DC values of the last MCU read; zeros at the start.
    pub fn levels(&self) -> Levels {
        self.levels
    }

    /// The place of the next MCU.
    pub fn place(&mut self) -> u32 {
        self.places.of(self.at())
    }

    /// Reads past `count` MCUs.
    ///
    /// # Errors
    /// [`SegmentError::Coding`] when there are no such bits.
    pub fn skip(&mut self, count: usize) -> Result<(), SegmentError> {
        for _ in 0..count {
            self.mcu().ok_or(SegmentError::Coding)?;
        }
        Ok(())
    }

    /// Reads the next MCU.
    ///
    /// # Errors
    /// [`SegmentError::Coding`] when there are no such bits.
    pub fn head(&mut self) -> Result<Head, SegmentError> {
        let head = self.mcu().ok_or(SegmentError::Coding)?;
        let spans = head.map(|(_, start, end)| (self.places.of(start), self.places.of(end)));
        Ok(Head { levels: head.map(|(level, ..)| level), spans })
    }

    /// Reads the padding after the last MCU.
    ///
    /// # Errors
    /// [`SegmentError::Coding`] when that is not all that is left.
    pub fn end(&self) -> Result<(), SegmentError> {
        let (at, bits) = (self.at(), self.bits());
        if at <= bits && bits - at < 8 { Ok(()) } else { Err(SegmentError::Coding) }
    }

    /// Of each component, its first DC value in the MCU and where that is written.
    fn mcu(&mut self) -> Option<[(i16, usize, usize); 3]> {
        let mut firsts = [(0, 0, 0); 3];
        for (component, first) in firsts.iter_mut().enumerate() {
            let coding = self.codes.component(component);
            for block in 0..BLOCKS[component] {
                let start = self.at();
                self.dc(coding, component)?;
                if block == 0 {
                    *first = (self.levels[component], start, self.at());
                }
                self.ac(coding)?;
            }
        }
        // The zeros behind the segment can look like codes.
        (self.at() <= self.bits()).then_some(firsts)
    }

    /// How many bits the segment has without stuffing.
    fn bits(&self) -> usize {
        (self.plain.len() - PADDING) * 8
    }

    /// The bit after those read.
    fn at(&self) -> usize {
        self.next * 8 - self.held as usize
    }

    /// Makes the window hold more bits than any code with its value has.
    #[inline]
    fn fill(&mut self) -> Option<()> {
        if self.held <= u32::BITS {
            let bytes = self.plain.get(self.next..)?.first_chunk()?;
            self.window |= u64::from(u32::from_be_bytes(*bytes)) << (u32::BITS - self.held);
            self.held += u32::BITS;
            self.next += bytes.len();
        }
        Some(())
    }

    #[inline]
    fn take(&mut self, bits: u32) {
        self.window <<= bits;
        self.held -= bits;
    }

    /// Reads a DC difference.
    fn dc(&mut self, coding: &Coding, component: usize) -> Option<()> {
        self.fill()?;
        let (length, size) = coding.dc.decode(self.window)?;
        if size > LARGEST_DC_SIZE {
            return None;
        }
        let size = u32::from(size);
        let value = (self.window << length).checked_shr(u64::BITS - size).unwrap_or(0) as i32;
        // Values of the lower half stand for negative ones (T.81, F.2.2.1, EXTEND).
        let negative = size > 0 && value < 1 << (size - 1);
        let difference = if negative { value - ((1 << size) - 1) } else { value };
        let level = i32::from(self.levels[component]) + difference;
        self.levels[component] = i16::try_from(level).ok()?;
        self.take(length + size);
        Some(())
    }

    /// Reads past a block's other coefficients.
    #[inline]
    fn ac(&mut self, coding: &Coding) -> Option<()> {
        let mut read = 1;
        while read < COEFFICIENTS {
            self.fill()?;
            let step = coding.ac.next(self.window)?;
            self.take(u32::from(step.bits));
            read += step.coefficients;
        }
        (read == COEFFICIENTS || read > Step::END).then_some(())
    }
}

/// Turns places among plain bits into places in the stuffed bytes, in order.
struct Places<'a> {
    segment: &'a [u8],
    /// A plain byte, and the byte of the segment that holds it.
    plain: usize,
    stuffed: usize,
}

impl Places<'_> {
    /// The place of plain bit `at`, which is not before the last one asked for.
    fn of(&mut self, at: usize) -> u32 {
        while self.plain < at / 8 {
            let stuffed = self.segment.get(self.stuffed) == Some(&0xFF);
            self.stuffed += 1 + usize::from(stuffed);
            self.plain += 1;
        }
        // Past 2^32 there is nothing: who copies bits finds out.
        u32::try_from(self.stuffed * 8 + at % 8).unwrap_or(u32::MAX)
    }
}

/// Writes `segment` without the zero byte after each FF (T.81, B.1.1.5) to `plain`, and zeros behind it for the last windows.
fn unstuff(segment: &[u8], plain: &mut Vec<u8>) {
    plain.clear();
    let mut from = 0;
    while let Some(at) = find_ff(segment, from) {
        plain.extend_from_slice(&segment[from..=at]);
        from = at + 2;
    }
    plain.extend_from_slice(segment.get(from..).unwrap_or_default());
    plain.extend_from_slice(&[0; PADDING]);
}

#[cfg(test)]
mod tests;
