//! The marker segments before a baseline JPEG's scan: tables, sizes, the restart interval (ITU-T T.81, annex B).

use super::segments::SegmentError;

const SOI: u8 = 0xD8;
const SOF0: u8 = 0xC0;
const DHT: u8 = 0xC4;
const SOS: u8 = 0xDA;
const DQT: u8 = 0xDB;
const DRI: u8 = 0xDD;
const APP0: u8 = 0xE0;
const APP15: u8 = 0xEF;
const COM: u8 = 0xFE;

/// Offset of a marker segment's content: the marker and the length field, two bytes each.
const CONTENT_AT: usize = 4;

/// Where things stand in a header.
#[derive(Debug, Default)]
pub(super) struct Header<'a> {
    /// Offset of the first byte after the header.
    pub scan: usize,
    /// Offset of the frame header's height and width, two bytes each.
    size_at: Option<usize>,
    /// Offset of the restart interval's two bytes.
    interval_at: Option<usize>,
    /// Contents of SOF0 and SOS.
    pub frame: &'a [u8],
    pub components: &'a [u8],
    /// Contents of the DHT segments, in order; an encoder writes one or four.
    pub huffman: [&'a [u8]; 4],
}

impl<'a> Header<'a> {
    /// Reads the header of `jpeg`, which may end where the scan begins.
    ///
    /// # Errors
    /// [`SegmentError::Header`] for anything but the marker segments of a baseline JPEG.
    pub fn read(jpeg: &'a [u8]) -> Result<Self, SegmentError> {
        if !jpeg.starts_with(&[0xFF, SOI]) {
            return Err(SegmentError::Header { at: 0 });
        }
        let mut header = Self::default();
        let (mut at, mut tables) = (2, 0);
        loop {
            let broken = SegmentError::Header { at };
            let Some(&[0xFF, marker, high, low]) = jpeg.get(at..at + CONTENT_AT) else { return Err(broken) };
            let end = at + 2 + usize::from(u16::from_be_bytes([high, low]));
            let Some(content) = jpeg.get(at + CONTENT_AT..end) else { return Err(broken) };
            match marker {
                SOS => {
                    header.components = content;
                    header.scan = end;
                    return Ok(header);
                }
                // Precision, height, width.
                SOF0 if content.len() >= 5 => {
                    header.size_at = Some(at + CONTENT_AT + 1);
                    header.frame = content;
                }
                DRI if content.len() == 2 => header.interval_at = Some(at + CONTENT_AT),
                DHT => {
                    *header.huffman.get_mut(tables).ok_or(broken)? = content;
                    tables += 1;
                }
                DQT | APP0..=APP15 | COM => {}
                _ => return Err(broken),
            }
            at = end;
        }
    }

    /// The frame's size and the restart interval: what may differ between a strip and its frame.
    fn own(&self) -> Result<[std::ops::Range<usize>; 2], SegmentError> {
        let missing = SegmentError::Header { at: self.scan };
        let (size, interval) = (self.size_at.ok_or(missing.clone())?, self.interval_at.ok_or(missing)?);
        Ok([size..size + 4, interval..interval + 2])
    }
}

/// Whether two headers agree in all but the picture's size and the restart interval: same tables, same sampling.
///
/// # Errors
/// [`SegmentError::Header`] when one of them is no header, or has no restart interval.
pub(super) fn headers_agree(a: &[u8], b: &[u8]) -> Result<bool, SegmentError> {
    let (own_a, own_b) = (Header::read(a)?.own()?, Header::read(b)?.own()?);
    let same_places = a.len() == b.len() && own_a == own_b;
    let own = |at: usize| own_a.iter().any(|range| range.contains(&at));
    Ok(same_places && a.iter().zip(b).enumerate().all(|(at, (a, b))| a == b || own(at)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Image, JpegEncoder, JpegSettings, Quality};

    fn header(width: usize, height: usize, restart_interval_mcus: u16, quality: u32) -> Vec<u8> {
        let quality = Quality::new(quality).unwrap();
        let mut encoder = JpegEncoder::new(JpegSettings { quality, restart_interval_mcus }).unwrap();
        let mut jpeg = Vec::new();
        encoder.encode_to_vec(Image::black(width, height).unwrap().view(), &mut jpeg).unwrap();
        jpeg.truncate(Header::read(&jpeg).unwrap().scan);
        jpeg
    }

    #[test]
    fn headers_agree_when_only_size_and_interval_differ() {
        let base = header(160, 48, 2, 75);
        assert!(headers_agree(&base, &header(32, 16, 2, 75)).unwrap());
        assert!(headers_agree(&base, &header(32, 16, 1, 75)).unwrap());
        assert!(!headers_agree(&base, &header(160, 48, 2, 76)).unwrap());
        let mut other_table = base.clone();
        let quantisation = other_table.windows(2).position(|w| w == [0xFF, DQT]).unwrap();
        other_table[quantisation + 9] ^= 1;
        assert!(!headers_agree(&base, &other_table).unwrap());
        assert!(headers_agree(&base, &base[..base.len() - 1]).is_err());
        assert!(headers_agree(&base, &header(160, 48, 0, 75)).is_err(), "no interval");
        assert!(headers_agree(b"", &base).is_err());
    }

    #[test]
    fn contents_are_found() {
        let bytes = header(160, 48, 2, 75);
        let header = Header::read(&bytes).unwrap();
        assert_eq!(header.scan, bytes.len());
        assert_eq!(header.frame[1..5], [0, 48, 0, 160]);
        assert_eq!(header.components[0], 3);
        assert!(header.huffman.iter().map(|table| table.len()).sum::<usize>() > 400);
    }
}
