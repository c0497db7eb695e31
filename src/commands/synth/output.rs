//! Where the frames of `synth` go: a folder, an AVI, or an MP4 through ffmpeg.

use std::path::{Path, PathBuf};

use super::CommandError;
use crate::audio::Pcm;
use crate::backend::FrameFormat;
use crate::commands::error::FileError;
use crate::media::{AtomicFile, AviSettings, AviWriter, FrameRate, Mp4Settings, Mp4Writer, PcmFormat};
use crate::picture::{Quality, View, encode_png};

/// What the frames must be for `out`.
///
/// # Errors
/// A video of PNGs, or a file whose ending says nothing.
pub(super) fn frame_format(out: &Path, png: bool, quality: Quality) -> Result<FrameFormat, CommandError> {
    match (video_kind(out), png) {
        (Some(_), true) => Err(CommandError::input(format!(
            "{}: a video holds JPEG frames; leave out --format png, or name a folder",
            out.display()
        ))),
        (None, true) => Ok(FrameFormat::Bgr),
        (_, false) => Ok(FrameFormat::Jpeg(quality)),
    }
}

#[derive(Clone, Copy)]
enum VideoKind {
    Avi,
    Mp4,
}

fn video_kind(out: &Path) -> Option<VideoKind> {
    match out.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "avi" => Some(VideoKind::Avi),
        "mp4" => Some(VideoKind::Mp4),
        _ => None,
    }
}

/// What a film needs to know of its frames.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// Width and height.
    pub size_px: (usize, usize),
    /// Frames per second.
    pub fps: u32,
}

/// An output being written.
pub(super) enum Output {
    /// JPEG files.
    Jpegs(PathBuf),
    /// PNG files, encoded here from pixels.
    Pngs { dir: PathBuf, size_px: (usize, usize), png: Vec<u8> },
    /// MJPEG and PCM.
    Avi { path: PathBuf, writer: Box<AviWriter<AtomicFile>>, sound: Vec<i16>, at: usize },
    /// H.264 and AAC.
    Mp4(Mp4Writer),
}

impl Output {
    /// Opens `out` for frames of `format`; videos get `pcm` as sound.
    pub(super) fn create(
        out: &Path,
        format: FrameFormat,
        shape: Shape,
        pcm: &Pcm,
        wav: &Path,
    ) -> Result<Self, CommandError> {
        let (width_px, height_px) = shape.size_px;
        match video_kind(out) {
            None => {
                std::fs::create_dir_all(out).map_err(FileError::at(out)).map_err(CommandError::failed)?;
                let dir = out.to_owned();
                Ok(match format.quality() {
                    Some(_) => Self::Jpegs(dir),
                    None => Self::Pngs { dir, size_px: (width_px, height_px), png: Vec::new() },
                })
            }
            Some(VideoKind::Avi) => {
                let file = AtomicFile::create(out).map_err(FileError::at(out)).map_err(CommandError::failed)?;
                let side = |px: usize| u32::try_from(px).unwrap_or(u32::MAX);
                let settings = AviSettings {
                    width_px: side(width_px),
                    height_px: side(height_px),
                    frame_rate: FrameRate::whole(shape.fps),
                    audio: Some(PcmFormat { sample_rate_hz: pcm.sample_rate_hz, channels: 1 }),
                };
                let writer = Box::new(AviWriter::new(file, settings).map_err(CommandError::failed)?);
                let sound = pcm.samples.iter().map(|&sample| to_i16(sample)).collect();
                Ok(Self::Avi { path: out.to_owned(), writer, sound, at: 0 })
            }
            Some(VideoKind::Mp4) => {
                let settings = Mp4Settings { frame_rate: FrameRate::whole(shape.fps), sound: Some(wav.to_owned()) };
                Ok(Self::Mp4(Mp4Writer::create(out, &settings).map_err(CommandError::failed)?))
            }
        }
    }

    /// Appends frame `index`.
    pub(super) fn write(&mut self, index: u64, data: &[u8]) -> Result<(), CommandError> {
        match self {
            Self::Jpegs(dir) => write_file(dir.join(format!("{index:06}.jpg")), data),
            Self::Pngs { dir, size_px: (width_px, height_px), png } => {
                let view = View::packed(*width_px, *height_px, data).map_err(CommandError::failed)?;
                png.clear();
                encode_png(view, png).map_err(CommandError::failed)?;
                write_file(dir.join(format!("{index:06}.png")), png)
            }
            Self::Avi { writer, sound, at, .. } => {
                writer.write_frame(data).map_err(CommandError::failed)?;
                let end = (*at + writer.audio_due()).min(sound.len());
                writer.write_audio(&sound[*at..end]).map_err(CommandError::failed)?;
                *at = end;
                Ok(())
            }
            Self::Mp4(writer) => writer.write_frame(data).map_err(CommandError::failed),
        }
    }

    /// Completes the output.
    pub(super) fn finish(self) -> Result<(), CommandError> {
        match self {
            Self::Jpegs(_) | Self::Pngs { .. } => Ok(()),
            Self::Avi { path, writer, .. } => {
                let file = writer.finish().map_err(CommandError::failed)?;
                file.commit().map_err(FileError::at(path)).map_err(CommandError::failed)
            }
            Self::Mp4(writer) => writer.finish().map_err(CommandError::failed),
        }
    }
}

fn write_file(path: PathBuf, data: &[u8]) -> Result<(), CommandError> {
    std::fs::write(&path, data).map_err(FileError::at(path)).map_err(CommandError::failed)
}

/// The inverse of reading 16-bit PCM, clipped at full scale.
fn to_i16(sample: f32) -> i16 {
    (sample * 32768.0).round().clamp(-32768.0, 32767.0) as i16
}
