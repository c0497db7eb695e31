//! `lipsyncd synth`: a video, or its frames, from a WAV file; by itself, or through a daemon.

mod folder;
mod local;
mod output;
mod remote;
mod server_rule;
mod sound;

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

use self::output::Place;
use self::server_rule::NoDevicesOfAServer;
use self::sound::Speech;
use super::device_args::DeviceArgs;
use super::{CommandError, daemon_url, progress};
use crate::audio::Pcm;
use crate::picture::Quality;

/// What `lipsyncd synth` takes.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    // First: whoever reads the options takes them.
    #[command(flatten)]
    _rule: NoDevicesOfAServer,
    /// The avatar's bundle: a folder with an avatar.toml; with --server, the avatar's id there
    #[arg(long, value_name = "DIR")]
    avatar: PathBuf,
    /// Let a running daemon make the frames, e.g. http://127.0.0.1:50053
    #[arg(long, value_name = "URL", value_parser = daemon_url)]
    server: Option<String>,
    /// WAV file: 8/16/24/32-bit integer or 32/64-bit float PCM, any rate, up to 8 channels
    #[arg(long, value_name = "IN.wav")]
    audio: PathBuf,
    /// Where to write: a folder for frames (000000.jpg ...), or a file ending in .avi or .mp4
    #[arg(long, value_name = "OUT")]
    out: PathBuf,
    /// What the frames in a folder are: jpg, or png for lossless, which a daemon does not send
    #[arg(long, value_enum, default_value_t = Format::Jpg)]
    format: Format,
    /// JPEG quality [default: 75; with --server, the daemon's own]
    #[arg(long, value_name = "1..100", value_parser = clap::value_parser!(u32).range(1..=100))]
    quality: Option<u32>,
    /// Place in the avatar's loop of the first frame
    #[arg(long, default_value_t = 0, value_name = "N")]
    start_position: u64,
    #[command(flatten)]
    devices: DeviceArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Jpg,
    Png,
}

pub(super) fn run(args: &Args) -> Result<(), CommandError> {
    let quality = args.quality.map_or(Ok(Quality::DEFAULT), Quality::new).map_err(CommandError::input)?;
    let format = output::frame_format(&args.out, args.format == Format::Png, quality)?;
    let bundle = args.server.is_none().then_some(&*args.avatar);
    let place = Place::new(&args.out, &args.audio, bundle)?;
    match &args.server {
        Some(server) => remote::run(args, server, &place, format),
        None => local::run(args, &Speech::read(&args.audio)?, &place, format),
    }
}

/// Frames that `pcm` makes, for the progress bar.
fn frame_count(pcm: &Pcm, fps: u32) -> usize {
    let frames = (pcm.samples.len() as u64 * u64::from(fps)).div_ceil(u64::from(pcm.sample_rate_hz.max(1)));
    usize::try_from(frames).unwrap_or(usize::MAX)
}
