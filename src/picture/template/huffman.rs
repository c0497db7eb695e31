//! The Huffman tables of a JPEG: codes to symbols, and DC differences to codes (ITU-T T.81, annexes C and F).

use super::header::Header;
use super::segments::SegmentError;

/// Bits of a code that are looked up at once; longer codes are rare.
const LOOKUP_BITS: u32 = 9;
const STEP_BITS: u32 = 11;
const LONGEST_BITS: usize = 16;
/// Sizes that a DC difference of 8-bit samples can have, 0 included (table F.1).
const DC_SIZES: usize = 12;

/// The tables of a 4:2:0 picture's components Y, Cb and Cr.
#[derive(Debug, Clone)]
pub(super) struct Codes([Coding; 3]);

/// The tables of one component.
#[derive(Debug, Clone)]
pub(super) struct Coding {
    pub dc: Decoder,
    pub ac: Steps,
    /// By size: a DC difference's code and the code's bits; 0 bits where the table has none.
    dc_codes: [(u16, u8); DC_SIZES],
}

/// How far a code of other coefficients reaches, for who wants to get past them.
#[derive(Debug, Clone)]
pub(super) struct Steps {
    /// By the code's first [`STEP_BITS`]; no bits where the code is longer.
    lookup: Box<[Step]>,
    decoder: Decoder,
}

/// One code with the value bits behind it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// Bits of code and value.
    pub bits: u8,
    /// Coefficients it stands for; [`Step::END`] for the end of the block.
    pub coefficients: u8,
}

/// Codes to symbols.
#[derive(Debug, Clone)]
pub(super) struct Decoder {
    /// By the code's first bits: its length, 0 for one that is longer or none, and its symbol.
    lookup: Box<[(u8, u8)]>,
    /// By length: one past the last code, moved to the top of 16 bits.
    limit: [u32; LONGEST_BITS + 1],
    /// By length: the first code, and its place among the symbols.
    first: [(u32, usize); LONGEST_BITS + 1],
    symbols: Vec<u8>,
}

impl Codes {
    /// The tables in a JPEG's header.
    ///
    /// # Errors
    /// [`SegmentError::Coding`] for anything but one scan of three components in 4:2:0 with all tables it needs.
    pub fn of(header: &Header<'_>) -> Result<Self, SegmentError> {
        let mut tables: [[Option<Decoder>; 4]; 2] = Default::default();
        for content in header.huffman {
            read_tables(content, &mut tables).ok_or(SegmentError::Coding)?;
        }
        // Precision and size, then of each component its number, sampling factors and quantisation table.
        let sampled = matches!(header.frame, [8, _, _, _, _, 3, _, 0x22, _, _, 0x11, _, _, 0x11, _]);
        // Of each component its number and its tables; then the whole spectrum at full precision.
        let (true, &[3, _, y, _, cb, _, cr, 0, 63, 0]) = (sampled, header.components) else {
            return Err(SegmentError::Coding);
        };
        let coding = |selected: u8| {
            let table = |class: usize, at: u8| tables[class].get(usize::from(at)).and_then(Option::as_ref);
            let (dc, ac) = (table(0, selected >> 4)?, table(1, selected & 15)?);
            Some(Coding { dc: dc.clone(), ac: Steps::new(ac.clone()), dc_codes: dc.codes() })
        };
        match [y, cb, cr].map(coding) {
            [Some(y), Some(cb), Some(cr)] => Ok(Self([y, cb, cr])),
            _ => Err(SegmentError::Coding),
        }
    }

    /// The tables of component 0, 1 or 2.
    pub fn component(&self, component: usize) -> &Coding {
        &self.0[component]
    }
}

impl Coding {
    /// The code of a DC difference with its sign and value bits behind it, and the bits of both; `None` for a difference
    /// that 8-bit samples cannot have.
    pub fn dc_bits(&self, difference: i32) -> Option<(u32, u32)> {
        let size = u32::BITS - difference.unsigned_abs().leading_zeros();
        let (code, length) = *self.dc_codes.get(size as usize).filter(|(_, length)| *length > 0)?;
        // A negative value is written as itself less one, in as many bits (F.1.2.1.1).
        let value = (difference - i32::from(difference < 0)) as u32 & ((1 << size) - 1);
        Some((u32::from(code) << size | value, u32::from(length) + size))
    }
}

