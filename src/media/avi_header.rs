//! The header of an AVI 1.0 file with one Motion-JPEG stream and one of mono signed 16-bit PCM.
//!
//! Layout: Microsoft, "AVI RIFF File Reference" (`avih`, `strh`, `strf` with `BITMAPINFOHEADER` or `PCMWAVEFORMAT`). The header has the
//! same length whatever the totals, so it is written with zeros first and again when they are known.

/// What an AVI file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AviSettings {
    /// Columns of every frame.
    pub width_px: u32,
    /// Rows of every frame.
    pub height_px: u32,
    /// Frames per second.
    pub fps: u32,
    /// Samples of sound per second.
    pub sample_rate_hz: u32,
}

/// What is known only at the end.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Totals {
    /// Bytes of the whole file.
    pub file_bytes: u32,
    /// Bytes of the `movi` list after its size field.
    pub movi_bytes: u32,
    pub frames: u32,
    pub samples: u32,
    pub largest_frame_bytes: u32,
    pub largest_audio_bytes: u32,
}

const HAS_INDEX: u32 = 0x10;
const IS_INTERLEAVED: u32 = 0x100;
const STREAMS: u32 = 2;
const PCM: u32 = 1;
const MONO: u32 = 1;
pub(super) const SAMPLE_BYTES: u32 = 2;

/// Everything before the first chunk of `movi`.
pub(super) fn header(settings: &AviSettings, totals: &Totals) -> Vec<u8> {
    let video = list(b"strl", &[video_header(settings, totals), bitmap_info(settings)].concat());
    let audio = list(b"strl", &[audio_header(settings, totals), wave_format(settings)].concat());
    let mut out = b"RIFF".to_vec();
    out.extend(totals.file_bytes.saturating_sub(8).to_le_bytes());
    out.extend(b"AVI ");
    out.extend(list(b"hdrl", &[main_header(settings, totals), video, audio].concat()));
    out.extend(b"LIST");
    out.extend(totals.movi_bytes.to_le_bytes());
    out.extend(b"movi");
    out
}

fn main_header(settings: &AviSettings, totals: &Totals) -> Vec<u8> {
    let frame_us = 1_000_000 / settings.fps;
    fields(
        b"avih",
        &[
            frame_us,
            0, // bytes per second: unknown
            0, // padding
            HAS_INDEX | IS_INTERLEAVED,
            totals.frames,
            0, // initial frames
            STREAMS,
            totals.largest_frame_bytes.max(totals.largest_audio_bytes),
            settings.width_px,
            settings.height_px,
            0,
            0,
            0,
            0,
        ],
    )
}

fn video_header(settings: &AviSettings, totals: &Totals) -> Vec<u8> {
    let corner = (settings.height_px << 16) | (settings.width_px & 0xFFFF);
    let kind = [u32::from_le_bytes(*b"vids"), u32::from_le_bytes(*b"MJPG")];
    stream_header(kind, [1, settings.fps, totals.frames, totals.largest_frame_bytes], 0, corner)
}

fn audio_header(settings: &AviSettings, totals: &Totals) -> Vec<u8> {
    let kind = [u32::from_le_bytes(*b"auds"), 0];
    let rate = settings.sample_rate_hz * SAMPLE_BYTES;
    stream_header(kind, [SAMPLE_BYTES, rate, totals.samples, totals.largest_audio_bytes], SAMPLE_BYTES, 0)
}

/// `[type, handler]`; `[scale, rate, length, suggested buffer]`; bytes of one sample; lower right corner.
fn stream_header(kind: [u32; 2], timing: [u32; 4], sample_bytes: u32, corner: u32) -> Vec<u8> {
    let [scale, rate, length, buffer] = timing;
    let default_quality = u32::MAX;
    fields(
        b"strh",
        &[kind[0], kind[1], 0, 0, 0, scale, rate, 0, length, buffer, default_quality, sample_bytes, 0, corner],
    )
}

fn bitmap_info(settings: &AviSettings) -> Vec<u8> {
    let (width, height) = (settings.width_px, settings.height_px);
    let one_plane_24_bits = 1 | (24 << 16);
    let image_bytes = width.saturating_mul(height).saturating_mul(3);
    let mjpg = u32::from_le_bytes(*b"MJPG");
    fields(b"strf", &[40, width, height, one_plane_24_bits, mjpg, image_bytes, 0, 0, 0, 0])
}

fn wave_format(settings: &AviSettings) -> Vec<u8> {
    let rate = settings.sample_rate_hz;
    let sample_bytes_and_bits = SAMPLE_BYTES | (16 << 16);
    fields(b"strf", &[PCM | (MONO << 16), rate, rate * SAMPLE_BYTES, sample_bytes_and_bits])
}

fn fields(name: &[u8; 4], values: &[u32]) -> Vec<u8> {
    chunk(name, &values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>())
}

fn list(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    chunk(b"LIST", &[kind, content].concat())
}

fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    // A header's content is a few hundred bytes of four each: it fits and needs no padding.
    [name, &(content.len() as u32).to_le_bytes()[..], content].concat()
}
