//! Files built by hand: whole ones, faulty ones, and ones spoilt at random.

mod faulty;
mod spoilt;
mod whole;

use super::*;
use crate::audio::Sound as _;

const PCM: u16 = 1;
const FLOAT: u16 = 3;

fn chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = name.to_vec();
    bytes.extend((body.len() as u32).to_le_bytes());
    bytes.extend(body);
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    bytes
}

fn fmt(tag: u16, channels: u16, rate: u32, bits: u16) -> Vec<u8> {
    let block = channels.wrapping_mul(bits / 8);
    let mut body = Vec::new();
    body.extend(tag.to_le_bytes());
    body.extend(channels.to_le_bytes());
    body.extend(rate.to_le_bytes());
    body.extend(rate.wrapping_mul(block.into()).to_le_bytes());
    body.extend(block.to_le_bytes());
    body.extend(bits.to_le_bytes());
    body
}

fn extensible(tag: u16, channels: u16, rate: u32, bits: u16) -> Vec<u8> {
    let mut body = fmt(0xFFFE, channels, rate, bits);
    body.extend(22_u16.to_le_bytes());
    body.extend(bits.to_le_bytes());
    body.extend(0_u32.to_le_bytes());
    body.extend(tag.to_le_bytes());
    body.extend([0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71]);
    body
}

fn riff(chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut body = b"WAVE".to_vec();
    body.extend(chunks.concat());
    chunk(b"RIFF", &body)
}

fn wav(tag: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
    riff(&[chunk(b"fmt ", &fmt(tag, channels, rate, bits)), chunk(b"data", data)])
}

/// A file whose data chunk, its last, declares `length`; the outer length is set to `outer`.
fn piped(data: &[u8], length: u32, outer: u32) -> Vec<u8> {
    let mut bytes = wav(PCM, 1, 16_000, 16, data);
    bytes[4..8].copy_from_slice(&outer.to_le_bytes());
    let at = 12 + 8 + 16 + 4;
    bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
    bytes
}