impl Step {
    /// More than a block has, whatever was read of it before.
    pub const END: u8 = 128;

    fn of((length, symbol): (u32, u8)) -> Option<Self> {
        let (zeros, size) = (symbol >> 4, symbol & 15);
        let coefficients = match (zeros, size) {
            (0, 0) => Self::END,
            (15, 0) => 16,
            (_, 0) => return None,
            _ => zeros + 1,
        };
        Some(Self { bits: length as u8 + size, coefficients })
    }
}

impl Steps {
    fn new(decoder: Decoder) -> Self {
        let step = |top: u64| {
            let code = decoder.decode(top << (u64::BITS - STEP_BITS));
            code.filter(|(length, _)| *length <= STEP_BITS).and_then(Step::of).unwrap_or_default()
        };
        Self { lookup: (0..1 << STEP_BITS).map(step).collect(), decoder }
    }

    /// The step at the top of `window`; `None` where no code begins so.
    #[inline]
    pub fn next(&self, window: u64) -> Option<Step> {
        let step = self.lookup[(window >> (u64::BITS - STEP_BITS)) as usize];
        if step.bits > 0 { Some(step) } else { self.decoder.decode(window).and_then(Step::of) }
    }
}

impl Decoder {
    /// The table whose codes are counted by length in `counts`, for `symbols` in order; `None` for counts that no code has.
    fn new(counts: &[u8; LONGEST_BITS], symbols: &[u8]) -> Option<Self> {
        let mut table = Self {
            lookup: vec![(0, 0); 1 << LOOKUP_BITS].into(),
            limit: [0; LONGEST_BITS + 1],
            first: [(0, 0); LONGEST_BITS + 1],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut at) = (0_u32, 0);
        for (length, &count) in (1..).zip(counts) {
            table.first[length] = (code, at);
            for _ in 0..count {
                table.enter(code, length, *symbols.get(at)?);
                (code, at) = (code + 1, at + 1);
            }
            if code > 1 << length {
                return None;
            }
            table.limit[length] = code << (LONGEST_BITS - length);
            code <<= 1;
        }
        (at == symbols.len()).then_some(table)
    }

    fn enter(&mut self, code: u32, length: usize, symbol: u8) {
        let Some(free) = LOOKUP_BITS.checked_sub(length as u32) else { return };
        let first = (code as usize) << free;
        if let Some(entries) = self.lookup.get_mut(first..first + (1 << free)) {
            entries.fill((length as u8, symbol));
        }
    }

    /// Length and symbol of the code at the top of `window`; `None` where none begins so.
    #[inline]
    pub fn decode(&self, window: u64) -> Option<(u32, u8)> {
        let (length, symbol) = self.lookup[(window >> (u64::BITS - LOOKUP_BITS)) as usize];
        if length > 0 { Some((u32::from(length), symbol)) } else { self.decode_long(window) }
    }

    #[cold]
    fn decode_long(&self, window: u64) -> Option<(u32, u8)> {
        let top = (window >> 48) as u32;
        let length = (LOOKUP_BITS as usize + 1..=LONGEST_BITS).find(|&length| top < self.limit[length])?;
        let (first, at) = self.first[length];
        let code = top >> (LONGEST_BITS - length);
        Some((length as u32, *self.symbols.get(at + code.checked_sub(first)? as usize)?))
    }

    /// The code of each size of a DC difference.
    fn codes(&self) -> [(u16, u8); DC_SIZES] {
        let mut codes = [(0, 0); DC_SIZES];
        for length in 1..=LONGEST_BITS {
            let (first, at) = self.first[length];
            let end = self.first.get(length + 1).map_or(self.symbols.len(), |(_, at)| *at);
            for (code, &symbol) in (first..).zip(&self.symbols[at..end]) {
                if let Some(entry) = codes.get_mut(usize::from(symbol)) {
                    *entry = (code as u16, length as u8);
                }
            }
        }
        codes
    }
}

