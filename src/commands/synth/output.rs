//! Where the frames of `synth` go: a folder, an AVI, or an MP4 through ffmpeg.

use std::path::{Path, PathBuf};

use super::CommandError;
use super::folder::Folder;
use super::sound::{SoundFile, Speech};
use crate::backend::FrameFormat;
use crate::commands::error::FileError;
use crate::commands::target;
use crate::media::{AtomicFile, AviSettings, AviWriter, Mp4Writer};
use crate::picture::Quality;

/// What the frames must be for `out`.
///
/// # Errors
/// A video of PNGs.
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

/// Endings that nobody gives a folder.
const OTHER_FILES: [&str; 14] =
    ["mov", "mkv", "webm", "m4v", "mpg", "mpeg", "wmv", "flv", "ogv", "gif", "jpg", "jpeg", "png", "wav"];

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

/// Where the frames go.
pub(super) struct Place {
    video: Option<VideoKind>,
    path: PathBuf,
}

impl Place {
    /// What `out` names.
    ///
    /// # Errors
    /// A video in the place of its own sound, `audio`, or of what is no file; frames in the place of a file, or among those of `bundle`, of
    /// which they would take the place.
    pub(super) fn new(out: &Path, audio: &Path, bundle: Option<&Path>) -> Result<Self, CommandError> {
        let Some(video) = video_kind(out) else {
            return check_folder(out, bundle).map(|()| Self { video: None, path: out.to_owned() });
        };
        let path = target::written(out, audio)?;
        if !target::is_replaceable(&path) {
            return Err(CommandError::input(format!(
                "{}: this is no file, and a video can be written to nothing else",
                out.display()
            )));
        }
        Ok(Self { video: Some(video), path })
    }
}

/// Whether frames can go to the folder `out`, which may be still to be made.
fn check_folder(out: &Path, bundle: Option<&Path>) -> Result<(), CommandError> {
    let refused = |why: &str| Err(CommandError::input(format!("{}: {why}", out.display())));
    if out.exists() && !out.is_dir() {
        return refused("this is no folder; name one for the frames, or a file ending in .avi or .mp4");
    }
    let ending = out.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
    if !out.exists() && ending.is_some_and(|ending| OTHER_FILES.contains(&&*ending)) {
        return refused("only films ending in .avi and .mp4 can be written; name one, or a folder for the frames");
    }
    if bundle.is_some_and(|bundle| target::is_inside(out, bundle)) {
        return refused(
            "this is inside the avatar's own folder, where frames would take the place of its pictures; name another",
        );
    }
    Ok(())
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
    /// JPEG or PNG files.
    Folder(Folder),
    /// MJPEG and PCM.
    Avi { path: PathBuf, writer: Box<AviWriter<AtomicFile>>, sound: Vec<i16>, at: usize },
    /// H.264 and AAC; the sound is ffmpeg's to read until it has ended.
    Mp4 { writer: Mp4Writer, _sound: SoundFile },
}

impl Output {
    /// Opens `place` for frames of `format`; videos get the sound of `speech`.
    pub(super) fn create(
        place: &Place,
        format: FrameFormat,
        shape: Shape,
        speech: &Speech,
    ) -> Result<Self, CommandError> {
        let (width_px, height_px) = shape.size_px;
        let out = &place.path;
        let Some(video) = place.video else {
            return Folder::create(out, format, shape.size_px).map(Self::Folder);
        };
        match video {
            VideoKind::Avi => {
                let pcm = &speech.pcm;
                let file = AtomicFile::create(out).map_err(FileError::at(out)).map_err(CommandError::failed)?;
                let side = |px: usize| u32::try_from(px).unwrap_or(u32::MAX);
                let settings = AviSettings {
                    width_px: side(width_px),
                    height_px: side(height_px),
                    fps: shape.fps,
                    sample_rate_hz: pcm.sample_rate_hz,
                };
                let writer = Box::new(AviWriter::new(file, settings).map_err(CommandError::failed)?);
                let sound = pcm.samples.iter().map(|&sample| to_i16(sample)).collect();
                Ok(Self::Avi { path: out.to_owned(), writer, sound, at: 0 })
            }
            VideoKind::Mp4 => {
                let sound = speech.file()?;
                let writer = Mp4Writer::create(out, shape.fps, sound.path()).map_err(CommandError::failed)?;
                Ok(Self::Mp4 { writer, _sound: sound })
            }
        }
    }

    /// Appends frame `index`.
    pub(super) fn write(&mut self, index: u64, data: &[u8]) -> Result<(), CommandError> {
        match self {
            Self::Folder(folder) => folder.write(index, data),
            Self::Avi { writer, sound, at, .. } => {
                writer.write_frame(data).map_err(CommandError::failed)?;
                let end = (*at + writer.audio_due()).min(sound.len());
                writer.write_audio(&sound[*at..end]).map_err(CommandError::failed)?;
                *at = end;
                Ok(())
            }
            Self::Mp4 { writer, .. } => writer.write_frame(data).map_err(CommandError::failed),
        }
    }

    /// Completes the output.
    pub(super) fn finish(self) -> Result<(), CommandError> {
        match self {
            Self::Folder(folder) => folder.finish(),
            Self::Avi { path, writer, .. } => {
                let file = writer.finish().map_err(CommandError::failed)?;
                file.commit().map_err(FileError::at(path)).map_err(CommandError::failed)
            }
            Self::Mp4 { writer, .. } => writer.finish().map_err(CommandError::failed),
        }
    }
}

/// The inverse of reading 16-bit PCM, clipped at full scale.
fn to_i16(sample: f32) -> i16 {
    (sample * 32768.0).round().clamp(-32768.0, 32767.0) as i16
}
