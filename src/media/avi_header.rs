//! The header of an AVI 1.0 file with one Motion-JPEG stream and at most one PCM stream.
//!
//! Layout: Microsoft, "AVI RIFF File Reference" (`avih`, `strh`, `strf` with `BITMAPINFOHEADER` or `PCMWAVEFORMAT`). The header has the
//! same length whatever the totals, so it is written with zeros first and again when they are known.

/// Frames per second as a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameRate {
    /// Frames in `den` seconds.
    pub num: u32,
    /// Seconds.
    pub den: u32,
}

impl FrameRate {
    /// A whole number of frames per second.
    pub const fn whole(fps: u32) -> Self {
        Self { num: fps, den: 1 }
    }
}

/// Sound: interleaved signed 16-bit PCM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PcmFormat {
    /// Samples per second and channel.
    pub sample_rate_hz: u32,
    /// 1 or 2.
    pub channels: u16,
}

impl PcmFormat {
    /// Bytes of one sample of every channel.
    pub(super) const fn block_bytes(&self) -> u32 {
        self.channels as u32 * 2
    }
}

/// What an AVI file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AviSettings {
    /// Columns of every frame.
    pub width_px: u32,
    /// Rows of every frame.
    pub height_px: u32,
    /// Speed.
    pub frame_rate: FrameRate,
    /// Sound, if there is any.
    pub audio: Option<PcmFormat>,
}

/// What is known only at the end.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Totals {
    /// Bytes of the whole file.
    pub file_bytes: u32,
    /// Bytes of the `movi` list after its size field.
    pub movi_bytes: u32,
    pub frames: u32,
    /// Samples per channel.
    pub audio_blocks: u32,
    pub largest_frame_bytes: u32,
    pub largest_audio_bytes: u32,
}

const HAS_INDEX: u32 = 0x10;
const IS_INTERLEAVED: u32 = 0x100;
const PCM: u16 = 1;

/// Everything before the first chunk of `movi`.
pub(super) fn header(settings: &AviSettings, totals: &Totals) -> Vec<u8> {
    let mut streams = list(b"strl", &[video_header(settings, totals), bitmap_info(settings)].concat());
    if let Some(audio) = &settings.audio {
        streams.extend(list(b"strl", &[audio_header(audio, totals), wave_format(audio)].concat()));
    }
    let mut out = b"RIFF".to_vec();
    out.extend(totals.file_bytes.saturating_sub(8).to_le_bytes());
    out.extend(b"AVI ");
    out.extend(list(b"hdrl", &[main_header(settings, totals), streams].concat()));
    out.extend(b"LIST");
    out.extend(totals.movi_bytes.to_le_bytes());
    out.extend(b"movi");
    out
}

fn main_header(settings: &AviSettings, totals: &Totals) -> Vec<u8> {
    let FrameRate { num, den } = settings.frame_rate;
    let frame_us = (u64::from(den) * 1_000_000).checked_div(u64::from(num)).unwrap_or(0);
    let streams = 1 + u32::from(settings.audio.is_some());
    fields(
        b"avih",
        &[
            u32::try_from(frame_us).unwrap_or(u32::MAX),
            0, // bytes per second: unknown
            0, // padding
            HAS_INDEX | IS_INTERLEAVED,
            totals.frames,
            0, // initial frames
            streams,
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
    let FrameRate { num, den } = settings.frame_rate;
    let corner = (settings.height_px << 16) | (settings.width_px & 0xFFFF);
    let kind = [u32::from_le_bytes(*b"vids"), u32::from_le_bytes(*b"MJPG")];
    stream_header(kind, [den, num, totals.frames, totals.largest_frame_bytes], 0, corner)
}

fn audio_header(audio: &PcmFormat, totals: &Totals) -> Vec<u8> {
    let block = audio.block_bytes();
    let kind = [u32::from_le_bytes(*b"auds"), 0];
    let rate = audio.sample_rate_hz.saturating_mul(block);
    stream_header(kind, [block, rate, totals.audio_blocks, totals.largest_audio_bytes], block, 0)
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

fn wave_format(audio: &PcmFormat) -> Vec<u8> {
    let block = audio.block_bytes();
    let format_and_channels = u32::from(PCM) | (u32::from(audio.channels) << 16);
    let block_and_bits = block | (16 << 16);
    let rate = audio.sample_rate_hz;
    fields(b"strf", &[format_and_channels, rate, rate.saturating_mul(block), block_and_bits])
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