/// Reads the tables of one DHT segment into their places by class and number.
fn read_tables(mut content: &[u8], tables: &mut [[Option<Decoder>; 4]; 2]) -> Option<()> {
    while let Some((&place, rest)) = content.split_first() {
        let (counts, rest) = rest.split_first_chunk::<LONGEST_BITS>()?;
        let total = counts.iter().map(|&count| usize::from(count)).sum();
        let (symbols, rest) = rest.split_at_checked(total)?;
        let table = tables.get_mut(usize::from(place >> 4))?.get_mut(usize::from(place & 15))?;
        *table = Some(Decoder::new(counts, symbols)?);
        content = rest;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T.81, table K.3: the usual codes of luma's DC differences.
    const COUNTS: [u8; 16] = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];

    fn luma_dc() -> Coding {
        let symbols: Vec<u8> = (0..12).collect();
        let dc = Decoder::new(&COUNTS, &symbols).unwrap();
        Coding { dc_codes: dc.codes(), ac: Steps::new(dc.clone()), dc }
    }

    #[test]
    fn the_usual_codes_of_dc_differences() {
        let coding = luma_dc();
        assert_eq!(coding.dc_bits(0), Some((0b00, 2)));
        assert_eq!(coding.dc_bits(1), Some((0b0101, 4)));
        assert_eq!(coding.dc_bits(-1), Some((0b0100, 4)));
        assert_eq!(coding.dc_bits(-3), Some((0b0_1100, 5)));
        assert_eq!(coding.dc_bits(5), Some((0b10_0101, 6)));
        assert_eq!(coding.dc_bits(2047), Some((0b1_1111_1110 << 11 | 2047, 20)));
        assert_eq!(coding.dc_bits(2048), None);
        assert_eq!(coding.dc_bits(i32::MIN), None);
    }

    #[test]
    fn codes_are_read_back() {
        let coding = luma_dc();
        for difference in -2047_i32..=2047 {
            let (bits, length) = coding.dc_bits(difference).unwrap();
            let (code, size) = coding.dc.decode(u64::from(bits) << (64 - length)).unwrap();
            assert_eq!(code + u32::from(size), length, "{difference}");
        }
        // Nine ones is no code.
        assert_eq!(coding.dc.decode(u64::MAX), None);
    }

    #[test]
    fn long_codes_are_found() {
        // One code of each length, then 15 of 16 bits.
        let mut counts = [1; 16];
        counts[15] = 1;
        let symbols: Vec<u8> = (100..116).collect();
        let table = Decoder::new(&counts, &symbols).unwrap();
        for length in 1..=16_u32 {
            let code = (1_u64 << length) - 2;
            assert_eq!(table.decode(code << (64 - length)), Some((length, 99 + length as u8)));
        }
    }

    #[test]
    fn steps_are_codes_with_their_values() {
        // Codes 0, 10, 110, ... for: end, value of 3 bits after 2 zeros, 16 zeros, nonsense, value of 10 bits.
        let mut counts = [1; 16];
        counts[5..].fill(0);
        let steps = Steps::new(Decoder::new(&counts, &[0x00, 0x23, 0xF0, 0x30, 0x0A]).unwrap());
        let next = |code: u64, length: u32| steps.next(code << (64 - length));
        assert_eq!(next(0b0, 1), Some(Step { bits: 1, coefficients: Step::END }));
        assert_eq!(next(0b10, 2), Some(Step { bits: 5, coefficients: 3 }));
        assert_eq!(next(0b110, 3), Some(Step { bits: 3, coefficients: 16 }));
        assert_eq!(next(0b1110, 4), None);
        assert_eq!(next(0b11110, 5), Some(Step { bits: 15, coefficients: 1 }));
        assert_eq!(next(0b11111, 5), None);
    }

    #[test]
    fn impossible_tables_are_refused() {
        let mut counts = [0; 16];
        counts[0] = 3;
        assert!(Decoder::new(&counts, &[1, 2, 3]).is_none(), "three codes of one bit");
        counts[0] = 1;
        assert!(Decoder::new(&counts, &[1, 2]).is_none(), "a symbol without a code");
        assert!(Decoder::new(&counts, &[]).is_none(), "a code without a symbol");
        let mut tables = Default::default();
        assert!(read_tables(&[0x20; 40], &mut tables).is_none(), "no such class");
        assert!(read_tables(&[0x00, 1], &mut tables).is_none(), "cut");
    }
}
