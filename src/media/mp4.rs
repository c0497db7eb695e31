//! MP4 files through the `ffmpeg` command: H.264 from the frames' JPEGs, AAC from a sound file.
//!
//! Frames go to its standard input one after another; it writes `NAME.part`, which gets its name when ffmpeg succeeded.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

use tempfile::TempPath;

use super::atomic_file::{part_of, temporary_part_of};
use super::stderr_tail::StderrTail;

/// Why an MP4 file was not made.
#[derive(Debug, thiserror::Error)]
pub enum Mp4Error {
    /// There is no `ffmpeg` command.
    #[error(
        "{path} needs the ffmpeg command, which is not on PATH: install it (Debian: apt-get install ffmpeg), or write an .avi, which needs none",
        path = path.display()
    )]
    NoFfmpeg {
        /// The file asked for.
        path: PathBuf,
    },
    /// The command is there but did not start.
    #[error("ffmpeg could not be started: {0}")]
    Start(#[source] io::Error),
    /// It stopped with an error.
    #[error("ffmpeg could not make {path} ({status}):\n{stderr}", path = path.display())]
    Failed {
        /// The file asked for.
        path: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// The last lines it printed.
        stderr: String,
    },
    /// Talking to it failed, or the finished file could not be renamed.
    #[error("{path} could not be written: {source}", path = path.display())]
    Write {
        /// The file asked for.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// A running ffmpeg. Dropping it before [`Mp4Writer::finish`] ends the process and removes the part.
#[derive(Debug)]
pub struct Mp4Writer {
    child: Child,
    stdin: Option<ChildStdin>,
    stderr: StderrTail,
    target: PathBuf,
    part: Option<TempPath>,
}

impl Mp4Writer {
    /// Starts ffmpeg for the file `path`, of `fps` frames a second; `sound` is a file in any format that it reads.
    ///
    /// # Errors
    /// [`Mp4Error::NoFfmpeg`] when the command is missing, [`Mp4Error::Start`] when it does not run.
    pub fn create(path: &Path, fps: u32, sound: &Path) -> Result<Self, Mp4Error> {
        Self::create_with(OsStr::new("ffmpeg"), path, fps, sound)
    }

    fn create_with(program: &OsStr, path: &Path, fps: u32, sound: &Path) -> Result<Self, Mp4Error> {
        let part = temporary_part_of(path).map_err(|source| Mp4Error::Write { path: path.into(), source })?;
        let mut command = Command::new(program);
        command.args(arguments(fps, sound, &part_of(path)));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Mp4Error::NoFfmpeg { path: path.into() },
            _ => Mp4Error::Start(error),
        })?;
        let stdin = child.stdin.take();
        let stderr = match child.stderr.take() {
            Some(pipe) => StderrTail::read(pipe),
            None => StderrTail::read(io::empty()),
        };
        Ok(Self { child, stdin, stderr, target: path.into(), part: Some(part) })
    }

    /// Appends one frame. Blocks while ffmpeg is behind.
    ///
    /// # Errors
    /// [`Mp4Error::Failed`] when ffmpeg has stopped, with what it said.
    pub fn write_frame(&mut self, jpeg: &[u8]) -> Result<(), Mp4Error> {
        let written = match &mut self.stdin {
            Some(stdin) => stdin.write_all(jpeg),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        };
        match written {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(self.why_it_stopped(error)),
            Err(source) => Err(Mp4Error::Write { path: self.target.clone(), source }),
        }
    }

    /// Waits until ffmpeg has written the file and gives it its name.
    ///
    /// # Errors
    /// [`Mp4Error::Failed`] with ffmpeg's last lines; the part is removed.
    pub fn finish(mut self) -> Result<(), Mp4Error> {
        self.wait()?;
        let named = self.part.take().map_or(Ok(()), |part| part.persist(&self.target));
        named.map_err(|failed| Mp4Error::Write { path: self.target.clone(), source: failed.error })
    }

    /// Ends the input and waits for success.
    fn wait(&mut self) -> Result<(), Mp4Error> {
        self.stdin = None;
        let path = self.target.clone();
        let status = self.child.wait().map_err(|source| Mp4Error::Write { path: path.clone(), source })?;
        if status.success() { Ok(()) } else { Err(Mp4Error::Failed { path, status, stderr: self.stderr.join() }) }
    }

    /// The failure behind a broken pipe: ffmpeg's own words, or the pipe's if it claims success.
    fn why_it_stopped(&mut self, source: io::Error) -> Mp4Error {
        self.wait().err().unwrap_or_else(|| Mp4Error::Write { path: self.target.clone(), source })
    }
}

impl Drop for Mp4Writer {
    fn drop(&mut self) {
        self.stdin = None;
        // Fails only when the process has ended already; `wait` then collects it. `part` is removed after this.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.stderr.join();
    }
}

/// JPEGs are full-range BT.601; players take untagged HD video for limited-range BT.709, so it is made that and tagged.
/// H.264 4:2:0 needs even sides: an odd picture gets one more row or column.
const FILTER: &str = "scale=in_range=full:in_color_matrix=bt601:out_range=limited:out_color_matrix=bt709,\
                      pad=ceil(iw/2)*2:ceil(ih/2)*2,format=yuv420p";

fn arguments(fps: u32, sound: &Path, part: &Path) -> Vec<OsString> {
    let mut args: Vec<OsString> = Vec::new();
    let mut add = |text: &str| args.extend(text.split(' ').map(OsString::from));
    add("-hide_banner -loglevel error -nostdin -y -f image2pipe -c:v mjpeg -framerate");
    add(&format!("{fps}/1"));
    add("-i pipe:0 -i");
    args.push(file_url(sound));
    args.extend(["-map", "0:v:0", "-map", "1:a:0", "-c:a", "aac", "-b:a", "160k"].map(OsString::from));
    args.extend(["-vf", FILTER, "-c:v", "libx264", "-crf", "18"].map(OsString::from));
    let tags = ["-color_range", "tv", "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"];
    args.extend(tags.map(OsString::from));
    args.extend(["-movflags", "+faststart", "-f", "mp4"].map(OsString::from));
    args.push(file_url(part));
    args
}

/// `file:PATH`, so that no name is taken for an option or another protocol.
fn file_url(path: &Path) -> OsString {
    let mut url = OsString::from("file:");
    url.push(path);
    url
}

#[cfg(test)]
mod tests;
