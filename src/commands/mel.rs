//! `lipsyncd mel`: the mel spectrogram of a WAV file.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args as ClapArgs;

use super::error::FileError;
use super::{CommandError, target};
use crate::audio::{
    MelParams, MelPlan, NpyFile, ResamplePlan, Resampled, Sound as _, WavFile, WavFileError, mel_in_parts,
};
use crate::media::temporary_part_of;

/// What `lipsyncd mel` takes.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// WAV file: 8/16/24/32-bit integer or 32/64-bit float PCM, any rate, up to 8 channels
    #[arg(long, value_name = "IN.wav")]
    audio: PathBuf,
    /// NumPy file to write: [T, 80] float32, 80 mel frames a second
    #[arg(long, value_name = "OUT.npy")]
    out: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<(), CommandError> {
    let out = target::written(&args.out, &args.audio)?;
    let wav = WavFile::open(&args.audio)?;
    let params = MelParams::default();
    let resampling = ResamplePlan::new(wav.sample_rate_hz(), params.sample_rate_hz).map_err(CommandError::input)?;
    let sound = Resampled::new(Arc::new(resampling), &wav);
    let plan = Arc::new(MelPlan::new(params).map_err(CommandError::failed)?);
    let unwritten = |error| CommandError::failed(FileError::at(&args.out)(error));
    // What has the name stays until the whole sound has been read; a pipe or a device cannot be replaced.
    let part = target::is_replaceable(&out).then(|| temporary_part_of(&out)).transpose().map_err(unwritten)?;
    let path = part.as_deref().unwrap_or(&out);
    let npy = NpyFile::create(path, params.frames_for_samples(sound.samples()), params.mels).map_err(unwritten)?;
    let threads = std::thread::available_parallelism().ok().filter(|_| npy.takes_any_order());
    mel_in_parts(&plan, &sound, threads.unwrap_or(NonZeroUsize::MIN), &|first, rows| {
        npy.write_rows(first, rows).map_err(unwritten)
    })?;
    part.map_or(Ok(()), |part| part.persist(&out)).map_err(|failed| unwritten(failed.error))
}

impl From<WavFileError> for CommandError {
    fn from(error: WavFileError) -> Self {
        Self::input(error)
    }
}
